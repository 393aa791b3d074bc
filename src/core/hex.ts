/** Hexadecimal text at the edges: every address, register and 64-bit value is a `0x…` string in JSON and CLI. */
import { NorthbridgeError } from './errors.ts'

/** `0x…`, lower case, padded to `digits`. Exact for integers below 2^53. */
export const hex = (value: number, digits = 1): string => `0x${value.toString(16).padStart(digits, '0')}`

/** A 64-bit value given as two words, as `0x` and 16 digits. */
export const hex64 = (low: number, high: number): string =>
  `0x${(high >>> 0).toString(16).padStart(8, '0')}${(low >>> 0).toString(16).padStart(8, '0')}`

/** A 64-bit address as page number and offset, the form in which DMA requests carry it. */
export interface Address64 {
  /** Bits 63:12. */
  readonly page: number
  /** Bits 11:0. */
  readonly offset: number
}

const HEX_TEXT = /^0x[0-9a-f]{1,16}$/i

/** Parses `0x…` of up to 64 bits without losing a bit. Throws `invalidArgument` naming `what`. */
export function parseAddress64(text: string, what = 'address'): Address64 {
  if (!HEX_TEXT.test(text)) {
    throw new NorthbridgeError(
      'invalidArgument',
      `${what} must be a hexadecimal string like 0x1000, not "${text}"`,
    )
  }
  const value = BigInt(text)
  return { page: Number(value >> 12n), offset: Number(value & 0xfffn) }
}

export const formatAddress64 = ({ page, offset }: Address64): string =>
  `0x${((BigInt(page) << 12n) | BigInt(offset)).toString(16)}`

/** Parses `0x…` below 2^52, the width of physical addresses. Throws `invalidArgument` naming `what`. */
export function parsePhysical(text: string, what = 'address'): number {
  const { page, offset } = parseAddress64(text, what)
  if (page >= 2 ** 40) throw new NorthbridgeError('invalidArgument', `${what} ${text} is wider than 52 bits`)
  return page * 4096 + offset
}

/** Bytes as hexadecimal digits, lowest address first, no prefix. */
export const bytesToHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** Parses an even number of hexadecimal digits. Throws `invalidArgument` naming `what`. */
export function hexToBytes(text: string, what = 'data'): Uint8Array {
  if (text.length % 2 !== 0 || /[^0-9a-f]/i.test(text)) {
    throw new NorthbridgeError('invalidArgument', `${what} must be an even number of hexadecimal digits`)
  }
  return new Uint8Array(Buffer.from(text, 'hex'))
}
