/**
 * "Page Request Queue": requests of functions for pages that are not there, entered into a ring in memory for software,
 * or answered by the unit itself where that is not possible.
 */
import { get, set } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { isStopMarker, type PageRequest } from '../pcie/index.ts'
import type { DmaRemapping } from './dma-remapping.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import { type FaultRecorder, isRecorded } from './fault-recording.ts'
import { PAGE_RESPONSE } from './formats/invalidation-descriptors.ts'
import { PAGE_REQUEST, PAGE_REQUEST_BYTES, PAGE_REQUEST_TYPE } from './formats/page-requests.ts'
import { GSTS, PQA, PQH, PQT, PRS } from './formats/registers.ts'

/** Refused without a fault. */
const REFUSED = -1

/** Sends a "PRG Response Message" to the function that made a request. */
export type Respond = (sourceId: number, pasid: number, groupIndex: number, code: number) => void

/** What judges page requests before they are entered. */
export interface PageRequestChecks {
  readonly dma: DmaRemapping
  readonly faults: FaultRecorder
}

export class PageRequestQueue {
  readonly #words: Uint32Array
  readonly #checks: PageRequestChecks
  readonly #memory: PhysicalMemory
  readonly #event: EventInterrupt
  readonly #respond: Respond

  constructor(
    words: Uint32Array,
    checks: PageRequestChecks,
    memory: PhysicalMemory,
    event: EventInterrupt,
    respond: Respond,
  ) {
    this.#words = words
    this.#checks = checks
    this.#memory = memory
    this.#event = event
    this.#respond = respond
  }

  /** Takes a message of a function: one that the tables do not allow is a fault, and answered as an invalid request. */
  receive(request: PageRequest): void {
    const { dma, faults } = this.#checks
    const enabled = (this.#words[GSTS.at]! & GSTS.f.TES.mask) !== 0
    const reason = enabled ? dma.resolvePageRequest(request.sourceId, request.pasid) : REFUSED
    if (reason === 0) {
      this.#enter(request)
      return
    }
    if (reason > 0 && isRecorded(reason, dma.faultProcessingDisable)) {
      faults.dma(reason, { ...request, addressType: 0, pageRequest: true, atomic: false })
    }
    this.#answer(request, PAGE_RESPONSE.invalidRequest)
  }

  /**
   * Enters a request. With the queue full, or an overflow not yet cleared, it is dropped: the function is told of
   * success, finds the page missing still, and asks again.
   */
  #enter(request: PageRequest): void {
    const words = this.#words
    const size = 4096 << get(PQA.f.PQS, words, PQA.at)
    const tail = (words[PQT.at]! & PQT.f.PQT.mask) % size
    const next = (tail + PAGE_REQUEST_BYTES) % size
    const full = next === (words[PQH.at]! & PQH.f.PQH.mask) % size
    const overflown = (words[PRS.at]! & PRS.f.PRO.mask) !== 0
    if (full || overflown || !this.#store(tail, request)) {
      words[PRS.at]! |= PRS.f.PRO.mask
      this.#answer(request, PAGE_RESPONSE.success)
      return
    }
    words[PQT.at] = next
    if (!request.last || (words[PRS.at]! & PRS.f.PPR.mask) !== 0) return
    words[PRS.at]! |= PRS.f.PPR.mask
    this.#event.raise()
  }

  /** The unit answers in the place of software: only the last request of a group, never a stop marker. */
  #answer(request: PageRequest, code: number): void {
    if (!request.last || isStopMarker(request)) return
    this.#respond(request.sourceId, request.pasid, request.groupIndex, code)
  }

  #store(tail: number, request: PageRequest): boolean {
    const words = this.#words
    const frame = words[PQA.at + 1]! * 0x10_0000 + (words[PQA.at]! >>> 12) + (tail >>> 12)
    const entry = this.#memory.pageForWrite(frame)?.words
    if (entry === undefined) return false
    const at = (tail & 0xfff) >>> 2
    for (let word = 0; word < PAGE_REQUEST_BYTES / 4; word++) entry[at + word] = 0
    set(PAGE_REQUEST.TYPE, entry, PAGE_REQUEST_TYPE, at)
    set(PAGE_REQUEST.RID, entry, request.sourceId, at)
    if (request.pasid >= 0) {
      set(PAGE_REQUEST.PP, entry, 1, at)
      set(PAGE_REQUEST.PASID, entry, request.pasid, at)
      set(PAGE_REQUEST.EXE, entry, Number(request.execute), at)
      set(PAGE_REQUEST.PRIV, entry, Number(request.privileged), at)
    }
    set(PAGE_REQUEST.R, entry, Number(request.read), at)
    set(PAGE_REQUEST.W, entry, Number(request.write), at)
    set(PAGE_REQUEST.LPIG, entry, Number(request.last), at)
    set(PAGE_REQUEST.PRGI, entry, request.groupIndex, at)
    set(PAGE_REQUEST.ADDR, entry, request.page, at)
    return true
  }
}
