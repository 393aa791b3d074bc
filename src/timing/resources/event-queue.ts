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

/** No slot. */
const NONE = -1
/** An order that no event has. */
const SERVED = -1

export class EventQueue {
  /** Nanoseconds. */
  now = 0
  served = 0
  #hash = HASH_SEED
  readonly #handlers: EventHandler[] = []
  // A heap by time, then by order of scheduling, whose nodes have their events in slots.
  #times = new Float64Array(FIRST_CAPACITY)
  #slots = new Int32Array(FIRST_CAPACITY)
  #size = 0
  // By slot.
  #due = new Float64Array(FIRST_CAPACITY)
  #orders = new Float64Array(FIRST_CAPACITY).fill(SERVED)
  #kinds = new Int32Array(FIRST_CAPACITY)
  #subjects = new Int32Array(FIRST_CAPACITY)
  /** The next of the same lane, or of those slots that nobody uses. */
  #next = chained(FIRST_CAPACITY, 0)
  #unused = 0
  #order = 0
  // By lane: its last event.
  readonly #lastSlots: number[] = []
  readonly #lastOrders: number[] = []

  /** Names the code that serves a kind of events; returns the kind. */
  handle(handler: EventHandler): number {
    assert(this.#handlers.length < KINDS, 'there are kinds for everybody')
    return this.#handlers.push(handler) - 1
  }

  /** A place for events of which each is scheduled for no earlier than the one before, as a rule. */
  lane(): number {
    this.#lastSlots.push(0)
    return this.#lastOrders.push(NaN) - 1
  }

  schedule(time: number, kind: number, subject: number): void {
    this.#push(time, this.#keep(time, kind, subject))
  }

  /**
   * The same, for an event of a lane: it stands behind the last one, and out of everybody's way until that was served. One
   * that breaks the rule of its lane goes by itself.
   */
  scheduleIn(lane: number, time: number, kind: number, subject: number): void {
    const last = this.#lastSlots[lane]!
    const waits = this.#orders[last] === this.#lastOrders[lane]
    const slot = this.#keep(time, kind, subject)
    if (waits && time < this.#due[last]!) {
      this.#push(time, slot)
      return
    }
    this.#lastSlots[lane] = slot
    this.#lastOrders[lane] = this.#orders[slot]!
    if (waits) this.#next[last] = slot
    else this.#push(time, slot)
  }

  /** Puts an event into a slot. */
  #keep(time: number, kind: number, subject: number): number {
    assert(time >= this.now, 'events lie in the future')
    if (this.#unused === NONE) this.#grow()
    const slot = this.#unused
    this.#unused = this.#next[slot]!
    this.#next[slot] = NONE
    this.#due[slot] = time
    this.#orders[slot] = this.#order++
    this.#kinds[slot] = kind
    this.#subjects[slot] = subject
    return slot
  }

  #push(time: number, slot: number): void {
    const times = this.#times
    const slots = this.#slots
    let at = this.#size++
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
    const next = this.#next[slot]!
    this.#orders[slot] = SERVED
    this.#next[slot] = this.#unused
    this.#unused = slot
    if (next !== NONE) this.#sink(this.#due[next]!, next)
    else if (--this.#size > 0) this.#sink(this.#times[this.#size]!, this.#slots[this.#size]!)
    this.now = time
    this.served++
    this.#hash = Math.imul(this.#hash ^ (kind + (subject << 6)), HASH_PRIME) ^ (time * TICKS)
    this.#handlers[kind]!(subject)
  }

  /** Puts an event in the place of the first, from where it sinks to where it belongs. */
  #sink(time: number, slot: number): void {
    const times = this.#times
    const slots = this.#slots
    const size = this.#size
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
    const size = this.#due.length
    const capacity = size * 2
    this.#times = longer(this.#times, new Float64Array(capacity))
    this.#slots = longer(this.#slots, new Int32Array(capacity))
    this.#due = longer(this.#due, new Float64Array(capacity))
    this.#orders = longer(this.#orders, new Float64Array(capacity).fill(SERVED))
    this.#kinds = longer(this.#kinds, new Int32Array(capacity))
    this.#subjects = longer(this.#subjects, new Int32Array(capacity))
    this.#next = longer(this.#next, chained(capacity, size))
    this.#unused = size
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

/** Slots from `first` on, each naming the next. */
function chained(capacity: number, first: number): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: capacity }, (_, slot) =>
    slot < first ? NONE : slot + 1 < capacity ? slot + 1 : NONE,
  )
}
