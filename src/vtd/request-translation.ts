/** What a unit does with a memory request that is no interrupt request: translate, pass, refuse, record, answer. */
import type { PageNumber } from '../core/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { ADDRESS_TYPE, type MemoryRequest, STATUS } from '../pcie/index.ts'
import { ACCESS, GRANT } from './access.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { ABORTED, type DmaRemapping } from './dma-remapping.ts'
import { type FaultRecorder, isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-codes.ts'
import { GSTS } from './formats/registers.ts'
import { PAGES_IN_ENTRY } from './paging-geometry.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import type { Quirks } from './quirks.ts'
import { RecentTranslations, recentKey } from './recent-translations.ts'
import type { Replacement } from './tagged-cache.ts'

const { TES, IRES } = GSTS.f

// Imported bindings are looked up at each use; a module's own constants are not.
const { untranslated: UNTRANSLATED, translationRequest: TRANSLATION_REQUEST } = ADDRESS_TYPE
const {
  read: READ,
  write: WRITE,
  execute: EXECUTE,
  privileged: PRIVILEGED,
  either: EITHER,
  report: REPORT,
} = ACCESS
const INTERRUPT_FIRST = INTERRUPT_FIRST_PAGE
const INTERRUPT_LAST = INTERRUPT_LAST_PAGE
const STATUS_WORD = GSTS.at
const ENABLED = TES.mask

/** "Recoverable" reasons: a translation request is told that it may not, and nothing is recorded. */
const RECOVERABLE = new Uint8Array(256)
for (const code of [
  FAULT.addressBeyondWidth,
  FAULT.writePermission,
  FAULT.readPermission,
  FAULT.firstStageNotPresent,
  FAULT.nestedAddressBeyondWidth,
  FAULT.nestedTopReadPermission,
  FAULT.nestedReadPermission,
  FAULT.nestedWritePermission,
  FAULT.scalableSecondStageNotPresent,
  FAULT.notCanonical,
  FAULT.userPermission,
  FAULT.executePermission,
  FAULT.scalableAddressBeyondWidth,
  FAULT.scalableWritePermission,
  FAULT.scalableReadPermission,
]) {
  RECOVERABLE[code] = 1
}

export const isRecoverable = (reason: number): boolean => RECOVERABLE[reason] === 1

/** Reasons that say that a right is missing in what was found. */
const PERMISSION_REASONS: readonly number[] = [
  FAULT.writePermission,
  FAULT.readPermission,
  FAULT.userPermission,
  FAULT.executePermission,
  FAULT.scalableWritePermission,
  FAULT.scalableReadPermission,
]

/** What of a request decides about the rights it needs. */
export type AskedAccess = Pick<
  MemoryRequest,
  'write' | 'addressType' | 'privileged' | 'execute' | 'atomic' | 'zeroLength' | 'length'
>

export class RequestTranslation {
  readonly #index: number
  readonly #words: Uint32Array
  readonly #dma: DmaRemapping
  readonly #faults: FaultRecorder
  readonly #recent = new RecentTranslations()
  /** Whether the last request was none of those: which shortcut is tried first. */
  #missing = false
  /** Caches whose replacement depends on use have to see every use. */
  readonly #shortcutsHideUse: boolean
  readonly #quirks: Quirks
  readonly #zeroLengthReads: boolean
  readonly #noWriteHonoured: boolean
  /** The request as fault recording takes it: one record, used again. */
  readonly #blocked = {
    sourceId: 0,
    page: 0,
    write: false,
    addressType: 0,
    pasid: -1,
    privileged: false,
    execute: false,
    pageRequest: false,
    atomic: false,
  }

  constructor(
    index: number,
    words: Uint32Array,
    capabilities: UnitCapabilities,
    quirks: Quirks,
    parts: { dma: DmaRemapping; faults: FaultRecorder; replacement: Replacement },
  ) {
    this.#index = index
    this.#words = words
    this.#dma = parts.dma
    this.#faults = parts.faults
    this.#shortcutsHideUse = parts.replacement === 'lru'
    this.#quirks = quirks
    this.#zeroLengthReads = capabilities.ZLR !== 0
    this.#noWriteHonoured = capabilities.NWFS !== 0
  }

  /** See `RemappingUnit.translate`. */
  translate(request: MemoryRequest): boolean {
    request.unit = this.#index
    return (!this.#missing && this.#answerRecent(request)) || this.#translate(request)
  }

  #answerRecent(request: MemoryRequest): boolean {
    if (request.addressType !== UNTRANSLATED || request.atomic) return false
    const recent = this.#recent.lookup(recentKey(request), request.pasid, request.page)
    if (recent < 0) return false
    this.#missing = false
    request.iotlbHit = this.#recent.iotlbHitOf(recent)
    request.physicalPage = this.#recent.frameOf(recent)
    return true
  }

  #translate(request: MemoryRequest): boolean {
    const { page } = request
    const untranslated = request.addressType === UNTRANSLATED
    const simple = untranslated && request.pasid < 0
    if (simple && page >= INTERRUPT_FIRST && page <= INTERRUPT_LAST)
      return this.#refuseInterruptRange(request)
    const words = this.#words
    if ((words[STATUS_WORD]! & ENABLED) === 0) {
      if (!simple) return refuse(request, STATUS.unsupportedRequest)
      request.physicalPage = page
      return !this.#isProtected(page) || refuse(request, STATUS.unsupportedRequest)
    }

    const dma = this.#dma
    if (simple && dma.near.translate(request)) {
      this.#missing = true
      if (dma.near.replaced) this.#recent.forget()
      return !this.#isProtected(request.physicalPage) || refuse(request, STATUS.unsupportedRequest)
    }
    if (this.#missing && this.#answerRecent(request)) return true
    this.#missing = true
    const { requesterId } = request
    const reason = dma.resolve(requesterId, page, this.accessOf(request), request.addressType, request.pasid)
    const reads = dma.tableReads
    request.tableReads += reads
    request.iotlbHit = dma.iotlbSlot >= 0
    if (reads !== 0 && dma.commit(requesterId, page)) this.#recent.forget()
    // A context entry, or an entry that points to a table, takes more than one read, and may have replaced another.
    if (reads > 1) this.#dma.near.forget()
    if (reason !== 0) return this.#refuse(request, reason)
    const frame = dma.frame
    request.physicalPage = frame
    if (request.addressType === TRANSLATION_REQUEST) return this.#answer(request)
    if (this.#isProtected(frame)) return refuse(request, STATUS.unsupportedRequest)
    if (untranslated && reads < 2) this.#remember(request, reads)
    return true
  }

  #isProtected(page: PageNumber): boolean {
    return protectionEnabled(this.#words) && isProtected(this.#words, page)
  }

  /** AtomicOps need more than writes, and zero-length reads less than reads: they are not kept. */
  #remember(request: MemoryRequest, reads: number): void {
    if (this.#shortcutsHideUse || request.atomic || request.zeroLength || request.length === 0) return
    const { pasid, page, physicalPage, iotlbHit } = request
    if (reads === 0) this.#recent.keep(recentKey(request), pasid, page, physicalPage, iotlbHit)
    else this.#dma.keepNear(request)
  }

  /** Something has happened that could change what requests are answered. */
  forget(): void {
    this.#recent.forget()
    this.#dma.near.forget()
  }

  /** Ends a request that DMA remapping refused for a reason. True for a translation request that is told so. */
  #refuse(request: MemoryRequest, reason: number): boolean {
    if (reason === ABORTED) return refuse(request, STATUS.unsupportedRequest)
    if (request.addressType === ADDRESS_TYPE.translationRequest && RECOVERABLE[reason] === 1) {
      request.size = 1
      return true
    }
    if (this.#isRecorded(reason)) this.#record(reason, request)
    request.faultReason = reason
    return refuse(request, STATUS.remappingFault)
  }

  /** What a request asks for, as ACCESS bits. */
  accessOf(request: AskedAccess): number {
    const mode = (request.privileged ? PRIVILEGED : 0) | (request.execute ? EXECUTE : 0)
    if (request.addressType === TRANSLATION_REQUEST) {
      const write = request.write || !this.#noWriteHonoured
      return mode | REPORT | READ | (write ? WRITE : 0)
    }
    if (request.atomic) return mode | READ | WRITE
    if (request.write) return mode | WRITE
    const zeroLength = this.#zeroLengthReads && (request.zeroLength || request.length === 0)
    return mode | READ | (zeroLength ? EITHER : 0)
  }

  /** "Translation Completion": what the tables grant, and how large a block is translated alike. */
  #answer(request: MemoryRequest): true {
    const { access, attributes, level, frame } = this.#dma
    request.translatedPage = frame
    request.size = PAGES_IN_ENTRY[level]!
    request.permissions = access & (ACCESS.read | ACCESS.write | ACCESS.execute | ACCESS.privileged)
    request.nonSnooped = (attributes & GRANT.snoop) !== 0
    request.global = request.pasid >= 0 && (attributes & GRANT.global) !== 0
    return true
  }

  #isRecorded(reason: number): boolean {
    const dma = this.#dma
    if (
      this.#quirks.permissionFaultOnIotlbHitNotRecorded &&
      dma.iotlbSlot >= 0 &&
      PERMISSION_REASONS.includes(reason)
    ) {
      return false
    }
    return isRecorded(reason, dma.faultProcessingDisable)
  }

  #record(reason: number, request: MemoryRequest): void {
    const blocked = this.#blocked
    blocked.sourceId = request.requesterId
    blocked.page = request.page
    blocked.write = request.write
    blocked.addressType = request.addressType
    blocked.pasid = request.pasid
    blocked.privileged = request.privileged
    blocked.execute = request.execute
    blocked.atomic = request.atomic
    this.#faults.dma(reason, blocked)
  }

  /** "Interrupt Address Range": what is no valid interrupt request there is blocked, and a fault if the unit is in use. */
  #refuseInterruptRange(request: MemoryRequest): boolean {
    if ((this.#words[GSTS.at]! & (TES.mask | IRES.mask)) === 0) {
      return refuse(request, STATUS.unsupportedRequest)
    }
    this.#faults.interrupt(FAULT.interruptRangeAccess, request.requesterId, 0)
    request.faultReason = FAULT.interruptRangeAccess
    return refuse(request, STATUS.remappingFault)
  }
}

function refuse(request: MemoryRequest, status: MemoryRequest['status']): boolean {
  request.status = status
  return false
}
