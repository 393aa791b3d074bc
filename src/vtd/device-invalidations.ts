/**
 * Device-TLB invalidations on their way to functions and back ("Device-TLB Invalidation"): a wait descriptor waits for
 * them, and a function that does not answer is an Invalidation Time-out Error.
 */
import type { PageNumber } from '../core/index.ts'
import type { FaultRecorder } from './fault-recording.ts'
import { type PendingWork, WORK } from './pending-work.ts'

/** Nanoseconds within which a function answers: "Invalidate Completion" gives it a minute. */
export const INVALIDATION_TIMEOUT = 60_000_000_000

/** What `pasid` of an invalidation says when it is none. */
export const WITHOUT_PASID = -1
export const EVERY_PASID = -2

/** Functions that hold device-TLBs or make page requests, for the unit to talk to. */
export interface DeviceTlbPort {
  /**
   * Drops translations of `count` pages from `page` on, in the device-TLB of a function; `pasid` may be WITHOUT_PASID
   * or EVERY_PASID. Returns after how many nanoseconds the function says that it is done, a negative number if it
   * never will.
   */
  invalidate(sourceId: number, page: PageNumber, count: number, pasid: number): number
  /** "PRG Response Message"; `pasid` is -1 for a page group without PASID. */
  pageGroupResponse(sourceId: number, pasid: number, groupIndex: number, code: number): void
}

export class DeviceInvalidations {
  readonly #port: DeviceTlbPort | undefined
  readonly #work: PendingWork
  readonly #faults: FaultRecorder

  /** @param changed called when an answer came or is overdue. */
  constructor(
    port: DeviceTlbPort | undefined,
    work: PendingWork,
    faults: FaultRecorder,
    changed: { completed(): void; timedOut(): void },
  ) {
    this.#port = port
    this.#work = work
    this.#faults = faults
    work.handle(WORK.deviceCompletion, () => changed.completed())
    work.handle(WORK.deviceTimeout, sourceId => {
      faults.invalidationTimeout(sourceId)
      changed.timedOut()
    })
    work.handle(WORK.lateDeviceCompletion, sourceId => this.#faults.invalidationCompletionError(sourceId))
  }

  /** Whether a function still owes an answer. */
  get outstanding(): boolean {
    return this.#work.has(WORK.deviceCompletion) || this.#work.has(WORK.deviceTimeout)
  }

  invalidate(sourceId: number, page: PageNumber, count: number, pasid: number): void {
    const delay = this.#port?.invalidate(sourceId, page, count, pasid) ?? 0
    if (delay === 0) return
    if (delay > 0 && delay <= INVALIDATION_TIMEOUT) {
      this.#work.start(delay, WORK.deviceCompletion, sourceId)
      return
    }
    this.#work.start(INVALIDATION_TIMEOUT, WORK.deviceTimeout, sourceId)
    if (delay > 0) this.#work.start(delay, WORK.lateDeviceCompletion, sourceId)
  }

  respond(sourceId: number, pasid: number, groupIndex: number, code: number): void {
    this.#port?.pageGroupResponse(sourceId, pasid, groupIndex, code)
  }
}
