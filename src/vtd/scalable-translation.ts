/**
 * Requests in scalable mode, from the PASID-table entry on: pass-through, first-stage, second-stage and nested
 * translation, permissions, and the accessed and dirty flags to be set.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ACCESS, FIRST_STAGE_GRANTS, GRANT, SECOND_STAGE_GRANTS } from './access.ts'
import { AccessedDirtyUpdates } from './accessed-dirty.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { FirstStageWalker, isCanonical } from './first-stage.ts'
import { FAULT } from './formats/fault-codes.ts'
import { PASID_GRANULAR_TRANSLATION_TYPE as PGTT } from './formats/structures.ts'
import { AGAIN, GuestTables, secondStageReason } from './guest-tables.ts'
import { InterruptRange } from './interrupt-range.ts'
import { FAULT_SHIFT, type Iotlb } from './iotlb.ts'
import { lowerBits, upperBits } from './paging-geometry.ts'
import type { PasidCache } from './pasid-cache.ts'
import { PASID_FLAG, POINTER_WORDS } from './pasid-entry.ts'
import { denied, granted } from './permissions.ts'
import type { Quirks } from './quirks.ts'
import { PASS, ScalableTables } from './scalable-tables.ts'
import { PRESENT, PRESENT_WITH_EXECUTE, type SecondStageWalker, WALK } from './second-stage.ts'
import { addressSpace, KIND } from './tagged-cache.ts'
import type { TranslationCaches } from './translation-caches.ts'

// Imported bindings are looked up at each use; a module's own constants are not.
const { firstStage: FIRST_STAGE, secondStage: SECOND_STAGE, nested: NESTED } = PGTT
const { firstStage: IS_FIRST_STAGE, secondStage: IS_SECOND_STAGE, nested: IS_NESTED } = KIND
const { write: WRITE, privileged: PRIVILEGED, execute: EXECUTE, report: REPORT } = ACCESS
const { dirty: DIRTY, snoop: SNOOP } = GRANT
const { PGSNP, PWSNP, SLEE, SSADE } = PASID_FLAG
const FIRST_GRANTS = FIRST_STAGE_GRANTS
const SECOND_GRANTS = SECOND_STAGE_GRANTS
const { firstStage: FIRST_STAGE_POINTER, secondStage: SECOND_STAGE_POINTER } = POINTER_WORDS
const RIGHTS = PRESENT
const RIGHTS_WITH_EXECUTE = PRESENT_WITH_EXECUTE
const WALKED = WALK.done

export class ScalableTranslation {
  readonly #memory: PhysicalMemory
  readonly #pasids: PasidCache
  readonly #iotlb: Iotlb
  readonly #quirks: Quirks
  readonly #narrowedByAw: boolean
  readonly #cachingMode: boolean
  readonly #hostPages: number
  readonly #interruptRange: InterruptRange
  /** Bits of guest addresses, for a departing implementation's canonical check. */
  readonly #guestAddressWidth: number
  readonly tables: ScalableTables
  readonly first: FirstStageWalker
  readonly second: SecondStageWalker
  readonly #updates = new AccessedDirtyUpdates()
  readonly #guest: GuestTables

  // The last request.
  frame: PageNumber = 0
  /** Slot of the IOTLB entry that answered, or -1. */
  iotlbSlot = -1
  /** PGTT of the entry used; 0 if none was reached. */
  type = 0
  /** GRANT bits of the translation, and level that it has for all stages. */
  attributes = 0
  level = 1
  /** ACCESS bits that the request is granted. */
  access = 0
  walked = false
  tableReads = 0
  /** IOTLB entry that must not be used for a write, because D is not known to be set. */
  #stale = -1
  #space = 0
  #pasid = 0

  constructor(
    memory: PhysicalMemory,
    capabilities: UnitCapabilities,
    hostAddressWidth: number,
    caches: TranslationCaches,
    second: SecondStageWalker,
    quirks: Quirks,
  ) {
    this.#memory = memory
    this.#pasids = caches.pasids
    this.#iotlb = caches.iotlb
    this.#quirks = quirks
    this.#narrowedByAw = quirks.firstStageCanonicalCheckUsesAw
    this.#cachingMode = capabilities.CM !== 0 && !quirks.notPresentNeverCached
    this.#hostPages = 2 ** (hostAddressWidth - 12)
    this.#interruptRange = new InterruptRange(quirks)
    this.#guestAddressWidth = capabilities.MGAW + 1
    this.tables = new ScalableTables(memory, capabilities, hostAddressWidth, caches, quirks)
    this.first = new FirstStageWalker(memory, capabilities, hostAddressWidth, caches.paging, quirks)
    this.second = second
    this.#guest = new GuestTables(second, this.#updates)
  }

  /** Returns 0 with `frame`, `attributes`, `level` and `access` set, or a reason code. */
  resolve(
    rootTable: PageNumber,
    sourceId: number,
    page: PageNumber,
    access: number,
    addressType: number,
    pasid: number,
  ): number {
    this.iotlbSlot = -1
    this.walked = false
    this.type = 0
    this.#stale = -1
    this.#updates.count = 0
    const { tables } = this
    const privileged = (access & PRIVILEGED) !== 0
    const execute = (access & EXECUTE) !== 0
    const found = tables.find(rootTable, sourceId, addressType, pasid, privileged, execute)
    this.tableReads = tables.reads
    if (found === PASS) return this.#unchanged(page, access, 0)
    if (found !== 0) return found
    // Without PASID, RID_PRIV decides about privilege, and nothing is executed.
    const asked =
      (access & ~(PRIVILEGED | EXECUTE)) |
      (tables.privileged ? PRIVILEGED : 0) |
      (tables.execute ? EXECUTE : 0)

    const pasids = this.#pasids
    const iotlb = this.#iotlb
    const slot = tables.pasidSlot
    const type = pasids.kindOf(slot)
    const flags = pasids.flagsOf(slot)
    this.type = type
    if (type === PGTT.passThrough) return this.#unchanged(page, asked, flags)
    if (type === SECOND_STAGE) {
      if (page >= pasids.limitOf(slot)) return FAULT.scalableAddressBeyondWidth
    } else if (!isCanonical(page, this.#canonicalWidth(slot))) return FAULT.notCanonical

    const kind = type === SECOND_STAGE ? IS_SECOND_STAGE : type === FIRST_STAGE ? IS_FIRST_STAGE : IS_NESTED
    this.#space = addressSpace(pasids.domainIdOf(slot), kind)
    this.#pasid = kind === IS_SECOND_STAGE ? 0 : tables.pasid
    const hit = iotlb.lookup(this.#space, this.#pasid + iotlb.ownerOf(sourceId), page)
    if (hit < 0) return this.#walk(slot, page, asked, flags, true)
    const attributes = iotlb.attributesOf(hit)
    const reason = attributes >>> FAULT_SHIFT || this.#judge(attributes, asked, flags)
    const tracksDirty = kind !== KIND.secondStage || (flags & PASID_FLAG.SSADE) !== 0
    if (
      reason === 0 &&
      tracksDirty &&
      (this.access & ACCESS.write) !== 0 &&
      (attributes & GRANT.dirty) === 0 &&
      !this.#quirks.dirtyOrAccessedNotUpdated
    ) {
      this.#stale = hit
      return this.#walk(slot, page, asked, flags, true)
    }
    this.iotlbSlot = hit
    this.attributes = attributes
    this.level = iotlb.levelOf(hit)
    return reason || this.#output(iotlb.translate(hit, page))
  }

  /** The mode of first-stage paging decides about the width of addresses; AW is for the second stage. */
  #canonicalWidth(slot: number): number {
    const pasids = this.#pasids
    if (this.#narrowedByAw) {
      const aw = (pasids.raw[slot * pasids.wordsPerEntry]! >>> 2) & 7
      return Math.min(30 + 9 * aw, this.#guestAddressWidth)
    }
    return pasids.firstStageLevelsOf(slot) === 4 ? 48 : 57
  }

  /** Sets `access` to what of the request is granted; returns 0, or the reason why it is not. */
  #judge(attributes: number, access: number, flags: number): number {
    if ((access & REPORT) === 0) {
      this.access = access
      return denied(attributes, access, flags)
    }
    this.access = granted(attributes, access, flags)
    return this.access & (ACCESS.read | ACCESS.write) ? 0 : FAULT.scalableReadPermission
  }

  #walk(slot: number, page: PageNumber, access: number, flags: number, useCaches: boolean): number {
    const pasids = this.#pasids
    const { first, second, type } = this
    const updates = this.#updates
    const hasFirst = type !== SECOND_STAGE
    const hasSecond = type !== FIRST_STAGE
    const guest = type === NESTED ? this.#guest : undefined
    const secondSpace = addressSpace(pasids.domainIdOf(slot), IS_SECOND_STAGE)
    const secondLow = pasids.wordOf(slot, SECOND_STAGE_POINTER)
    const secondHigh = pasids.wordOf(slot, SECOND_STAGE_POINTER + 1)
    const secondLevels = pasids.levelsOf(slot)
    const limit = pasids.limitOf(slot)
    updates.count = 0
    second.journal?.restart()
    this.walked = true
    let attributes = 0
    let target = page
    if (hasFirst) {
      guest?.begin(secondSpace, secondLow, secondHigh, secondLevels, limit, flags)
      const reason = first.walk(
        this.#space,
        this.#pasid,
        pasids.wordOf(slot, FIRST_STAGE_POINTER),
        pasids.wordOf(slot, FIRST_STAGE_POINTER + 1),
        pasids.firstStageLevelsOf(slot),
        page,
        access,
        flags,
        guest,
        useCaches,
      )
      this.tableReads += first.reads
      if (reason !== 0) return reason
      attributes = first.grants | first.global | SECOND_GRANTS
      // A first stage that grants everything denies a user access nothing; the second stage's rights are judged below.
      if ((attributes & FIRST_GRANTS) !== FIRST_GRANTS || (access & PRIVILEGED) !== 0) {
        const early = this.#judge(attributes, access, flags)
        if (early !== 0) return early
      }
      if (flags & PGSNP) attributes |= SNOOP
      target = first.frameOf(page)
      this.level = first.level
    } else attributes = FIRST_GRANTS | SECOND_GRANTS
    if (hasSecond) {
      if (hasFirst && target >= limit) return FAULT.nestedAddressBeyondWidth
      const counts = flags & SLEE ? RIGHTS_WITH_EXECUTE : RIGHTS
      const result = second.walk(
        secondSpace,
        secondLow,
        secondHigh,
        secondLevels,
        target,
        lowerBits(target),
        upperBits(target),
        0,
        counts,
      )
      this.tableReads += second.reads
      if (result !== WALKED) return secondStageReason(result, second.level === secondLevels)
      attributes = (attributes & ~(counts & ~second.rights)) | (second.leafGrants & SNOOP)
      this.level = hasFirst ? Math.min(first.level, second.level) : second.level
      target = second.frameOf(target)
    }
    const reason = this.#judge(attributes, access, flags)
    if (reason !== 0) return reason

    const write = (this.access & WRITE) !== 0
    const tracks = hasSecond && (flags & SSADE) !== 0
    const snooped = (flags & PWSNP) !== 0
    if (hasFirst && first.gather(updates, write, flags, guest)) {
      if (!snooped && !this.#quirks.accessedDirtyWithoutSnoopedWalk) return FAULT.firstStageUpdateNotSnooped
      const refused = guest?.permitWrites(first.top, first.cachedTableGrants) ?? 0
      if (refused === AGAIN) return this.#walk(slot, page, access, flags, false)
      if (refused !== 0) return refused
      if (updates.cannotApply(this.#memory)) return FAULT.firstStageUpdateFailed
    }
    if (tracks && second.gather(updates, write)) {
      if (!snooped) return FAULT.secondStageUpdateNotSnooped
      if (updates.cannotApply(this.#memory)) return FAULT.secondStageUpdateFailed
    }
    if ((!hasFirst || write || first.dirty) && (!hasSecond || second.dirty || (tracks ? write : hasFirst))) {
      attributes |= DIRTY
    }
    this.attributes = attributes
    return this.#output(target)
  }

  /** "Pass-Through" and translated requests: the address is a host address, limited by the host's width only. */
  #unchanged(page: PageNumber, access: number, flags: number): number {
    if (page >= this.#hostPages) return FAULT.addressBeyondHost
    this.attributes =
      FIRST_STAGE_GRANTS | SECOND_STAGE_GRANTS | GRANT.dirty | (flags & PASID_FLAG.PGSNP ? GRANT.snoop : 0)
    this.level = 1
    this.access = (access & ACCESS.report) === 0 ? access : granted(this.attributes, access, flags)
    return this.#output(page)
  }

  #output(frame: PageNumber): number {
    if (this.#interruptRange.holds(frame, this.level)) {
      return FAULT.scalableInterruptRangeOutput
    }
    this.frame = frame
    return 0
  }

  /**
   * Sets accessed and dirty flags of a request that is allowed, and keeps what it read in the caches. Returns whether an
   * entry of a cache was replaced or dropped.
   */
  commit(sourceId: number, page: PageNumber, reason: number): boolean {
    const iotlb = this.#iotlb
    let replaced = this.tables.commit(sourceId, this.#cachingMode)
    if (!this.walked) return replaced
    const { type, first, second } = this
    const owner = iotlb.ownerOf(sourceId)
    if (this.#stale >= 0) {
      iotlb.drop(this.#stale)
      replaced = true
    }
    if (reason !== 0) {
      if (this.#quirks.accessedSetOnFaultingWalk && type === PGTT.firstStage) {
        first.gatherPassed(this.#updates, reason, (this.access & ACCESS.write) !== 0)
        this.#updates.apply(this.#memory)
      }
      // Caching mode keeps what is not present or erroneous, but of the second stage only.
      const keeps = this.#cachingMode && type === PGTT.secondStage && isWalkFault(reason)
      if (!keeps) return replaced
      return iotlb.fill(this.#space, owner, 1, page, page, reason << FAULT_SHIFT) || replaced
    }
    this.#updates.apply(this.#memory)
    const guest = type === NESTED ? this.#guest : undefined
    if (type !== SECOND_STAGE) first.fillCaches(this.#space, this.#pasid, guest)
    if (type !== FIRST_STAGE) {
      const domainId = this.#space >>> 2
      second.fillCaches(addressSpace(domainId, IS_SECOND_STAGE))
    }
    return (
      iotlb.fill(this.#space, this.#pasid + owner, this.level, page, this.frame, this.attributes) || replaced
    )
  }
}

const isWalkFault = (reason: number): boolean =>
  reason >= FAULT.scalableSecondStageAccess && reason <= FAULT.scalableSecondStageTopAccess
