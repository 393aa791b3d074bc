/** "Scalable-Mode PASID Table Entry": its checks, in order, and what requests need of it. */
import type { UnitCapabilities } from './capabilities.ts'
import { FAULT } from './formats/fault-codes.ts'
import {
  ADDRESS_WIDTHS,
  AW_LEVELS_OFFSET,
  PASID_TABLE_ENTRY as E,
  FIRST_STAGE_PAGING_MODE,
  PASID_GRANULAR_TRANSLATION_TYPE as PGTT,
} from './formats/structures.ts'
import type { PasidCache } from './pasid-cache.ts'
import type { Quirks } from './quirks.ts'

/** Fields of an entry in effect, i.e. those whose capability the unit has. */
export const PASID_FLAG = {
  SRE: 1,
  ERE: 2,
  WPE: 4,
  NXE: 8,
  SMEP: 16,
  EAFE: 32,
  SSADE: 64,
  SLEE: 128,
  /** Walks are snooped, so that flags may be set in paging entries. */
  PWSNP: 256,
  PGSNP: 512,
  /** FPD of the directory entry on the way. */
  directoryFPD: 1024,
} as const

/** Words in which the pointers to tables begin: SSPTPTR and FSPTPTR. */
export const POINTER_WORDS = { secondStage: 0, firstStage: 4 } as const

export class PasidEntryDecoder {
  readonly #c: UnitCapabilities
  readonly #quirks: Quirks
  /** Bits that must be 0 in each of the 16 words, whatever PGTT; addresses beyond the host come on top. */
  readonly #reserved = new Uint32Array(16)
  readonly #reservedHigh: number
  readonly #guestPages: number

  constructor(c: UnitCapabilities, hostAddressWidth: number, quirks: Quirks) {
    this.#c = c
    this.#quirks = quirks
    this.#reservedHigh = (0xffff_ffff << (hostAddressWidth - 32)) >>> 0
    this.#guestPages = 2 ** (c.MGAW + 1 - 12)
    const r = this.#reserved
    r[0] = 0xc00
    if (c.SSTS === 0) r[0] |= E.AW.mask | E.SSADE.mask | 0xffff_f000
    if (c.SSTS === 0) r[1] = 0xffff_ffff
    if (c.SSADS === 0) r[0] |= E.SSADE.mask
    if (c.ERS === 0 || c.SSTS === 0) r[0] |= E.SLEE.mask
    r[2] = 0x7f_0000 | ((0xffff << (4 + 2 * c.ND)) & 0xffff)
    if (c.SMPWCS === 0) r[2] |= E.PWSNP.mask
    if (c.SC === 0) r[2] |= E.PGSNP.mask
    if (c.MTS === 0) {
      r[2] |= E.CD.mask | E.EMTE.mask | E.EMT.mask | E.PWT.mask | E.PCD.mask
      r[3] = 0xffff_ffff
    }
    r[4] = 0xf00
    // Without first-stage translation NXE and SMEP are ignored, the rest of the quadword is reserved.
    if (c.FSTS === 0) r[4] = ~(E.NXE.mask | E.SMEP.mask)
    if (c.FSTS === 0) r[5] = 0xffff_ffff
    if (c.EAFS === 0) r[4] |= E.EAFE.mask
    r.fill(0xffff_ffff, 6)
  }

  /** Decodes the entry in the scratch slot of the cache, under a directory entry with FPD or without. Returns 0 or a reason. */
  decode(cache: PasidCache, directoryFPD: boolean): number {
    const c = this.#c
    const raw = cache.raw
    const at = cache.scratch * cache.wordsPerEntry
    const low = raw[at]!
    const third = raw[at + 2]!
    const fifth = raw[at + 4]!
    const type = (low & E.PGTT.mask) >>> E.PGTT.shift
    const usesFirst = type === PGTT.firstStage || type === PGTT.nested
    const usesSecond = type === PGTT.secondStage || type === PGTT.nested
    if (this.#quirks.pasidEntryTypeCheckedBeforePresent && !this.#supports(type)) {
      return FAULT.pasidEntryInvalid
    }
    if ((low & 1) === 0) return FAULT.pasidEntryNotPresent
    if (!this.#quirks.pasidEntryReservedNotChecked) {
      let set = 0
      for (let word = 0; word < 16; word++) set |= raw[at + word]! & this.#reserved[word]!
      if (usesSecond) set |= raw[at + POINTER_WORDS.secondStage + 1]! & this.#reservedHigh
      // With nesting it is a guest address, judged by the second stage.
      if (type === PGTT.firstStage) set |= raw[at + POINTER_WORDS.firstStage + 1]! & this.#reservedHigh
      if (set !== 0) return FAULT.pasidEntryReserved
    }
    if (!this.#supports(type)) return FAULT.pasidEntryInvalid

    const aw = (low & E.AW.mask) >>> E.AW.shift
    const width = ADDRESS_WIDTHS[aw]
    if (usesSecond && (width === undefined || ((c.SAGAW >>> aw) & 1) === 0)) return FAULT.pasidEntryInvalid
    const mode = (fifth & E.FSPM.mask) >>> (E.FSPM.low % 32)
    if (usesFirst && mode !== FIRST_STAGE_PAGING_MODE.fourLevel) {
      if (mode !== FIRST_STAGE_PAGING_MODE.fiveLevel || c.FS5LP === 0) return FAULT.pasidEntryInvalid
    }
    cache.decodeScratch(
      third & 0xffff,
      type,
      aw + AW_LEVELS_OFFSET,
      raw[at + 1]! * 0x10_0000 + (low >>> 12),
      width === undefined ? 0 : Math.min(this.#guestPages, 2 ** (width.bits - 12)),
      this.#flags(low, third, fifth) | (directoryFPD ? PASID_FLAG.directoryFPD : 0),
      4 + mode,
    )
    return 0
  }

  #supports(type: number): boolean {
    const { FSTS, SSTS, NEST, PT } = this.#c
    switch (type) {
      case PGTT.firstStage:
        return FSTS !== 0
      case PGTT.secondStage:
        return SSTS !== 0
      case PGTT.nested:
        return NEST !== 0
      case PGTT.passThrough:
        return PT !== 0
      default:
        return false
    }
  }

  #flags(low: number, third: number, fifth: number): number {
    const { SRS, ERS, SMPWCS, SSADS, EAFS, SC } = this.#c
    const flag = (condition: number, bit: number): number => (condition !== 0 ? bit : 0)
    return (
      flag(SRS && fifth & E.SRE.mask, PASID_FLAG.SRE) |
      flag(ERS && fifth & E.ERE.mask, PASID_FLAG.ERE) |
      flag(fifth & E.WPE.mask, PASID_FLAG.WPE) |
      flag(fifth & E.NXE.mask, PASID_FLAG.NXE) |
      flag(fifth & E.SMEP.mask, PASID_FLAG.SMEP) |
      flag(EAFS && fifth & E.EAFE.mask, PASID_FLAG.EAFE) |
      flag(SSADS && low & E.SSADE.mask, PASID_FLAG.SSADE) |
      flag(ERS && low & E.SLEE.mask, PASID_FLAG.SLEE) |
      flag(SMPWCS && third & E.PWSNP.mask, PASID_FLAG.PWSNP) |
      flag(SC && third & E.PGSNP.mask, PASID_FLAG.PGSNP)
    )
  }
}
