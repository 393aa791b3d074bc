/** What a unit does with a memory request that is no interrupt request: translate, pass, refuse, record, answer. */
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { ADDRESS_TYPE, type MemoryRequest, STATUS } from '../pcie/index.ts'
import { ACCESS, GRANT } from './access.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { ABORTED, type DmaRemapping } from './dma-remapping.ts'
import { type FaultRecorder, isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-reasons.ts'
import { GSTS } from './formats/registers.ts'
import { PAGES_IN_ENTRY } from './paging-geometry.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import type { Quirks } from './quirks.ts'
import { type RecentTranslations, recentKey } from './recent-translations.ts'

const { TES, IRES } = GSTS.f

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
  readonly #recent: RecentTranslations
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
    parts: { dma: DmaRemapping; faults: FaultRecorder; recent: RecentTranslations },
  ) {
    this.#index = index
    this.#words = words
    this.#dma = parts.dma
    this.#faults = parts.faults
    this.#recent = parts.recent
    this.#quirks = quirks
    this.#zeroLengthReads = capabilities.ZLR !== 0
    this.#noWriteHonoured = capabilities.NWFS !== 0
  }

  /** See `RemappingUnit.translate`. */
  translate(request: MemoryRequest): boolean {
    const { page, pasid } = request
    request.unit = this.#index
    const untranslated = request.addressType === ADDRESS_TYPE.untranslated
    const simple = untranslated && pasid < 0
    // AtomicOps need more than writes, and what they may is not kept.
    const common = untranslated && !request.atomic
    if (common) {
      const recent = this.#recent.lookup(recentKey(request), pasid, page)
      if (recent >= 0) {
        request.iotlbHit = this.#recent.iotlbHitOf(recent)
        request.physicalPage = this.#recent.frameOf(recent)
        return true
      }
    }
    if (simple && page >= INTERRUPT_FIRST_PAGE && page <= INTERRUPT_LAST_PAGE) {
      return this.#refuseInterruptRange(request)
    }
    const enabled = (this.#words[GSTS.at]! & TES.mask) !== 0
    if (enabled) {
      if (!this.#remap(request)) return false
      if (request.addressType === ADDRESS_TYPE.translationRequest) return true
    } else {
      if (!simple) return refuse(request, STATUS.unsupportedRequest)
      request.physicalPage = page
    }
    if (protectionEnabled(this.#words) && isProtected(this.#words, request.physicalPage)) {
      return refuse(request, STATUS.unsupportedRequest)
    }
    // Zero-length reads may pass where other reads do not.
    if (enabled && common && this.#dma.tableReads === 0 && request.length !== 0 && !request.zeroLength) {
      this.#recent.keep(recentKey(request), pasid, page, request.physicalPage, request.iotlbHit)
    }
    return true
  }

  #remap(request: MemoryRequest): boolean {
    const { page, requesterId, addressType } = request
    const dma = this.#dma
    const reason = dma.resolve(requesterId, page, this.accessOf(request), addressType, request.pasid)
    request.tableReads += dma.tableReads
    request.iotlbHit = dma.iotlbSlot >= 0
    if (dma.tableReads !== 0 && dma.commit(requesterId, page)) this.#recent.forget()
    if (reason === ABORTED) return refuse(request, STATUS.unsupportedRequest)
    const forDevice = addressType === ADDRESS_TYPE.translationRequest
    if (reason !== 0) {
      if (!forDevice || RECOVERABLE[reason] === 0) {
        if (this.#isRecorded(reason)) this.#record(reason, request)
        request.faultReason = reason
        return refuse(request, STATUS.remappingFault)
      }
      request.size = 1
      return true
    }
    request.physicalPage = dma.frame
    if (forDevice) this.#answer(request)
    return true
  }

  /** What a request asks for, as ACCESS bits. */
  accessOf(request: AskedAccess): number {
    const mode = (request.privileged ? ACCESS.privileged : 0) | (request.execute ? ACCESS.execute : 0)
    if (request.addressType === ADDRESS_TYPE.translationRequest) {
      const write = request.write || !this.#noWriteHonoured
      return mode | ACCESS.report | ACCESS.read | (write ? ACCESS.write : 0)
    }
    if (request.atomic) return mode | ACCESS.read | ACCESS.write
    if (request.write) return mode | ACCESS.write
    const zeroLength = this.#zeroLengthReads && (request.zeroLength || request.length === 0)
    return mode | ACCESS.read | (zeroLength ? ACCESS.either : 0)
  }

  /** "Translation Completion": what the tables grant, and how large a block is translated alike. */
  #answer(request: MemoryRequest): void {
    const { access, attributes, level, frame } = this.#dma
    request.translatedPage = frame
    request.size = PAGES_IN_ENTRY[level]!
    request.permissions = access & (ACCESS.read | ACCESS.write | ACCESS.execute | ACCESS.privileged)
    request.nonSnooped = (attributes & GRANT.snoop) !== 0
    request.global = request.pasid >= 0 && (attributes & GRANT.global) !== 0
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
