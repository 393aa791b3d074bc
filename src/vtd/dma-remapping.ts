/**
 * "Hardware handling of requests": from source-id, PASID and address to a host page or a reason code, through the
 * caches; legacy mode is here, scalable mode next door. Resolving has no side effects but on this object's own record of
 * the last request, so a request can be explained without being made; `commit` then fills the caches and sets flags.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE, type MemoryRequest } from '../pcie/index.ts'
import { ACCESS } from './access.ts'
import type { UnitCapabilities } from './capabilities.ts'
import type { ContextCache } from './context-cache.ts'
import { FAULT } from './formats/fault-codes.ts'
import { TRANSLATION_TABLE_MODE } from './formats/registers.ts'
import { PASID_GRANULAR_TRANSLATION_TYPE as PGTT, TRANSLATION_TYPE } from './formats/structures.ts'
import { InterruptRange } from './interrupt-range.ts'
import { FAULT_SHIFT, type Iotlb } from './iotlb.ts'
import { legacyReason } from './legacy-reasons.ts'
import { LegacyTables } from './legacy-tables.ts'
import { NearTranslation } from './near-translation.ts'
import { lowerBits, upperBits } from './paging-geometry.ts'
import type { Quirks } from './quirks.ts'
import { ScalableTranslation } from './scalable-translation.ts'
import { PRESENT, READ, SecondStageWalker, WALK, WRITE } from './second-stage.ts'
import { ERRONEOUS } from './structure-cache.ts'
import { addressSpace, KIND } from './tagged-cache.ts'
import type { TranslationCaches } from './translation-caches.ts'

// Imported bindings are looked up at each use; a module's own constants are not.
const LEGACY = TRANSLATION_TABLE_MODE.legacy
const SCALABLE = TRANSLATION_TABLE_MODE.scalable
const { secondStage: SECOND_STAGE, passThrough: PASS_THROUGH } = TRANSLATION_TYPE
const UNTRANSLATED = ADDRESS_TYPE.untranslated
const IS_SECOND_STAGE = KIND.secondStage
const WALKED = WALK.done
const RIGHTS = PRESENT
const REPORT = ACCESS.report
/** Requests of which either right is enough, or that take what there is. */
const UNDEMANDING = ACCESS.either | ACCESS.report
/** Not a result: tables decide. */
const TO_BE_WALKED = -2

/** Besides reason codes, `resolve` returns this: all DMA is aborted, and no fault is recorded (abort-DMA mode). */
export const ABORTED = -1

export class DmaRemapping {
  readonly #capabilities: UnitCapabilities
  readonly #contexts: ContextCache
  readonly #iotlb: Iotlb
  readonly #cachingMode: boolean
  readonly #quirks: Quirks
  readonly #hostPages: number
  readonly #interruptRange: InterruptRange
  readonly walker: SecondStageWalker
  readonly near: NearTranslation
  readonly legacy: LegacyTables
  readonly scalable: ScalableTranslation

  /** What SRTP latched from RTADDR. */
  rootTable: PageNumber = 0
  #mode: number = LEGACY
  #effectiveMode: number = LEGACY

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
    this.#contexts = caches.contexts
    this.#iotlb = caches.iotlb
    this.#cachingMode = capabilities.CM !== 0 && !quirks.notPresentNeverCached
    this.#quirks = quirks
    this.#hostPages = 2 ** (hostAddressWidth - 12)
    this.#interruptRange = new InterruptRange(quirks)
    this.walker = new SecondStageWalker(memory, capabilities, hostAddressWidth, caches.paging, quirks)
    this.near = new NearTranslation(memory, this.walker, caches.iotlb, this.#interruptRange)
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

  get mode(): number {
    return this.#mode
  }

  set mode(mode: number) {
    this.#mode = mode
    this.#effectiveMode = this.#inEffect(mode)
  }

  /** The mode in effect; ABORTED for abort-DMA, -2 for one that the unit has not. */
  get effectiveMode(): number {
    return this.#effectiveMode
  }

  #inEffect(mode: number): number {
    const { SMTS, ADMS } = this.#capabilities
    const { legacy, scalable, abort } = TRANSLATION_TABLE_MODE
    if (this.#quirks.reservedTranslationTableModeAccepted) return SMTS === 0 ? legacy : mode & 1
    if (mode === legacy || (mode === scalable && SMTS !== 0)) return mode
    return mode === abort && ADMS !== 0 ? ABORTED : -2
  }

  /**
   * Translates a request while translation is enabled. `access` is a set of ACCESS bits. Returns 0 with `frame` set, a
   * reason code, or ABORTED.
   */
  resolve(sourceId: number, page: PageNumber, access: number, addressType: number, pasid: number): number {
    this.contextSlot = -1
    this.iotlbSlot = -1
    this.walked = false
    this.tableReads = 0
    if (this.#effectiveMode !== LEGACY) return this.#resolveOther(sourceId, page, access, addressType, pasid)
    this.isScalable = false
    return (this.reason = this.#resolveLegacy(sourceId, page, access, addressType, pasid))
  }

  #resolveLegacy(
    sourceId: number,
    page: PageNumber,
    access: number,
    addressType: number,
    pasid: number,
  ): number {
    if (pasid >= 0) return FAULT.pasidInLegacyMode
    const contexts = this.#contexts
    let slot = contexts.lookup(sourceId)
    if (slot < 0 || !isLegacy(contexts.kindOf(slot))) {
      const fault = this.legacy.readContext(this.rootTable, sourceId)
      this.tableReads = this.legacy.reads
      if (fault !== 0) return fault
      slot = contexts.scratch
    }
    this.contextSlot = slot
    const kind = contexts.kindOf(slot)
    if (kind !== SECOND_STAGE || addressType !== UNTRANSLATED) {
      const early = this.#resolveUnwalked(kind, page, addressType)
      if (early !== TO_BE_WALKED) return early
    }
    if (page >= contexts.limitOf(slot)) return FAULT.addressBeyondWidth

    const demanded = access & UNDEMANDING ? 0 : access & RIGHTS
    const iotlb = this.#iotlb
    const space = addressSpace(contexts.domainIdOf(slot), IS_SECOND_STAGE)
    const hit = iotlb.lookup(space, iotlb.ownerOf(sourceId), page)
    if (hit >= 0) return this.#grantCached(hit, page, access, demanded)

    const { walker } = this
    const levels = contexts.levelsOf(slot)
    const low = contexts.wordOf(slot, 0)
    const high = contexts.wordOf(slot, 1)
    const lower = lowerBits(page)
    const result = walker.walk(space, low, high, levels, page, lower, upperBits(page), demanded, RIGHTS)
    this.walked = true
    this.walkResult = result
    this.tableReads += walker.reads
    if (result !== WALKED) return this.#walkFault(result, access, levels)
    this.attributes = walker.legacyGrants
    this.level = walker.level
    this.frame = walker.frameOf(page)
    return this.#grant(access) || this.#output()
  }

  /** What of a context entry and a request's address type makes tables unneeded; else TO_BE_WALKED. */
  #resolveUnwalked(kind: number, page: PageNumber, addressType: number): number {
    if (kind >= ERRONEOUS) return kind - ERRONEOUS
    if (addressType !== ADDRESS_TYPE.untranslated) {
      if (kind !== TRANSLATION_TYPE.secondStageWithDeviceTlb) return FAULT.addressTypeBlocked
      if (addressType === ADDRESS_TYPE.translated) return this.#unchanged(page)
    }
    return kind === TRANSLATION_TYPE.passThrough ? this.#unchanged(page) : TO_BE_WALKED
  }

  #grantCached(slot: number, page: PageNumber, access: number, demanded: number): number {
    const iotlb = this.#iotlb
    const attributes = iotlb.attributesOf(slot)
    this.iotlbSlot = slot
    if ((demanded & ~attributes) !== 0 || (attributes & PRESENT) === 0) {
      return permissionFault(access, attributes)
    }
    if (attributes >>> FAULT_SHIFT !== 0) return attributes >>> FAULT_SHIFT
    this.attributes = attributes
    this.level = iotlb.levelOf(slot)
    this.frame = iotlb.translate(slot, page)
    return this.#grant(access) || this.#output()
  }

  #walkFault(result: number, access: number, levels: number): number {
    const { walker } = this
    if (result === WALK.permission) return permissionFault(access, walker.rights)
    if (result === WALK.reserved) return FAULT.secondStageReserved
    return walker.level === levels ? FAULT.contextInvalid : FAULT.secondStageAccess
  }

  /** A translation request gets what there is of what it asks for. */
  #grant(access: number): number {
    this.access = access
    if ((access & REPORT) === 0) return 0
    this.access = (access & ~PRESENT) | (this.attributes & (READ | (access & WRITE)))
    return this.access & PRESENT ? 0 : FAULT.readPermission
  }

  /** Any mode but legacy. */
  #resolveOther(
    sourceId: number,
    page: PageNumber,
    access: number,
    addressType: number,
    pasid: number,
  ): number {
    const mode = this.#effectiveMode
    this.isScalable = mode === SCALABLE
    if (mode !== SCALABLE) return (this.reason = mode === ABORTED ? ABORTED : FAULT.translationTableMode)
    const reason = this.#resolveScalable(sourceId, page, access, addressType, pasid)
    this.reason = reason
    if (reason === 0 || !this.#quirks.legacyReasonInScalableMode) return reason
    return legacyReason(reason, (access & ACCESS.write) !== 0, this.scalable.type === PGTT.secondStage)
  }

  #resolveScalable(
    sourceId: number,
    page: PageNumber,
    access: number,
    addressType: number,
    pasid: number,
  ): number {
    const { scalable } = this
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
    this.frame = page
    return this.#output()
  }

  /** The interrupt range is never a target of DMA, however the address came about. */
  #output(): number {
    if (this.#interruptRange.holds(this.frame, this.level)) {
      const asScalable = this.#quirks.interruptRangeReasonFollowsCapability && this.#capabilities.SMTS !== 0
      return asScalable ? FAULT.scalableInterruptRangeOutput : FAULT.interruptRangeOutput
    }
    return 0
  }

  /** After {@link resolve} with 0: lets requests for pages nearby use the page table, if it was all that was read. */
  keepNear(request: MemoryRequest): void {
    if (this.isScalable || !this.walked) return
    const contexts = this.#contexts
    const space = addressSpace(contexts.domainIdOf(this.contextSlot), IS_SECOND_STAGE)
    this.near.keep(request, space, contexts.limitOf(this.contextSlot))
  }

  /** After a walk, whether it found a leaf or not: the level of the last entry that it looked at. */
  get walkedLevel(): number {
    if (!this.isScalable || this.scalable.type === PGTT.secondStage) return this.walker.level
    return this.scalable.first.level
  }

  /** OR of FPD in the entries that the last request was judged by. */
  get faultProcessingDisable(): boolean {
    if (this.isScalable) return this.scalable.tables.faultProcessingDisable
    return this.contextSlot >= 0 && this.#contexts.faultProcessingDisabled(this.contextSlot)
  }

  /**
   * Keeps what the last `resolve` read in the caches, and sets accessed and dirty flags. Erroneous entries are kept in
   * caching mode only. Returns whether an entry was replaced or dropped.
   */
  commit(sourceId: number, page: PageNumber): boolean {
    const { reason } = this
    if (this.isScalable) return this.scalable.commit(sourceId, page, reason)
    const contexts = this.#contexts
    const { contextSlot } = this
    let replaced = false
    if (contextSlot === contexts.scratch && (this.#cachingMode || contexts.kindOf(contextSlot) < ERRONEOUS)) {
      replaced = contexts.keepScratch(sourceId)
    }
    if (!this.walked) return replaced
    const iotlb = this.#iotlb
    const space = addressSpace(contexts.domainIdOf(contextSlot), IS_SECOND_STAGE)
    const owner = iotlb.ownerOf(sourceId)
    if (this.walkResult !== WALKED) return this.#commitFault(space, owner, page) || replaced
    const { walker } = this
    if (walker.top > walker.level) walker.fillCaches(space)
    return iotlb.fill(space, owner, walker.level, page, this.frame, this.attributes) || replaced
  }

  /** Rights that a walk left come first for each request, as in the walk; those of an entry not present are none. */
  #commitFault(space: number, owner: number, page: PageNumber): boolean {
    const permission = this.walkResult === WALK.permission
    const rights = this.walker.rights & PRESENT
    if (!this.#cachingMode || (permission && rights !== 0)) return false
    const attributes = rights | (permission ? 0 : this.reason << FAULT_SHIFT)
    return this.#iotlb.fill(space, owner, 1, page, page, attributes)
  }
}

/** Kinds of legacy context entries: their TT, or a reason code of legacy mode. */
const isLegacy = (kind: number): boolean =>
  kind <= PASS_THROUGH || (kind >= ERRONEOUS && kind < ERRONEOUS + FAULT.scalableRootAccess)

const permissionFault = (access: number, rights: number): number =>
  access & ACCESS.write & ~rights ? FAULT.writePermission : FAULT.readPermission
