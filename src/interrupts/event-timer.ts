/**
 * The register block of a high precision event timer ("IA-PC HPET Specification"): a main counter of 10 ns a tick on
 * the machine's virtual time, and three comparators. No interrupt line or message is connected to them: every
 * interrupt route capability is 0, which is how software learns it.
 */
import { assert, type Saved } from '../core/index.ts'

export const EVENT_TIMER_SIZE = 0x1000
const TICK_NS = 10
const TIMERS = 3

/** "General Capabilities and ID": vendor 8086h, 64-bit counter, the number of the last timer, revision 1. */
export const EVENT_TIMER_ID = (0x8086_2001 + (TIMERS - 1) * 0x100) >>> 0
const PERIOD_FEMTOSECONDS = TICK_NS * 1_000_000

const CAPABILITIES = 0x00
const PERIOD = 0x04
const CONFIGURATION = 0x10
const COUNTER = 0xf0
const COUNTER_UPPER = 0xf4
const FIRST_TIMER = 0x100
const TIMER_STRIDE = 0x20
const COMPARATOR = 0x08
const ENABLE = 1
/** "Timer N Configuration and Capabilities": the comparator has 64 bits. */
const SIZE_CAPABLE = 0x20

export class EventTimer {
  readonly #clock: { readonly now: number }
  #enabled = false
  /** What the counter held when it was last started, stopped or written, low word first. */
  readonly #counter = new Uint32Array(2)
  #since = 0
  readonly #comparators = new Uint32Array(2 * TIMERS).fill(0xffff_ffff)

  /** @param clock virtual time in nanoseconds. */
  constructor(clock: { readonly now: number }) {
    this.#clock = clock
  }

  reset(): void {
    this.#enabled = false
    this.#counter.fill(0)
    this.#since = this.#clock.now
    this.#comparators.fill(0xffff_ffff)
  }

  readDword(offset: number): number {
    switch (offset) {
      case CAPABILITIES:
        return EVENT_TIMER_ID
      case PERIOD:
        return PERIOD_FEMTOSECONDS
      case CONFIGURATION:
        return Number(this.#enabled)
      case COUNTER:
        return this.#word(0)
      case COUNTER_UPPER:
        return this.#word(1)
    }
    const register = timerRegister(offset)
    if (register === 0) return SIZE_CAPABLE
    const comparator = comparatorAt(offset)
    return comparator === undefined ? 0 : this.#comparators[comparator]!
  }

  writeDword(offset: number, value: number, lanes: number): void {
    const merged = (old: number): number => ((old & ~lanes) | (value & lanes)) >>> 0
    if (offset === CONFIGURATION) {
      this.#settle()
      this.#enabled = (merged(Number(this.#enabled)) & ENABLE) !== 0
    } else if (offset === COUNTER || offset === COUNTER_UPPER) {
      this.#settle()
      const word = (offset - COUNTER) >>> 2
      this.#counter[word] = merged(this.#counter[word]!)
    } else {
      const comparator = comparatorAt(offset)
      if (comparator !== undefined) this.#comparators[comparator] = merged(this.#comparators[comparator]!)
    }
  }

  save(): Saved {
    return {
      version: 1,
      enabled: this.#enabled,
      counter: [...this.#counter],
      since: this.#since,
      comparators: [...this.#comparators],
    }
  }

  load(saved: Saved): void {
    const state = saved as {
      version: number
      enabled: boolean
      counter: number[]
      since: number
      comparators: number[]
    }
    assert(state.version === 1, 'the event timer was saved by this version')
    this.#enabled = state.enabled
    this.#counter.set(state.counter)
    this.#since = state.since
    this.#comparators.set(state.comparators)
  }

  /** A word of the counter as it stands now. */
  #word(word: number): number {
    const [low = 0, high = 0] = this.#counter
    if (!this.#enabled) return word === 0 ? low : high
    const ticks = Math.floor((this.#clock.now - this.#since) / TICK_NS)
    const sum = low + (ticks % 2 ** 32)
    if (word === 0) return sum >>> 0
    return (high + Math.floor(ticks / 2 ** 32) + Number(sum >= 2 ** 32)) >>> 0
  }

  /** Notes what the counter stands at, before something about it changes. */
  #settle(): void {
    const [low, high] = [this.#word(0), this.#word(1)]
    this.#counter[0] = low
    this.#counter[1] = high
    this.#since = this.#clock.now
  }
}

/** Offset in the registers of a timer; undefined behind the last one and before the first. */
function timerRegister(offset: number): number | undefined {
  const at = offset - FIRST_TIMER
  return at < 0 || at >= TIMERS * TIMER_STRIDE ? undefined : at % TIMER_STRIDE
}

function comparatorAt(offset: number): number | undefined {
  const register = timerRegister(offset)
  if (register !== COMPARATOR && register !== COMPARATOR + 4) return undefined
  return Math.floor((offset - FIRST_TIMER) / TIMER_STRIDE) * 2 + ((register - COMPARATOR) >>> 2)
}
