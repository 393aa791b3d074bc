/** Interrupts of completion queues: NVM Express 1.4, §7.5 "Interrupts", §7.5.1.1 "Interrupt Aggregation". */
import type { Saved } from '../../core/index.ts'
import type { BusMaster } from './bus.ts'
import type { Features } from './features.ts'
import type { CompletionQueue } from './queues.ts'
import { AGGREGATION_UNIT } from './settings.ts'

export class Aggregation {
  readonly #bus: BusMaster
  readonly #features: Features
  readonly #schedule: (delay: number, vector: number) => void
  /** Entries that were posted and not announced, by vector. */
  readonly #waiting: Uint16Array
  /** Vectors to signal when the controller has done what it was at. */
  readonly #due: Uint8Array
  /** Where to look for them. */
  #firstDue: number
  #lastDue = -1
  /** Whether a timer runs, by vector. */
  readonly #timed: Uint8Array
  /** INTMS and INTMC: vectors held back while messages go without an MSI-X table. */
  mask = 0
  #held = 0

  constructor(
    bus: BusMaster,
    features: Features,
    vectors: number,
    schedule: (delay: number, vector: number) => void,
  ) {
    this.#bus = bus
    this.#features = features
    this.#schedule = schedule
    this.#waiting = new Uint16Array(vectors)
    this.#due = new Uint8Array(vectors)
    this.#timed = new Uint8Array(vectors)
    this.#firstDue = vectors
  }

  /** An entry was posted. Admin completions are never aggregated. */
  posted(queue: CompletionQueue): void {
    if (!queue.interrupts) return
    const { vector } = queue
    if (queue.id === 0 || !this.#features.coalesces(vector)) {
      this.#dueNow(vector)
      return
    }
    this.#waiting[vector]!++
    if (this.#waiting[vector]! >= this.#features.aggregationThreshold) this.#dueNow(vector)
    else if (this.#timed[vector] === 0) {
      this.#timed[vector] = 1
      this.#schedule(this.#features.aggregationTime * AGGREGATION_UNIT, vector)
    }
  }

  #dueNow(vector: number): void {
    this.#waiting[vector] = 0
    this.#due[vector] = 1
    if (vector < this.#firstDue) this.#firstDue = vector
    if (vector > this.#lastDue) this.#lastDue = vector
  }

  /** The aggregation time of a vector is over. */
  timeIsUp(vector: number): void {
    this.#timed[vector] = 0
    if (this.#waiting[vector] === 0) return
    this.#dueNow(vector)
    this.flush()
  }

  /** Sends what is due: one message for all entries of a vector. */
  flush(): void {
    const last = this.#lastDue
    const first = this.#firstDue
    this.#firstDue = this.#due.length
    this.#lastDue = -1
    for (let vector = first; vector <= last; vector++) {
      if (this.#due[vector] === 0) continue
      this.#due[vector] = 0
      this.#signal(vector)
    }
  }

  #signal(vector: number): void {
    if (!this.#bus.usesMessageTable && vector < 32 && ((this.mask >>> vector) & 1) !== 0) {
      this.#held |= 1 << vector
      return
    }
    this.#bus.signal(vector)
  }

  /** INTMS or INTMC was written. */
  setMask(mask: number): void {
    this.mask = mask >>> 0
    const released = this.#held & ~mask
    this.#held &= mask
    for (let vector = 0; vector < 32; vector++)
      if (((released >>> vector) & 1) !== 0) this.#bus.signal(vector)
  }

  reset(): void {
    this.#waiting.fill(0)
    this.#due.fill(0)
    this.#firstDue = this.#due.length
    this.#lastDue = -1
    this.mask = 0
    this.#held = 0
  }

  save(): Saved {
    return {
      waiting: this.#waiting.slice(),
      timed: this.#timed.slice(),
      mask: this.mask,
      held: this.#held >>> 0,
    }
  }

  load(saved: Saved): void {
    const state = saved as { waiting: Uint16Array; timed: Uint8Array; mask: number; held: number }
    this.#waiting.set(state.waiting)
    this.#timed.set(state.timed)
    this.mask = state.mask
    this.#held = state.held
  }
}
