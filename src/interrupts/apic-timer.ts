/**
 * "APIC Timer": one-shot and periodic counting from the initial count, and the TSC deadline, on virtual time. Timer and
 * TSC run at 1 GHz: one tick is one nanosecond. The current count is computed when it is read, so that a running timer
 * costs one event for each expiry and nothing between.
 */
import type { Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import { TIMER_MODE } from './formats/local-apic.ts'

/** Divide configuration bits 3, 1 and 0, as a number of three bits. */
const DIVISORS = [2, 4, 8, 16, 32, 64, 128, 1] as const
const TWO_32 = 2 ** 32
/** Beyond this, nanoseconds are no exact numbers any more: such a deadline is never reached. */
const END_OF_TIME = Number.MAX_SAFE_INTEGER
const NEVER = -1

export class ApicTimer {
  readonly #engine: Engine
  readonly #event: string
  readonly #expired: () => void
  #registered = false
  /** When it expires; {@link NEVER} while nothing is armed. Events of an earlier programming come at other times. */
  #end = NEVER
  #mode: number = TIMER_MODE.oneShot
  #divisor: number = DIVISORS[0]
  #initial = 0
  /** While it counts: when the present round began. It ends `initial * divisor` later. */
  #began = 0
  #counting = false
  /** IA32_TSC_DEADLINE, 0 while disarmed. */
  readonly #deadline = new Uint32Array(2)

  /** @param processor names the events: no two local APICs of one engine have the same. */
  constructor(engine: Engine, processor: number, expired: () => void) {
    this.#engine = engine
    this.#event = `local APIC timer ${processor}`
    this.#expired = expired
  }

  reset(): void {
    this.#disarm()
    this.#mode = TIMER_MODE.oneShot
    this.#divisor = DIVISORS[0]
    this.#initial = 0
    this.#began = 0
  }

  #disarm(): void {
    this.#end = NEVER
    this.#counting = false
    this.#deadline.fill(0)
  }

  /** LVT timer bits 18:17. Between counting and the TSC deadline the timer is disarmed. */
  setMode(mode: number): void {
    const deadlines = mode === TIMER_MODE.tscDeadline
    if (deadlines !== (this.#mode === TIMER_MODE.tscDeadline)) this.#disarm()
    this.#mode = mode
  }

  /** The divide configuration register. A running count goes on from where it is. */
  setDivide(configuration: number): void {
    const divisor = DIVISORS[((configuration >>> 1) & 4) | (configuration & 3)]!
    const left = this.currentCount
    this.#divisor = divisor
    if (!this.#counting) return
    this.#began = this.#engine.now - (this.#initial - left) * divisor
    this.#schedule(left * divisor)
  }

  /** The initial-count register: starts the timer, 0 stops it. Ignored in TSC-deadline mode. */
  start(initial: number): void {
    if (this.#mode === TIMER_MODE.tscDeadline) return
    this.#end = NEVER
    this.#initial = initial
    this.#counting = initial !== 0
    this.#began = this.#engine.now
    if (this.#counting) this.#schedule(initial * this.#divisor)
  }

  /** The initial count as it reads back. */
  get initialCount(): number {
    return this.#initial
  }

  /** The current-count register: 0 while nothing counts. */
  get currentCount(): number {
    if (!this.#counting) return 0
    const ticks = Math.floor((this.#engine.now - this.#began) / this.#divisor)
    return Math.max(this.#initial - ticks, 0)
  }

  get deadlineLow(): number {
    return this.#deadline[0]!
  }

  get deadlineHigh(): number {
    return this.#deadline[1]!
  }

  /** WRMSR of IA32_TSC_DEADLINE while the TSC reads `tsc`: 0 disarms, the past expires at once. Ignored in other modes. */
  setDeadline(low: number, high: number, tsc: number): void {
    if (this.#mode !== TIMER_MODE.tscDeadline) return
    this.#end = NEVER
    this.#deadline[0] = low
    this.#deadline[1] = high
    const deadline = high * TWO_32 + low
    if (deadline === 0) return
    const delay = Math.max(deadline - tsc, 0)
    if (this.#engine.now + delay < END_OF_TIME) this.#schedule(delay)
  }

  #schedule(delay: number): void {
    this.#register()
    this.#end = this.#engine.now + delay
    this.#engine.schedule(delay, this.#event, this.#event)
  }

  /** Most local APICs never start their timer and never come here. */
  #register(): void {
    if (this.#registered) return
    this.#registered = true
    this.#engine.handle(this.#event, () => {
      if (this.#engine.now === this.#end) this.#expire()
    })
  }

  #expire(): void {
    if (this.#mode === TIMER_MODE.periodic) {
      this.#began = this.#engine.now
      this.#schedule(this.#initial * this.#divisor)
    } else this.#disarm()
    this.#expired()
  }

  save(): Saved {
    return {
      version: 1,
      end: this.#end,
      mode: this.#mode,
      divisor: this.#divisor,
      initial: this.#initial,
      began: this.#began,
      counting: this.#counting,
      deadline: this.#deadline.slice(),
    }
  }

  /** Events are in the engine's queue, those of earlier programming too. */
  load(saved: Saved): void {
    const state = saved as unknown as {
      end: number
      mode: number
      divisor: number
      initial: number
      began: number
      counting: boolean
      deadline: Uint32Array
    }
    this.#end = state.end
    this.#mode = state.mode
    this.#divisor = state.divisor
    this.#initial = state.initial
    this.#began = state.began
    this.#counting = state.counting
    this.#deadline.set(state.deadline)
    this.#register()
  }
}
