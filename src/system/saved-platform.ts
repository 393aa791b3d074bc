/**
 * A saved platform: its state, and what tells whether it can be restored here. A state is refused before anything is
 * changed: one of another topology, of another version of some room, or one that is not what was saved.
 */
import { digest, NorthbridgeError, opened, otherVersion, type Saved, versionOf } from '../core/index.ts'
import type { Topology } from '../platform/index.ts'

export type PlatformState = {
  readonly version: 3
  readonly engine: Saved
  readonly trace: Saved
  readonly random: readonly number[]
  readonly faults: Saved
  readonly hardware: Saved
  /** What is outside, at their other ends. */
  readonly wires: Saved
  /** Absent while the platform is off. */
  readonly host: Saved | undefined
  readonly hypervisor: Saved | undefined
  readonly networking: Saved | undefined
  readonly disks: Saved | undefined
  /** Present while the software that manages DMA is watched. */
  readonly sanitizer: Saved | undefined
}

interface Sealed {
  readonly topology: string
  readonly seed: number
  readonly hash: string
  readonly state: PlatformState
}

export const seal = (state: PlatformState, topology: Topology, seed: number): Saved => ({
  version: 1,
  topology: digestOf(topology),
  seed,
  hash: digest(state),
  state,
})

/** Throws `invalidDocument`. */
export function unseal(saved: Saved, topology: Topology): Pick<Sealed, 'seed' | 'state'> {
  const sealed = opened<Sealed>(saved, 'a platform', 1)
  if (sealed.topology !== digestOf(topology)) {
    throw new NorthbridgeError('invalidDocument', 'the saved state is of a platform of another topology', {
      room: 'a platform',
    })
  }
  const state = opened<PlatformState>(sealed.state, 'the state of a platform', 3)
  if (digest(state) !== sealed.hash) {
    throw new NorthbridgeError('invalidDocument', 'the saved state is damaged: its digest is another one', {
      room: 'the state of a platform',
      version: 3,
    })
  }
  return { state, seed: sealed.seed }
}

const digestOf = (topology: Topology): string => digest(topology as unknown as Saved)

/** Throws `invalidDocument` if a room of the hardware that both states have was saved by another version of it. */
export function checkVersions(saved: Saved, present: Saved, room = 'hardware'): void {
  const found = versionOf(saved)
  const wanted = versionOf(present)
  if (wanted !== undefined && found !== wanted) throw otherVersion(room, found, wanted)
  for (const [name, part] of partsOf(present)) {
    const other = partOf(saved, name)
    if (other !== undefined) checkVersions(other, part, `${room}/${name}`)
  }
}

function* partsOf(state: Saved): Generator<readonly [string, Saved]> {
  if (typeof state !== 'object' || state === null || ArrayBuffer.isView(state)) return
  for (const [name, part] of Object.entries(state)) {
    if (typeof part === 'object' && part !== null && !ArrayBuffer.isView(part)) yield [name, part as Saved]
  }
}

const partOf = (state: Saved, name: string): Saved | undefined =>
  typeof state === 'object' && state !== null && Object.hasOwn(state, name)
    ? ((state as { readonly [key: string]: Saved | undefined })[name] ?? undefined)
    : undefined

/** What a state that does not fit together is refused with. */
export function unusable(error: unknown): NorthbridgeError {
  if (error instanceof NorthbridgeError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new NorthbridgeError('invalidDocument', `the saved state cannot be restored: ${reason}`, { reason })
}

/** Whether two states are equal, as their digests would tell. */
export function areEqual(a: Saved | undefined, b: Saved | undefined): boolean {
  if (a === b) return true
  if (ArrayBuffer.isView(a) || ArrayBuffer.isView(b)) return areEqualArrays(a, b)
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [left, right] = [a, b] as unknown as [Parts, Parts]
  const names = Object.keys(left)
  if (names.length !== Object.keys(right).length) return false
  return names.every(name => Object.hasOwn(right, name) && areEqual(left[name], right[name]))
}

type Parts = { readonly [name: string]: Saved | undefined }

/** Pages of memory are most of a state: their bytes are compared at once. */
function areEqualArrays(a: unknown, b: unknown): boolean {
  if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b) || a.constructor !== b.constructor) return false
  return bytesOf(a).equals(bytesOf(b))
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)
