/**
 * What is broken in one function: stimulus. Its bus-master port asks here while something is, and its reset does. Each
 * fault shows in the function's own registers and messages, as the specification has it, and nowhere else.
 */
import { formatFunctionAddress, get, type RequesterId, type Saved } from '../core/index.ts'
import { mark, reportUncorrectable, UNCORRECTABLE } from './error-reporting.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import { COMMAND_STATUS } from './formats/header.ts'
import type { FunctionNode } from './parts.ts'
import { type MemoryRequest, STATUS, TARGET } from './request.ts'
import { climb } from './routing.ts'
import { completionHeaderOf, isNonPosted } from './tlp-header.ts'

/** As often, or as long, as nothing ends it. */
export const EVER = Number.MAX_SAFE_INTEGER

/** Kind of the engine's event that ends the wait for a completion; its target is the function, its argument a ticket. */
export const COMPLETION_TIMEOUT = 'completion timeout'

const MICROSECOND = 1000
const MILLISECOND = 1_000_000

/** "Completion Timeout Value": the longest time of each range, in nanoseconds; the default range is 50 µs to 50 ms. */
const TIMEOUT_RANGES: Readonly<Record<number, number>> = {
  0: 50 * MILLISECOND,
  1: 100 * MICROSECOND,
  2: 10 * MILLISECOND,
  5: 55 * MILLISECOND,
  6: 210 * MILLISECOND,
  9: 900 * MILLISECOND,
  10: 3500 * MILLISECOND,
  13: 13_000 * MILLISECOND,
  14: 64_000 * MILLISECOND,
}

const { DEVICE_CONTROL, DEVICE_CONTROL_2 } = EXPRESS
const { DPE, MDPE, PER } = COMMAND_STATUS.f

/** Counts of what will still go wrong: a stimulus sets them. {@link EVER} never counts down. */
export interface ArmedFaults {
  /** Reads whose completion does not come. A reset of the function ends that. */
  lostReads: number
  /** Whether the function gives such reads up after its completion timeout. */
  timesOut: boolean
  /** Reads whose completion arrives poisoned. */
  poisonedReads: number
  /** Function level resets that do not end in time, after how many nanoseconds they do, and whether it is silent then. */
  failingResets: number
  resetNs: number
  silent: boolean
}

const NONE: ArmedFaults = Object.freeze({
  lostReads: 0,
  timesOut: true,
  poisonedReads: 0,
  failingResets: 0,
  resetNs: EVER,
  silent: false,
})

export class FunctionFaults {
  readonly armed: ArmedFaults = { ...NONE }
  readonly #function: FunctionNode
  /** Reads that wait for a completion. */
  #outstanding = 0
  /** Time-outs of reads that were forgotten by a reset carry an older ticket. */
  #ticket = 0
  /** In a reset that does not end: whether it asks for retries or says nothing at all. */
  #silentNow = false

  constructor(fn: FunctionNode) {
    this.#function = fn
  }

  /** Whether requests need to be looked at. */
  get concernsRequests(): boolean {
    return this.armed.lostReads > 0 || this.armed.poisonedReads > 0
  }

  /** Reads without a completion: "Transactions Pending". */
  get outstanding(): number {
    return this.#outstanding
  }

  /** Whether what is outstanding will be given up. */
  get willTimeOut(): boolean {
    return this.#outstanding > 0 && this.armed.timesOut && !this.#timeoutDisabled
  }

  get isSilent(): boolean {
    return this.#silentNow
  }

  get #express(): number {
    return this.#function.layout.find(CAPABILITY.EXPRESS)
  }

  get #timeoutDisabled(): boolean {
    const express = this.#express
    if (express === 0) return true
    const control = this.#function.words[(express + DEVICE_CONTROL_2.offset) >>> 2] ?? 0
    return (control & DEVICE_CONTROL_2.f.TIMEOUT_DISABLE.mask) !== 0
  }

  /** Sends a request that has its header, or loses what comes back. */
  issue(request: MemoryRequest): void {
    if (request.observer === undefined && isNonPosted(request)) {
      if (this.armed.lostReads > 0) {
        this.#lose(request)
        return
      }
      if (this.armed.poisonedReads > 0) {
        this.#poison(request)
        return
      }
    }
    climb(this.#function, request)
  }

  /** The request leaves, and nothing comes back. */
  #lose(request: MemoryRequest): void {
    this.armed.lostReads = this.#less(this.armed.lostReads)
    this.#outstanding++
    this.#showPending()
    request.target = TARGET.none
    request.status = this.willTimeOut ? STATUS.completionTimeout : STATUS.outstanding
    if (!this.willTimeOut) return
    const { bus, rid, words } = this.#function
    const value = get(DEVICE_CONTROL_2.f.TIMEOUT, words, (this.#express + DEVICE_CONTROL_2.offset) >>> 2)
    const delay = TIMEOUT_RANGES[value] ?? TIMEOUT_RANGES[0]!
    bus.host.clock?.schedule?.(
      delay,
      COMPLETION_TIMEOUT,
      formatFunctionAddress(bus.host.segment, rid as RequesterId),
      this.#ticket,
    )
  }

  /** A read has waited as long as the function waits. */
  timedOut(ticket: number): void {
    if (ticket !== this.#ticket || this.#outstanding === 0) return
    this.#outstanding--
    this.#showPending()
    reportUncorrectable(this.#function, UNCORRECTABLE.completionTimeout, undefined, false)
  }

  /** One fewer to come. The last one ends that requests are looked at. */
  #less(count: number): number {
    if (count === 1) this.#function.bus.host.changes++
    return count === EVER ? EVER : count - 1
  }

  #showPending(): void {
    const express = this.#express
    if (express === 0) return
    const at = (express + DEVICE_CONTROL.offset) >>> 2
    const { mask } = DEVICE_CONTROL.f.TP
    const { words } = this.#function
    words[at] = this.#outstanding > 0 ? words[at]! | mask : words[at]! & ~mask
  }

  /** "Error Forwarding": what was read arrives marked as corrupt; the function drops it and reports. */
  #poison(request: MemoryRequest): void {
    const { data, dataStart, length } = request
    const kept = data.slice(dataStart, dataStart + length)
    climb(this.#function, request)
    if (request.status !== STATUS.successful) return
    this.armed.poisonedReads = this.#less(this.armed.poisonedReads)
    data.set(kept, dataStart)
    request.status = STATUS.poisoned
    request.target = TARGET.none
    mark(this.#function, DPE.mask)
    if (this.#function.words[COMMAND_STATUS.at]! & PER.mask) mark(this.#function, MDPE.mask)
    reportUncorrectable(this.#function, UNCORRECTABLE.poisonedTlp, completionHeaderOf(request, true), false)
  }

  /**
   * The function is reset: it forgets what it waited for, and waits for nothing any more.
   *
   * @returns nanoseconds that it takes beyond its own time; 0 for a reset that does not fail.
   */
  reset(functionLevel: boolean): number {
    const { armed } = this
    this.#ticket++
    this.#outstanding = 0
    armed.lostReads = 0
    this.#silentNow = false
    this.#showPending()
    if (!functionLevel || armed.failingResets === 0) return 0
    if (armed.failingResets !== EVER) armed.failingResets--
    this.#silentNow = armed.silent
    return armed.resetNs
  }

  /** Nothing more goes wrong; reads that wait go on waiting until they time out or the function is reset. */
  disarm(): void {
    Object.assign(this.armed, NONE, { timesOut: this.armed.timesOut })
  }

  save(): Saved {
    return {
      version: 1,
      armed: { ...this.armed },
      outstanding: this.#outstanding,
      ticket: this.#ticket,
      silent: this.#silentNow,
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as {
      armed: ArmedFaults
      outstanding: number
      ticket: number
      silent: boolean
    }
    Object.assign(this.armed, state.armed)
    this.#outstanding = state.outstanding
    this.#ticket = state.ticket
    this.#silentNow = state.silent
  }
}
