/**
 * Saved state as JSON text, for files that travel between installations: nothing in it is carried out by being read.
 * Typed arrays become base64 of their bytes (little-endian) under a tag, what else JSON has no word for its name.
 */
import type { Saved } from './digest.ts'
import { NorthbridgeError } from './errors.ts'

const ARRAYS = { $u8: Uint8Array, $u16: Uint16Array, $u32: Uint32Array, $f64: Float64Array } as const
type ArrayTag = keyof typeof ARRAYS
const NUMBER = '$number'
/** A part that is there, but empty. */
const NOTHING = '$undefined'

export const savedToText = (state: Saved): string => JSON.stringify(tagged(state))

function tagged(state: Saved | undefined): unknown {
  if (typeof state === 'number' && !isPlain(state))
    return { [NUMBER]: Object.is(state, -0) ? '-0' : `${state}` }
  if (state === undefined) return { [NOTHING]: '' }
  if (typeof state !== 'object' || state === null) return state
  if (ArrayBuffer.isView(state)) {
    const tag = (Object.keys(ARRAYS) as ArrayTag[]).find(name => state instanceof ARRAYS[name])!
    return { [tag]: Buffer.from(state.buffer, state.byteOffset, state.byteLength).toString('base64') }
  }
  if (Array.isArray(state)) return state.map(tagged)
  return Object.fromEntries(Object.entries(state).map(([name, part]) => [name, tagged(part)]))
}

const isPlain = (value: number): boolean => Number.isFinite(value) && !Object.is(value, -0)

/** Throws `invalidDocument` for a text that no state was written as. */
export function savedFromText(text: string): Saved {
  try {
    return untagged(JSON.parse(text) as Saved) ?? null
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new NorthbridgeError('invalidDocument', `the saved state cannot be read: ${reason}`)
  }
}

function untagged(part: Saved): Saved | undefined {
  if (typeof part !== 'object' || part === null) return part
  if (Array.isArray(part)) return part.map(item => untagged(item) ?? null)
  const entries = Object.entries(part)
  const [tag, value] = entries[0] ?? []
  if (!tag?.startsWith('$')) return Object.fromEntries(entries.map(([name, item]) => [name, untagged(item!)]))
  if (entries.length > 1 || typeof value !== 'string') throw new Error(`${tag} stands among other things`)
  if (tag === NOTHING) return undefined
  if (tag === NUMBER) return Number(value)
  if (!Object.hasOwn(ARRAYS, tag)) throw new Error(`${tag} is no kind of array`)
  const { buffer, byteOffset, byteLength } = Buffer.from(value, 'base64')
  return new ARRAYS[tag as ArrayTag](buffer.slice(byteOffset, byteOffset + byteLength))
}
