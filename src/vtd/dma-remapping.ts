/**
 * "Hardware handling of requests": from source-id, PASID and address to a host page or a reason code, through the
 * caches; legacy mode is here, scalable mode next door. Resolving has no side effects but on this object's own record of
 * the last request, so a request can be explained without being made; `commit` then fills the caches and sets flags.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { ACCESS, FIRST_STAGE_GRANTS, GRANT } from './access.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { TRANSLATION_TABLE_MODE } from './formats/registers.ts'
import { PASID_GRANULAR_TRANSLATION_TYPE as PGTT, TRANSLATION_TYPE } from './formats/structures.ts'
import { InterruptRange } from './interrupt-range.ts'
import { FAULT_SHIFT } from './iotlb.ts'
import { legacyReason } from './legacy-reasons.ts'
import { LegacyTables } from './legacy-tables.ts'
import type { Quirks } from './quirks.ts'
import { ScalableTranslation } from './scalable-translation.ts'
import { PRESENT, READ, SecondStageWalker, WALK, WRITE } from './second-stage.ts'
import { ERRONEOUS } from './structure-cache.ts'
import { addressSpace, KIND } from './tagged-cache.ts'
import type { TranslationCaches } from './translation-caches.ts'

/** What second-stage tables of legacy mode leave out. */
const WITHOUT_FIRST_STAGE = GRANT.execute | FIRST_STAGE_GRANTS

/** Besides reason codes, `resolve` returns this: all DMA is aborted, and no fault is recorded (abort-DMA mode). */
export const ABORTED = -1

export class DmaRemapping {
  readonly #capabilities: UnitCapabilities
  readonly #caches: TranslationCaches
  readonly #quirks: Quirks
  readonly #hostPages: number
  readonly #interruptRange: InterruptRange
  readonly walker: SecondStageWalker
  readonly legacy: LegacyTables
  readonly scalable: ScalableTranslation

  /** What SRTP latched from RTADDR. */
  rootTable: PageNumber = 0
  mode: number = TRANSLATION_TABLE_MODE.legacy

  // The last request resolved.
  /** Host page, if the result was 0. */
  frame: PageNumber = 0
  /** Whether scalable mode served it. */
  isScalable = false
  /** Slot of the context entry used; `scratch` of the cache if memory answered. -1 if none was reached. */
  contextSlot = -1
  /** Slot of the IOTLB entry that answered, or -1. */
  iotlbSlot = -1
  /** Whether paging structures were walked. */
  walked = false
  walkResult = 0
  /** What `resolve` returned, or would have if the unit had no quirks about codes. */
  reason = 0
  tableReads = 0
  /** If the result was 0: ACCESS bits granted, GRANT bits of the translation, and level of the leaf. */
  access = 0
  attributes = 0
  level = 1

  constructor(
    memory: PhysicalMemory,
    capabilities: UnitCapabilities,
    hostAddressWidth: number,
    caches: TranslationCaches,
    quirks: Quirks,
  ) {
    this.#capabilities = capabilities
    this.#caches = caches
    this.#quirks = quirks
    this.#hostPages = 2 ** (hostAddressWidth - 12)
    this.#interruptRange = new InterruptRange(quirks)
    this.walker = new SecondStageWalker(memory, capabilities, hostAddressWidth, caches.paging, quirks)
    this.legacy = new LegacyTables(memory, capabilities, hostAddressWidth, caches.contexts)
    this.scalable = new ScalableTranslation(
      memory,
      capabilities,
      hostAddressWidth,
      caches,
      this.walker,
      quirks,
    )
  }

  /** The mode in effect; ABORTED for abort-DMA, -2 for one that the unit has not. */
  get effectiveMode(): number {
    const { SMTS, ADMS } = this.#capabilities
    const { legacy, scalable, abort } = TRANSLATION_TABLE_MODE
    if (this.#quirks.reservedTranslationTableModeAccepted) return SMTS === 0 ? legacy : this.mode & 1
    if (this.mode === legacy || (this.mode === scalable && SMTS !== 0)) return this.mode
    return this.mode === abort && ADMS !== 0 ? ABORTED : -2
  }

  /**
   * Translates a request while translation is enabled. `access` is a set of ACCESS bits. Returns 0 with `frame` set, a
   * reason code, or ABORTED.
   */
  resolve(sourceId: number, page: PageNumber, access: number, addressType: number, pasid: number): number {
    const reason = this.#resolve(sourceId, page, access, addressType, pasid)
    this.reason = reason
    if (reason === 0 || !this.isScalable || !this.#quirks.legacyReasonInScalableMode) return reason
    return legacyReason(reason, (access & ACCESS.write) !== 0, this.scalable.type === PGTT.secondStage)
  }

  #resolve(sourceId: number, page: PageNumber, access: number, addressType: number, pasid: number): number {
    this.contextSlot = -1
    this.iotlbSlot = -1
    this.walked = false
    this.tableReads = 0
    this.isScalable = false
    if (this.mode !== TRANSLATION_TABLE_MODE.legacy) {
      const mode = this.effectiveMode
      if (mode === TRANSLATION_TABLE_MODE.scalable) {
        return this.#resolveScalable(sourceId, page, access, addressType, pasid)
      }
      if (mode !== TRANSLATION_TABLE_MODE.legacy) {
        return mode === ABORTED ? ABORTED : FAULT.translationTableMode
      }
    }
    if (pasid >= 0) return FAULT.pasidInLegacyMode
    const { contexts, iotlb } = this.#caches
    let slot = contexts.lookup(sourceId)
    if (slot < 0 || !isLegacy(contexts.kindOf(slot))) {
      const fault = this.legacy.readContext(this.rootTable, sourceId)
      this.tableReads = this.legacy.reads
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
    if (page >= contexts.limitOf(slot)) return FAULT.addressBeyondWidth

    const demanded = access & (ACCESS.either | ACCESS.report) ? 0 : access & PRESENT
    const space = addressSpace(contexts.domainIdOf(slot), KIND.secondStage)
    const hit = iotlb.lookup(space, iotlb.ownerOf(sourceId), page)
    if (hit >= 0) {
      this.iotlbSlot = hit
      const attributes = iotlb.attributesOf(hit)
      if ((demanded & ~attributes) !== 0 || (attributes & PRESENT) === 0) {
        return permissionFault(access, attributes)
      }
      if (attributes >>> FAULT_SHIFT !== 0) return attributes >>> FAULT_SHIFT
      this.attributes = attributes
      this.level = iotlb.levelOf(hit)
      return this.#grant(access) || this.#output(iotlb.translate(hit, page))
    }
    return this.#walk(slot, space, page, access, demanded)
  }

  #walk(slot: number, space: number, page: PageNumber, access: number, demanded: number): number {
    const { contexts } = this.#caches
    const { walker } = this
    const levels = contexts.levelsOf(slot)
    const result = walker.walk(space, contexts.rootOf(slot), levels, page, demanded, PRESENT)
    this.walked = true
    this.walkResult = result
    this.tableReads += walker.reads
    switch (result) {
      case WALK.done:
        this.attributes = (walker.rights & PRESENT) | WITHOUT_FIRST_STAGE | walker.leafGrants
        this.level = walker.level
        return this.#grant(access) || this.#output(walker.frameOf(page))
      case WALK.permission:
        return permissionFault(access, walker.rights)
      case WALK.reserved:
        return FAULT.secondStageReserved
      default:
        return walker.level === levels ? FAULT.contextInvalid : FAULT.secondStageAccess
    }
  }

  /** A translation request gets what there is of what it asks for. */
  #grant(access: number): number {
    this.access = access
    if ((access & ACCESS.report) === 0) return 0
    this.access = (access & ~PRESENT) | (this.attributes & (READ | (access & WRITE)))
    return this.access & PRESENT ? 0 : FAULT.readPermission
  }

  #resolveScalable(
    sourceId: number,
    page: PageNumber,
    access: number,
    addressType: number,
    pasid: number,
  ): number {
    const { scalable } = this
    this.isScalable = true
    const reason = scalable.resolve(this.rootTable, sourceId, page, access, addressType, pasid)
    this.contextSlot = scalable.tables.contextSlot
    this.iotlbSlot = scalable.iotlbSlot
    this.walked = scalable.walked
    this.tableReads = scalable.tableReads
    this.frame = scalable.frame
    this.access = scalable.access
    this.attributes = scalable.attributes
    this.level = scalable.level
    return reason
  }

  /** The checks of root and context entry that a page request is subject to. Returns 0, a reason code or ABORTED. */
  resolvePageRequest(sourceId: number, pasid: number): number {
    this.contextSlot = -1
    this.iotlbSlot = -1
    this.walked = false
    const mode = this.effectiveMode
    if (mode === ABORTED) return ABORTED
    this.isScalable = mode === TRANSLATION_TABLE_MODE.scalable
    if (mode === TRANSLATION_TABLE_MODE.legacy) return FAULT.pageRequestInLegacyMode
    if (!this.isScalable) return FAULT.translationTableMode
    const { tables } = this.scalable
    const reason = tables.checkPageRequest(this.rootTable, sourceId, pasid)
    this.tableReads = tables.reads
    this.contextSlot = tables.contextSlot
    return reason
  }

  /** "Pass-Through" and translated requests: the address is a host address, limited by the host's width only. */
  #unchanged(page: PageNumber): number {
    if (page >= this.#hostPages) return FAULT.addressBeyondWidth
    this.level = 1
    return this.#output(page)
  }

  /** The interrupt range is never a target of DMA, however the address came about. */
  #output(frame: PageNumber): number {
    if (this.#interruptRange.holds(frame, this.level)) {
      const asScalable = this.#quirks.interruptRangeReasonFollowsCapability && this.#capabilities.SMTS !== 0
      return asScalable ? FAULT.scalableInterruptRangeOutput : FAULT.interruptRangeOutput
    }
    this.frame = frame
    return 0
  }

  /** OR of FPD in the entries that the last request was judged by. */
  get faultProcessingDisable(): boolean {
    if (this.isScalable) return this.scalable.tables.faultProcessingDisable
    return this.contextSlot >= 0 && this.#caches.contexts.faultProcessingDisabled(this.contextSlot)
  }

  /**
   * Keeps what the last `resolve` read in the caches, and sets accessed and dirty flags. Erroneous entries are kept in
   * caching mode only. Returns whether an entry was replaced or dropped.
   */
  commit(sourceId: number, page: PageNumber): boolean {
    const { reason } = this
    if (this.isScalable) return this.scalable.commit(sourceId, page, reason)
    const { contexts, iotlb } = this.#caches
    const { contextSlot, walker } = this
    const cachingMode = this.#capabilities.CM !== 0 && !this.#quirks.notPresentNeverCached
    let replaced = false
    if (contextSlot === contexts.scratch && (cachingMode || contexts.kindOf(contextSlot) < ERRONEOUS)) {
      replaced = contexts.keepScratch(sourceId)
    }
    if (!this.walked) return replaced
    const space = addressSpace(contexts.domainIdOf(contextSlot), KIND.secondStage)
    const owner = iotlb.ownerOf(sourceId)
    if (this.walkResult === WALK.done) {
      walker.fillCaches(space)
      const frame = walker.frameOf(page)
      return iotlb.fill(space, owner, walker.level, page, frame, this.attributes) || replaced
    }
    // Rights that the walk left come first for each request, as in the walk; those of an entry not present are none.
    const permission = this.walkResult === WALK.permission
    const rights = walker.rights & PRESENT
    if (!cachingMode || (permission && rights !== 0)) return replaced
    const attributes = rights | (permission ? 0 : reason << FAULT_SHIFT)
    return iotlb.fill(space, owner, 1, page, page, attributes) || replaced
  }
}

/** Kinds of legacy context entries: their TT, or a reason code of legacy mode. */
const isLegacy = (kind: number): boolean =>
  kind <= TRANSLATION_TYPE.passThrough || (kind >= ERRONEOUS && kind < ERRONEOUS + FAULT.scalableRootAccess)

const permissionFault = (access: number, rights: number): number =>
  access & ACCESS.write & ~rights ? FAULT.writePermission : FAULT.readPermission
