/** Reading what a room saved: a state of another version is refused before anything is made of it. */
import type { Saved } from './digest.ts'
import { NorthbridgeError } from './errors.ts'

/** The state of a room as its `save()` returned it. Throws `invalidDocument`, naming the room and the versions. */
export function opened<State>(saved: Saved | undefined, room: string, version: number): State {
  const found = versionOf(saved)
  if (found === version) return saved as State
  throw otherVersion(room, found, version)
}

/** `version` of a saved object; undefined if it has none. */
export function versionOf(saved: Saved | undefined): number | undefined {
  if (typeof saved !== 'object' || saved === null || Array.isArray(saved)) return undefined
  const { version } = saved as { readonly version?: unknown }
  return typeof version === 'number' ? version : undefined
}

export const otherVersion = (
  room: string,
  found: number | undefined,
  wanted: number | undefined,
): NorthbridgeError =>
  new NorthbridgeError(
    'invalidDocument',
    `the saved state of ${room} has version ${found ?? 'none'}; this Northbridge reads version ${wanted ?? 'none'}`,
    { room, found: found ?? null, wanted: wanted ?? null },
  )
