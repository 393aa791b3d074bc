/**
 * MAC addresses. In registers and on hot paths one is two numbers, its first four bytes and its last two, both in the
 * order of a little-endian machine: as the 82576's RAL and RAH hold it. In text it is `02:00:00:00:00:01`.
 */
import { NorthbridgeError } from '../../core/index.ts'

/** Bytes 0 to 3, byte 0 lowest. */
export const macLow = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

/** Bytes 4 and 5, byte 4 lowest. */
export const macHigh = (bytes: Uint8Array, at: number): number => bytes[at + 4]! | (bytes[at + 5]! << 8)

export function writeMac(bytes: Uint8Array, at: number, low: number, high: number): void {
  bytes[at] = low
  bytes[at + 1] = low >>> 8
  bytes[at + 2] = low >>> 16
  bytes[at + 3] = low >>> 24
  bytes[at + 4] = high
  bytes[at + 5] = high >>> 8
}

/** The group bit: the lowest bit of the first byte. */
export const isGroupAddress = (low: number): boolean => (low & 1) !== 0
export const isBroadcast = (low: number, high: number): boolean => low === 0xffff_ffff && high === 0xffff

const pair = (value: number): string => (value & 0xff).toString(16).padStart(2, '0')

export function formatMac(low: number, high: number): string {
  return [low, low >>> 8, low >>> 16, low >>> 24, high, high >>> 8].map(pair).join(':')
}

/** Parses `02:00:00:00:00:01`. Throws `invalidArgument`. */
export function parseMac(text: string): Uint8Array {
  if (!/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text)) {
    throw new NorthbridgeError('invalidArgument', `"${text}" is not a MAC address like 02:00:00:00:00:01`)
  }
  return Uint8Array.from(text.split(':'), digits => Number.parseInt(digits, 16))
}
