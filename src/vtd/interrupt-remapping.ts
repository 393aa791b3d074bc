/**
 * "Interrupt Remapping": from an interrupt request to the message that local APICs take, or a reason code. As in DMA
 * remapping, `resolve` only records what it found; `commit` keeps the entry in the interrupt entry cache.
 */
import type { PageNumber } from '../core/index.ts'
import type { InterruptMessage } from '../interrupts/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { FAULT } from './formats/fault-codes.ts'
import { IRTE, IRTE_WORDS, SOURCE_QUALIFIER_MASKS, SOURCE_VALIDATION } from './formats/structures.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import { PostedInterrupts } from './posted-interrupts.ts'
import type { Quirks } from './quirks.ts'

/** Address bits of a request, "Remappable Format". */
const REMAPPABLE = 0x10
const SUBHANDLE_VALID = 8

/** Word 0 of an entry: bits 31:24 and 14:12 are reserved. */
const RESERVED_WORD0 = 0xff00_7000
/** And of one for posted interrupts: bits 31:24, 13:12 and 7:2; in word 1 bits 5:0. */
const POSTED_RESERVED_WORD0 = 0xff00_30fc
const POSTED_RESERVED_WORD1 = 0x3f
/** Word 2 has SVT in bits 19:18, above them all is reserved. */
const RESERVED_WORD2 = 0xfff0_0000
const XAPIC_DESTINATION = 0xff00
const DELIVERY_MODE_RESERVED = (1 << 3) | (1 << 6)

// Masks in words of their own: each message looks at nearly all of them.
const P = IRTE.P.mask
const FPD = IRTE.FPD.mask
const DM = IRTE.DM.mask
const RH = IRTE.RH.mask
const TM = IRTE.TM.mask
const IM = IRTE.IM.mask
const { sourceId: BY_SOURCE_ID, busRange: BY_BUS_RANGE } = SOURCE_VALIDATION

export class InterruptRemapping {
  readonly #memory: PhysicalMemory
  readonly #cache: InterruptEntryCache
  readonly #capabilities: UnitCapabilities
  readonly #quirks: Quirks
  /** Bits of the upper address word that lie beyond the host address width. */
  readonly #beyondHost: number
  readonly posting: PostedInterrupts

  /** What SIRTP latched from IRTA. */
  table: PageNumber = 0
  /** Entries of the table: 2^(S+1). */
  entries = 0
  extended = false

  // The last request resolved.
  /** Whether it was in remappable format. */
  remapped = false
  /** Interrupt index, up to 2^17; -1 where none was computed. */
  index = -1
  /** Slot of the entry used, `InterruptEntryCache.scratch` if memory answered; -1 if none was reached. */
  slot = -1
  faultProcessingDisable = false
  /** Whether the entry posts its interrupt (IM=1) to a descriptor in memory. */
  posts = false

  constructor(
    memory: PhysicalMemory,
    cache: InterruptEntryCache,
    capabilities: UnitCapabilities,
    hostAddressWidth: number,
    quirks: Quirks,
  ) {
    this.#memory = memory
    this.#cache = cache
    this.#capabilities = capabilities
    this.#quirks = quirks
    this.#beyondHost = (~0 << (hostAddressWidth - 32)) >>> 0
    this.posting = new PostedInterrupts(memory)
  }

  /** Judges a request while interrupt remapping is enabled. `passCompatibility` is GSTS.CFIS. */
  resolve(
    sourceId: number,
    addressLow: number,
    addressHigh: number,
    data: number,
    passCompatibility: boolean,
  ): number {
    this.index = -1
    this.slot = -1
    this.faultProcessingDisable = false
    this.posts = false
    this.remapped = (addressLow & REMAPPABLE) !== 0
    if (!this.remapped) {
      if (this.#quirks.compatibilityFormatNotBlocked) return 0
      return this.extended || !passCompatibility ? FAULT.compatibilityBlocked : 0
    }
    const withSubhandle = (addressLow & SUBHANDLE_VALID) !== 0
    if (addressHigh !== 0 || (withSubhandle && data >>> 16 !== 0)) return FAULT.interruptRequestReserved
    const handle = ((addressLow >>> 5) & 0x7fff) | ((addressLow & 4) << 13)
    const index = withSubhandle ? handle + (data & 0xffff) : handle
    this.index = index
    if (index >= this.entries) return FAULT.interruptIndex

    const cache = this.#cache
    let slot = cache.lookup(index)
    if (slot < 0) {
      const page = this.#memory.page(this.table + (index >>> 8))
      if (page === undefined) return FAULT.irteAccess
      slot = cache.scratch
      const at = (index & 0xff) * IRTE_WORDS
      for (let word = 0; word < IRTE_WORDS; word++) {
        cache.raw[slot * IRTE_WORDS + word] = page.words[at + word]!
      }
    }
    this.slot = slot
    return this.#check(slot * IRTE_WORDS, sourceId)
  }

  #check(at: number, sourceId: number): number {
    const { raw } = this.#cache
    const word0 = raw[at]!
    const word2 = raw[at + 2]!
    this.faultProcessingDisable = (word0 & FPD) !== 0
    if ((word0 & P) === 0) return FAULT.irteNotPresent
    const validation = (word2 >>> 18) & 3
    if (this.#hasReserved(at)) return FAULT.irteReserved
    if (validation > BY_BUS_RANGE) {
      const failed = this.#quirks.reservedSvtReportedAsSourceIdFailure
      return failed ? FAULT.sourceValidation : FAULT.irteReserved
    }
    const sid = word2 & 0xffff
    if (validation === BY_SOURCE_ID) {
      const mask = SOURCE_QUALIFIER_MASKS[(word2 >>> 16) & 3]!
      if (((sid ^ sourceId) & mask) !== 0) return FAULT.sourceValidation
    } else if (validation === BY_BUS_RANGE) {
      const bus = sourceId >>> 8
      const swapped = this.#quirks.sourceValidationBusRangeSwapped
      const first = swapped ? sid & 0xff : sid >>> 8
      const last = swapped ? sid >>> 8 : sid & 0xff
      if (bus < first || bus > last) return FAULT.sourceValidation
    }
    return 0
  }

  /** What is reserved depends on whether the entry is for a remapped or, with CAP.PI, a posted interrupt. */
  #hasReserved(at: number): boolean {
    const { raw } = this.#cache
    const word0 = raw[at]!
    if (raw[at + 2]! & RESERVED_WORD2) return true
    if ((word0 & IM) !== 0) {
      if (this.#capabilities.PI !== 0) {
        this.posts = true
        const reserved =
          (word0 & POSTED_RESERVED_WORD0) |
          (raw[at + 1]! & POSTED_RESERVED_WORD1) |
          (raw[at + 3]! & this.#beyondHost)
        return reserved !== 0
      }
      if (!this.#quirks.irteModeBitNotChecked) return true
    }
    const reserved =
      (word0 & RESERVED_WORD0) |
      raw[at + 3]! |
      (this.extended ? 0 : raw[at + 1]! & ~XAPIC_DESTINATION) |
      ((DELIVERY_MODE_RESERVED >>> ((word0 >>> 5) & 7)) & 1)
    return reserved !== 0
  }

  /** Posts by the entry last resolved: 0, or the reason code of what is wrong with the descriptor. */
  post(message: InterruptMessage): number {
    return this.posting.post(this.#cache.raw, this.slot * IRTE_WORDS, this.extended, message)
  }

  /** Keeps the entry last read. Caching mode keeps erroneous ones too. */
  commit(reason: number): void {
    if (this.slot !== this.#cache.scratch) return
    const erroneous = reason === FAULT.irteNotPresent || reason === FAULT.irteReserved
    if (!erroneous || this.#capabilities.CM !== 0) this.#cache.keepScratch(this.index)
  }

  /** Fills a message from the entry last resolved. */
  compose(message: InterruptMessage): void {
    const { raw } = this.#cache
    const at = this.slot * IRTE_WORDS
    const word0 = raw[at]!
    message.extended = this.extended
    message.destination = this.extended ? raw[at + 1]! : (raw[at + 1]! >>> 8) & 0xff
    message.logical = (word0 & DM) !== 0
    message.redirectionHint = (word0 & RH) !== 0
    message.levelTriggered = (word0 & TM) !== 0
    message.deliveryMode = (word0 >>> 5) & 7
    message.vector = (word0 >>> 16) & 0xff
  }
}
