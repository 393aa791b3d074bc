/** A DMA transfer of a program: the bytes that it carries, and its parts as a machine saw them. */
import { bytesToHex, hexToBytes, NorthbridgeError, PAGE_SIZE, type PageNumber } from '../core/index.ts'
import { STATUS, TARGET } from '../pcie/index.ts'
import type { DmaPart } from '../system/index.ts'
import type { SeenPart } from './observation.ts'
import type { StepOf } from './vtd-vectors.ts'

/** What a write carries, or room for what a read returns. Throws `invalidDocument` unless it is `len` bytes. */
export function transferBytes({ dir, len, data }: StepOf<'dma'>): Uint8Array {
  const bytes = dir === 'write' ? hexToBytes(data ?? '') : new Uint8Array(len)
  if (bytes.length !== len)
    throw new NorthbridgeError('invalidDocument', `the transfer has ${bytes.length} bytes, not ${len}`)
  return bytes
}

/** How a part looks from where the program's machine stands. */
export interface PartSight {
  /** The page of the machine's memory in which it landed. */
  page(part: DmaPart): PageNumber
  /** The fault reason for which it was blocked; 0: for none. */
  reason(part: DmaPart): number
}

/** @param bytes of all parts, one after another */
export function seenParts(
  { dir }: StepOf<'dma'>,
  bytes: Uint8Array,
  parts: readonly DmaPart[],
  sight: PartSight,
): SeenPart[] {
  let done = 0
  return parts.map(part => {
    const { page, offset, length, status, target } = part
    const ok = status === STATUS.successful && target === TARGET.memory
    done += length
    return {
      address: (BigInt(page) << 12n) | BigInt(offset),
      length,
      ok,
      physical: ok ? sight.page(part) * PAGE_SIZE + offset : 0,
      data: ok && dir === 'read' ? bytesToHex(bytes.subarray(done - length, done)) : undefined,
      reason: ok ? 0 : sight.reason(part),
    }
  })
}
