/** "Extended-Page-Table Pointer (EPTP)": its legality, and what a walk needs of it. */
import type { Core } from './core.ts'
import { EPT_WALK } from './extended-page-tables.ts'
import { SECONDARY } from './formats/controls.ts'
import { EPT_MEMORY_TYPE, EPTP } from './formats/ept.ts'

/** Bits 5:3: levels of the walk, minus one. */
const LEVELS_4 = 3
const LEVELS_5 = 4
/** Bits 11:7: bit 7 would be supervisor shadow-stack control, which this processor lacks. */
const RESERVED = 0xf80

/** Whether a VM entry with this EPTP, as two words, would be accepted. */
export function isEptPointerValid(core: Core, low: number, high: number): boolean {
  const type = low & EPTP.MT.mask
  const levels = (low & EPTP.PWL.mask) >>> EPTP.PWL.shift
  return (
    (type === EPT_MEMORY_TYPE.UC || type === EPT_MEMORY_TYPE.WB) &&
    (levels === LEVELS_4 || (levels === LEVELS_5 && core.capabilities.fiveLevelEpt)) &&
    (low & RESERVED) === 0 &&
    !core.beyondWidth(high)
  )
}

/** Page of the highest table. */
export const eptRoot = (low: number, high: number): number => high * 2 ** 20 + (low >>> 12)

/** What EPTP and the secondary controls ask of a walk. */
export const eptWalk = (low: number, secondaryControls: number): number =>
  ((low & EPTP.AD.mask) !== 0 ? EPT_WALK.flags : 0) |
  ((low & EPTP.PWL.mask) >>> EPTP.PWL.shift === LEVELS_5 ? EPT_WALK.fiveLevels : 0) |
  ((secondaryControls & SECONDARY.modeBasedExecuteControl) !== 0 ? EPT_WALK.modeBased : 0)
