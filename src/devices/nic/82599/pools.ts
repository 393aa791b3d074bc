/** How the 82599 divides its 128 queues among pools, from MRQC ("Pool selection", "Queuing in a virtualized environment"). */
import { MRQC, MRQC_MODE, VT_CTL } from '../../formats/nic/i82599-registers.ts'

/** Queues of a pool by `MRQC.MRQE`; 0 in the modes without pools. */
const QUEUES_PER_POOL: Readonly<Record<number, number>> = {
  [MRQC_MODE.vmdq64]: 2,
  [MRQC_MODE.vmdqRss64]: 2,
  [MRQC_MODE.vmdqRss32]: 4,
  [MRQC_MODE.vmdq32Tc4]: 4,
  [MRQC_MODE.vmdq16Tc8]: 8,
}

export const modeOf = (words: Uint32Array): number => words[MRQC.offset >>> 2]! & MRQC.bits.MRQE

export const isPooling = (words: Uint32Array): boolean =>
  (words[VT_CTL.offset >>> 2]! & VT_CTL.bits.VT_ENA) !== 0 && queuesPerPool(words) > 0

export const queuesPerPool = (words: Uint32Array): number => QUEUES_PER_POOL[modeOf(words)] ?? 0

/** Queues of a virtual function: two until the physical function has divided them otherwise. */
export const queuesPerFunction = (words: Uint32Array): number => (isPooling(words) ? queuesPerPool(words) : 2)
