/** The pattern that `mem.fill` stores. */
import { parsePhysical } from '../core/index.ts'
import type { StepOf } from './vtd-vectors.ts'

const MIX = 0x9e37_79b9_7f4a_7c15n
const MASK = 2n ** 64n - 1n

/** The quadword at an 8-aligned address: never a byte 0, and no byte with bit 7. */
function pattern(address: bigint, seed: bigint): bigint {
  let w = ((address ^ seed) * MIX) & MASK
  w ^= w >> 29n
  return (w & 0x7f7f_7f7f_7f7f_7f7fn) | 0x0101_0101_0101_0101n
}

/** The bytes that a fill stores, as hexadecimal digits. */
export function fillBytes({ addr, len, seed }: StepOf<'mem.fill'>): string {
  const start = parsePhysical(addr)
  const first = start - (start % 8)
  const bytes = Buffer.alloc(Math.ceil((start + len - first) / 8) * 8)
  for (let i = 0; i < bytes.length; i += 8) {
    bytes.writeBigUInt64LE(pattern(BigInt(first + i), BigInt(seed)), i)
  }
  return bytes.subarray(start - first, start - first + len).toString('hex')
}
