/**
 * "Hardware handling of requests" in legacy mode: from source-id and address to a host page or a reason code, through
 * context cache and IOTLB. Resolving has no side effects but on this object's own record of the last request, so a
 * request can be explained without being made; `commit` then fills the caches.
 */
import type { PageNumber } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { type ContextCache, ERRONEOUS } from './context-cache.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { TRANSLATION_TABLE_MODE } from './formats/registers.ts'
import { ADDRESS_WIDTHS, AW_LEVELS_OFFSET, TRANSLATION_TYPE } from './formats/structures.ts'
import type { Iotlb } from './iotlb.ts'
import { SecondStageWalker, WALK, WRITE } from './second-stage.ts'

/** Besides reason codes, `resolve` returns this: all DMA is aborted, and no fault is recorded (abort-DMA mode). */
export const ABORTED = -1

export class DmaRemapping {
  readonly #memory: PhysicalMemory
  readonly #capabilities: UnitCapabilities
  readonly #contexts: ContextCache
  readonly #iotlb: Iotlb
  readonly #hostPages: number
  /** Pages below CAP.MGAW + 1 bits. */
  readonly #guestPages: number
  readonly #reservedHigh: number
  readonly #domainMask: number
  readonly walker: SecondStageWalker

  /** What SRTP latched from RTADDR. */
  rootTable: PageNumber = 0
  mode: number = TRANSLATION_TABLE_MODE.legacy

  // The last request resolved.
  /** Host page, if the result was 0. */
  frame: PageNumber = 0
  /** Slot of the context entry used; `ContextCache.scratch` if memory answered. -1 if none was reached. */
  contextSlot = -1
  /** Slot of the IOTLB entry that answered, or -1. */
  iotlbSlot = -1
  /** Whether paging structures were walked. */
  walked = false
  walkResult = 0
  tableReads = 0
  /** The root entry read, valid if memory answered for the context entry. */
  readonly root = new Uint32Array(4)

  constructor(
    memory: PhysicalMemory,
    capabilities: UnitCapabilities,
    hostAddressWidth: number,
    contexts: ContextCache,
    iotlb: Iotlb,
  ) {
    this.#memory = memory
    this.#capabilities = capabilities
    this.#contexts = contexts
    this.#iotlb = iotlb
    this.#hostPages = 2 ** (hostAddressWidth - 12)
    this.#guestPages = 2 ** (capabilities.MGAW + 1 - 12)
    this.#reservedHigh = (0xffff_ffff << (hostAddressWidth - 32)) >>> 0
    this.#domainMask = (1 << (4 + 2 * capabilities.ND)) - 1
    this.walker = new SecondStageWalker(memory, capabilities, hostAddressWidth)
  }

  /**
   * Translates a request while translation is enabled. `want` is READ, WRITE, or both where either right will do.
   * Returns 0 with `frame` set, a reason code, or ABORTED.
   */
  resolve(sourceId: number, page: PageNumber, want: number, addressType: number, pasid: number): number {
    this.contextSlot = -1
    this.iotlbSlot = -1
    this.walked = false
    this.tableReads = 0
    if (this.mode !== TRANSLATION_TABLE_MODE.legacy) {
      const aborts = this.mode === TRANSLATION_TABLE_MODE.abort && this.#capabilities.ADMS !== 0
      return aborts ? ABORTED : FAULT.translationTableMode
    }
    if (pasid >= 0) return FAULT.pasidInLegacyMode
    const contexts = this.#contexts
    let slot = contexts.lookup(sourceId)
    if (slot < 0) {
      const fault = this.#readContext(sourceId)
      if (fault !== 0) return fault
      slot = contexts.scratch
    }
    this.contextSlot = slot
    const kind = contexts.kindOf(slot)
    if (kind !== TRANSLATION_TYPE.secondStage || addressType !== ADDRESS_TYPE.untranslated) {
      if (kind >= ERRONEOUS) return kind - ERRONEOUS
      if (addressType !== ADDRESS_TYPE.untranslated) {
        if (kind !== TRANSLATION_TYPE.secondStageWithDeviceTlb) return FAULT.addressTypeBlocked
        if (addressType === ADDRESS_TYPE.translated) return this.#unchanged(page)
      }
      if (kind === TRANSLATION_TYPE.passThrough) return this.#unchanged(page)
    }
    if (page >= contexts.limit[slot]!) return FAULT.addressBeyondWidth

    const iotlb = this.#iotlb
    const hit = iotlb.lookup(contexts.domainIdOf(slot), page)
    if (hit >= 0) {
      this.iotlbSlot = hit
      const attributes = iotlb.attributesOf(hit)
      if ((attributes & want) === 0) return permissionFault(want)
      return attributes >>> 8 || this.#output(iotlb.translate(hit, page))
    }
    return this.#walk(contexts.root[slot]!, contexts.levelsOf(slot), page, want)
  }

  #walk(root: PageNumber, levels: number, page: PageNumber, want: number): number {
    const { walker } = this
    const result = walker.walk(root, levels, page, want)
    this.walked = true
    this.walkResult = result
    this.tableReads += walker.reads
    switch (result) {
      case WALK.done:
        return this.#output(walker.leafFrame + walker.pagesIntoLeaf(page))
      case WALK.permission:
        return permissionFault(want)
      case WALK.reserved:
        return FAULT.secondStageReserved
      default:
        return walker.level === levels ? FAULT.contextInvalid : FAULT.secondStageAccess
    }
  }

  /** "Pass-Through" and translated requests: the address is a host address, limited by the host's width only. */
  #unchanged(page: PageNumber): number {
    return page >= this.#hostPages ? FAULT.addressBeyondWidth : this.#output(page)
  }

  /** The interrupt range is never a target of DMA, however the address came about. */
  #output(frame: PageNumber): number {
    if (frame >= INTERRUPT_FIRST_PAGE && frame <= INTERRUPT_LAST_PAGE) return FAULT.interruptRangeOutput
    this.frame = frame
    return 0
  }

  /** "Root Entry", "Context Entry": reads both and decodes the latter into the scratch slot. Returns a reason or 0. */
  #readContext(sourceId: number): number {
    const rootPage = this.#memory.page(this.rootTable)
    if (rootPage === undefined) return FAULT.rootAccess
    const { root } = this
    const rootAt = (sourceId >>> 8) * 4
    this.tableReads++
    for (let word = 0; word < 4; word++) root[word] = rootPage.words[rootAt + word]!
    if ((root[0]! & 1) === 0) return FAULT.rootNotPresent
    if ((root[0]! & 0xffe) | (root[1]! & this.#reservedHigh) | root[2]! | root[3]!) return FAULT.rootReserved

    const contextPage = this.#memory.page(root[1]! * 0x10_0000 + (root[0]! >>> 12))
    if (contextPage === undefined) return FAULT.contextAccess
    const contexts = this.#contexts
    const slot = contexts.scratch
    const at = (sourceId & 0xff) * 4
    this.tableReads++
    for (let word = 0; word < 4; word++) contexts.raw[slot * 4 + word] = contextPage.words[at + word]!
    const fault = this.#decodeContext(slot)
    // Caching mode keeps erroneous entries, tagged with the domain-id that is reserved for them.
    if (fault !== 0) contexts.decodeScratch(0, ERRONEOUS + fault, 0, 0, 0)
    return 0
  }

  #decodeContext(slot: number): number {
    const contexts = this.#contexts
    const c = this.#capabilities
    const low = contexts.raw[slot * 4]!
    const high = contexts.raw[slot * 4 + 1]!
    const upper = contexts.raw[slot * 4 + 2]!
    if ((low & 1) === 0) return FAULT.contextNotPresent
    const translationType = (low >>> 2) & 3
    const domainId = (upper >>> 8) & 0xffff
    const passThrough = translationType === TRANSLATION_TYPE.passThrough
    if ((low & 0xff0) | (upper & 0xff00_0080) | contexts.raw[slot * 4 + 3]!) return FAULT.contextReserved
    if (domainId & ~this.#domainMask) return FAULT.contextReserved
    // SSPTPTR is ignored for pass-through, bits beyond the host's width included.
    if (!passThrough && (high & this.#reservedHigh) !== 0) return FAULT.contextReserved

    const aw = upper & 7
    const width = ADDRESS_WIDTHS[aw]
    if (width === undefined || ((c.SAGAW >>> aw) & 1) === 0) return FAULT.contextInvalid
    if (translationType === 3 || (passThrough && c.PT === 0)) return FAULT.contextInvalid
    if (translationType === TRANSLATION_TYPE.secondStageWithDeviceTlb && c.DT === 0) {
      return FAULT.contextInvalid
    }
    contexts.decodeScratch(
      domainId,
      translationType,
      aw + AW_LEVELS_OFFSET,
      high * 0x10_0000 + (low >>> 12),
      Math.min(this.#guestPages, 2 ** (width.bits - 12)),
    )
    return 0
  }

  /** FPD of the context entry that the last request was judged by. */
  get faultProcessingDisable(): boolean {
    return this.contextSlot >= 0 && this.#contexts.faultProcessingDisabled(this.contextSlot)
  }

  /**
   * Keeps what the last `resolve` read in the caches. Erroneous entries are kept in caching mode only. Returns whether
   * another entry was replaced.
   */
  commit(sourceId: number, page: PageNumber, reason: number): boolean {
    const contexts = this.#contexts
    const { contextSlot, walker } = this
    const cachingMode = this.#capabilities.CM !== 0
    let replaced = false
    if (contextSlot === contexts.scratch && (cachingMode || contexts.kindOf(contextSlot) < ERRONEOUS)) {
      replaced = contexts.keepScratch(sourceId)
    }
    if (!this.walked) return replaced
    const domainId = contexts.domainIdOf(contextSlot)
    if (this.walkResult === WALK.done) {
      return this.#iotlb.fill(domainId, walker.level, page, walker.leafFrame, walker.rights, 0) || replaced
    }
    // Rights that the walk left come first for each request, as in the walk; those of an entry not present are none.
    const permission = this.walkResult === WALK.permission
    if (!cachingMode || (permission && walker.rights !== 0)) return replaced
    return this.#iotlb.fill(domainId, 1, page, 0, walker.rights, permission ? 0 : reason) || replaced
  }
}

const permissionFault = (want: number): number =>
  want === WRITE ? FAULT.writePermission : FAULT.readPermission
