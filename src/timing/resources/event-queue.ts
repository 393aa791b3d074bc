/**
 * Virtual time of a simulation: events as numbers in typed arrays, so that one costs no allocation. `engine/` does the
 * same for a platform, whose events are few, named and saved; here millions pass, and none outlives the simulation.
 */
import { assert } from '../../core/index.ts'

/** What an event does: the number it was scheduled with comes back. */
export type EventHandler = (subject: number) => void

const FIRST_CAPACITY = 1024
/** Events that are kept in order, and how many of them come or go at once. */
const NEAR = 32
const PORTION = 16
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
  // The events to come next by time, then by order of scheduling, each in a slot: the very next is the last. Most events
  // come soon after they are scheduled, so that their place is found at once.
  readonly #nearTimes = new Float64Array(NEAR)
  readonly #nearSlots = new Int32Array(NEAR)
  #near = 0
  // All others, in a heap.
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
  readonly #lanes = new Map<number, number>()

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

  /** The one for events of which each is scheduled so long ahead. */
  laneFor(delay: number): number {
    let lane = this.#lanes.get(delay)
    if (lane === undefined) this.#lanes.set(delay, (lane = this.lane()))
    return lane
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

  /** Puts an event of a slot among those to come. */
  #push(time: number, slot: number): void {
    if (this.#near === NEAR) this.#spread()
    const isNear = this.#size === 0 || this.#isBefore(time, slot, this.#times[0]!, this.#slots[0]!)
    if (isNear) this.#insert(time, slot)
    else this.#rise(time, slot)
  }

  #insert(time: number, slot: number): void {
    const times = this.#nearTimes
    const slots = this.#nearSlots
    let at = this.#near++
    while (at > 0 && !this.#isBefore(time, slot, times[at - 1]!, slots[at - 1]!)) {
      times[at] = times[at - 1]!
      slots[at] = slots[at - 1]!
      at--
    }
    times[at] = time
    slots[at] = slot
  }

  /** Moves the later ones of the near events to the others. */
  #spread(): void {
    for (let at = 0; at < PORTION; at++) this.#rise(this.#nearTimes[at]!, this.#nearSlots[at]!)
    this.#nearTimes.copyWithin(0, PORTION)
    this.#nearSlots.copyWithin(0, PORTION)
    this.#near = NEAR - PORTION
  }

  /** Makes the next ones of the others the near events, when there are none. */
  #gather(): void {
    const count = Math.min(PORTION, this.#size)
    for (let at = count - 1; at >= 0; at--) {
      this.#nearTimes[at] = this.#times[0]!
      this.#nearSlots[at] = this.#slots[0]!
      this.#size--
      if (this.#size > 0) this.#sink(this.#times[this.#size]!, this.#slots[this.#size]!)
    }
    this.#near = count
  }

  /** Puts an event at the end of the heap, from where it rises to where it belongs. */
  #rise(time: number, slot: number): void {
    const times = this.#times
    const slots = this.#slots
    let at = this.#size++
    while (at > 0) {
      const parent = (at - 1) >>> FAN_OUT
      if (!this.#isBefore(time, slot, times[parent]!, slots[parent]!)) break
      times[at] = times[parent]!
      slots[at] = slots[parent]!
      at = parent
    }
    times[at] = time
    slots[at] = slot
  }

  /** Lets everything happen up to a time, which it then is. */
  run(until: number): void {
    for (;;) {
      if (this.#near === 0) this.#gather()
      if (this.#near === 0 || this.#nearTimes[this.#near - 1]! > until) break
      this.#serve()
    }
    this.now = until
  }

  #serve(): void {
    const last = --this.#near
    const time = this.#nearTimes[last]!
    const slot = this.#nearSlots[last]!
    const kind = this.#kinds[slot]!
    const subject = this.#subjects[slot]!
    const next = this.#next[slot]!
    this.#orders[slot] = SERVED
    this.#next[slot] = this.#unused
    this.#unused = slot
    if (next !== NONE) this.#push(this.#due[next]!, next)
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
        if (this.#isBefore(candidate, slots[other]!, least, slots[child]!)) {
          child = other
          least = candidate
        }
      }
      if (this.#isBefore(time, slot, least, slots[child]!)) break
      times[at] = least
      slots[at] = slots[child]!
      at = child
    }
    times[at] = time
    slots[at] = slot
  }

  /** Whether an event comes before another: sooner, or scheduled sooner for the same time. */
  #isBefore(time: number, slot: number, otherTime: number, other: number): boolean {
    return time < otherTime || (time === otherTime && this.#orders[slot]! < this.#orders[other]!)
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
