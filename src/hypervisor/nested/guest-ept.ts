/** A walk of the EPT that L1 made for L2, in memory of L1: what the processor would have found there. */

import type { PageNumber } from '../../core/index.ts'
import { EPT_ENTRY, EPT_MEMORY_TYPE } from '../../vmx/formats/ept.ts'
import type { GuestWords } from './guest-words.ts'

const { R, W, X, LEAF, MT } = EPT_ENTRY
const RIGHTS = 7
const LEVELS = 4
const PAGE_LIMIT = 2 ** 36
const SPAN = [0, 1, 2 ** 9, 2 ** 18, 2 ** 27] as const
/** Bits that must be 0 in an entry that names a table: 7:3, of which bit 7 makes a leaf below the highest level. */
const RESERVED_TABLE = 0x78
const RESERVED_TOP = 0xf8
const LEGAL_TYPES: readonly number[] = Object.values(EPT_MEMORY_TYPE)

export interface EptFeatures {
  /** MAXPHYADDR. */
  readonly addressWidth: number
  readonly executeOnly: boolean
  readonly gigabytePages: boolean
}

export type GuestTranslation =
  /** `page`: guest-physical for L1. `rights` as in bits 2:0 of an entry. */
  | { readonly kind: 'mapped'; readonly page: PageNumber; readonly rights: number }
  /** `rights`: bits 5:3 of the exit qualification of the violation, moved to 2:0. */
  | { readonly kind: 'violation'; readonly rights: number }
  | { readonly kind: 'misconfiguration' }

/** @param access bits 2:0 of the exit qualification: what was tried. */
export function walkGuestEpt(
  memory: GuestWords,
  root: PageNumber,
  page: PageNumber,
  access: number,
  features: EptFeatures,
): GuestTranslation {
  if (page >= PAGE_LIMIT) return { kind: 'violation', rights: 0 }
  let rights = RIGHTS
  let table = root
  for (let level = LEVELS; ; level--) {
    const at = table * 4096 + (Math.floor(page / SPAN[level]!) % 512) * 8
    const low = memory.read(at)
    const high = memory.read(at + 4)
    if ((low & RIGHTS) === 0) return { kind: 'violation', rights: 0 }
    const leaf = level === 1 || (level < LEVELS && (low & LEAF.mask) !== 0)
    if (misconfigured(low, high, level, leaf, features)) return { kind: 'misconfiguration' }
    rights &= low
    const frame = (high & 0xf_ffff) * 2 ** 20 + (low >>> 12)
    if (!leaf) {
      table = frame
      continue
    }
    if ((rights & access) !== access) return { kind: 'violation', rights }
    return { kind: 'mapped', page: frame + (page % SPAN[level]!), rights }
  }
}

/** "EPT Misconfigurations", for an entry that is present. */
function misconfigured(
  low: number,
  high: number,
  level: number,
  leaf: boolean,
  features: EptFeatures,
): boolean {
  if ((low & R.mask) === 0 && ((low & W.mask) !== 0 || ((low & X.mask) !== 0 && !features.executeOnly)))
    return true
  if ((high & 0xf_ffff) >= 2 ** (features.addressWidth - 32)) return true
  if (!leaf) return (low & (level === LEVELS ? RESERVED_TOP : RESERVED_TABLE)) !== 0
  if (!LEGAL_TYPES.includes((low & MT.mask) >>> MT.shift)) return true
  if (level === 3 && !features.gigabytePages) return true
  return (low >>> 12) % SPAN[level]! !== 0
}
