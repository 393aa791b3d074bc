/** Saved state as JSON text: numbers in arrays of their own kind travel as base64 of their bytes. */
import { NorthbridgeError, type Saved } from '../../core/index.ts'

const ARRAYS = { Uint8Array, Uint16Array, Uint32Array, Float64Array } as const
type ArrayName = keyof typeof ARRAYS

export const encodeText = (saved: Saved): string =>
  JSON.stringify(saved, (_key, value: unknown) => {
    if (!ArrayBuffer.isView(value)) return value
    const { buffer, byteOffset, byteLength } = value
    return {
      array: value.constructor.name,
      base64: Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
    }
  })

/** Throws `malformedInput`. */
export function decodeText(text: string): Saved {
  try {
    return JSON.parse(text, (_key, value: unknown) => (isArray(value) ? decoded(value) : value)) as Saved
  } catch (error) {
    throw new NorthbridgeError('malformedInput', `the document is no JSON: ${(error as Error).message}`)
  }
}

interface EncodedArray {
  readonly array: ArrayName
  readonly base64: string
}

function isArray(value: unknown): value is EncodedArray {
  if (typeof value !== 'object' || value === null) return false
  const { array, base64 } = value as Partial<EncodedArray>
  return typeof array === 'string' && Object.hasOwn(ARRAYS, array) && typeof base64 === 'string'
}

function decoded({ array, base64 }: EncodedArray): Saved {
  const bytes = Buffer.from(base64, 'base64')
  // A copy of its own, aligned as its elements want.
  return new ARRAYS[array](new Uint8Array(bytes).buffer)
}
