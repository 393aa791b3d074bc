/**
 * Virtual time of a simulation: events as numbers in typed arrays, so that one costs no allocation. `engine/` does the
 * same for a platform, whose events are few, named and saved; here millions pass, and none outlives the simulation.
 */
import { assert } from '../../core/index.ts'

/** What an event does: the number it was scheduled with comes back. */
export type EventHandler = (subject: number) => void

const FIRST_CAPACITY = 1024
/** Children of a node of the heap, as a shift: four lie in one cache line. */
const FAN_OUT = 2
/** Kinds of events are numbers below this. */
const KINDS = 2 ** 14
/** Of FNV-1a, of which each event is a step. */
const HASH_PRIME = 0x0100_0193
const HASH_SEED = 0x811c_9dc5
/** Parts of a nanosecond that the hash tells apart. */
const TICKS = 1024

export class EventQueue {
  /** Nanoseconds. */
  now = 0
  served = 0
  #hash = HASH_SEED
  readonly #handlers: EventHandler[] = []
  // A heap by time, then by order of scheduling. The events of the heap's nodes stand in slots.
  #times = new Float64Array(FIRST_CAPACITY)
  #slots = Int32Array.from({ length: FIRST_CAPACITY }, (_, slot) => slot)
  #size = 0
  // By slot.
  #orders = new Float64Array(FIRST_CAPACITY)
  #kinds = new Int32Array(FIRST_CAPACITY)
  #subjects = new Int32Array(FIRST_CAPACITY)
  #order = 0

  /** Names the code that serves a kind of events; returns the kind. */
  handle(handler: EventHandler): number {
    assert(this.#handlers.length < KINDS, 'there are kinds for everybody')
    return this.#handlers.push(handler) - 1
  }

  get pending(): number {
    return this.#size
  }

  schedule(time: number, kind: number, subject: number): void {
    assert(time >= this.now, 'events lie in the future')
    if (this.#size === this.#times.length) this.#grow()
    const times = this.#times
    const slots = this.#slots
    let at = this.#size++
    // Beyond the heap stand the slots that nobody uses.
    const slot = slots[at]!
    this.#orders[slot] = this.#order++
    this.#kinds[slot] = kind
    this.#subjects[slot] = subject
    while (at > 0) {
      const parent = (at - 1) >>> FAN_OUT
      // The newest is the last among equals: it stays below.
      if (times[parent]! <= time) break
      times[at] = times[parent]!
      slots[at] = slots[parent]!
      at = parent
    }
    times[at] = time
    slots[at] = slot
  }

  /** Lets everything happen up to a time, which it then is. */
  run(until: number): void {
    while (this.#size > 0 && this.#times[0]! <= until) this.#serve()
    this.now = until
  }

  #serve(): void {
    const time = this.#times[0]!
    const slot = this.#slots[0]!
    const kind = this.#kinds[slot]!
    const subject = this.#subjects[slot]!
    this.#dropFirst(slot)
    this.now = time
    this.served++
    this.#hash = Math.imul(this.#hash ^ (kind + (subject << 6)), HASH_PRIME) ^ (time * TICKS)
    this.#handlers[kind]!(subject)
  }

  /** Takes the first away: the last takes its place and sinks to where it belongs. */
  #dropFirst(unused: number): void {
    const times = this.#times
    const slots = this.#slots
    const size = --this.#size
    const time = times[size]!
    const slot = slots[size]!
    slots[size] = unused
    if (size === 0) return
    let at = 0
    for (;;) {
      const first = (at << FAN_OUT) + 1
      if (first >= size) break
      const end = Math.min(first + (1 << FAN_OUT), size)
      let child = first
      let least = times[first]!
      for (let other = first + 1; other < end; other++) {
        const candidate = times[other]!
        if (candidate < least || (candidate === least && this.#isOlder(slots[other]!, slots[child]!))) {
          child = other
          least = candidate
        }
      }
      if (least > time || (least === time && this.#isOlder(slot, slots[child]!))) break
      times[at] = least
      slots[at] = slots[child]!
      at = child
    }
    times[at] = time
    slots[at] = slot
  }

  #isOlder(slot: number, other: number): boolean {
    return this.#orders[slot]! < this.#orders[other]!
  }

  #grow(): void {
    const size = this.#times.length
    const capacity = size * 2
    this.#times = longer(this.#times, new Float64Array(capacity))
    this.#slots = longer(
      this.#slots,
      Int32Array.from({ length: capacity }, (_, slot) => slot),
    )
    this.#orders = longer(this.#orders, new Float64Array(capacity))
    this.#kinds = longer(this.#kinds, new Int32Array(capacity))
    this.#subjects = longer(this.#subjects, new Int32Array(capacity))
  }

  /** Equal for runs in which the same things happened at the same times. */
  get traceHash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }
}

/** The numbers of an array at the beginning of a longer one. */
export function longer<Numbers extends Float64Array | Int32Array>(old: Numbers, made: Numbers): Numbers {
  made.set(old)
  return made
}
