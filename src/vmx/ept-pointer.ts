/** "Extended-Page-Table Pointer (EPTP)": its legality, and what a walk needs of it. */
import type { Core } from './core.ts'
import { EPT_MEMORY_TYPE, EPTP } from './formats/ept.ts'

const LEVELS_4 = 3
/** Bits 11:7. */
const RESERVED = 0xf80

/** Whether a VM entry with this EPTP, as two words, would be accepted. */
export function isEptPointerValid(core: Core, low: number, high: number): boolean {
  const type = low & EPTP.MT.mask
  return (
    (type === EPT_MEMORY_TYPE.UC || type === EPT_MEMORY_TYPE.WB) &&
    (low & EPTP.PWL.mask) >>> EPTP.PWL.shift === LEVELS_4 &&
    (low & RESERVED) === 0 &&
    !core.beyondWidth(high)
  )
}

/** Page of the PML4 table. */
export const eptRoot = (low: number, high: number): number => high * 2 ** 20 + (low >>> 12)

/** Whether accessed and dirty flags are enabled. */
export const eptFlags = (low: number): boolean => (low & EPTP.AD.mask) !== 0
