/** Walks of page tables. One may be announced before it begins; it is counted once it has begun. */
import type { EventQueue } from '../resources/event-queue.ts'

/** Walks of more reads are counted as if they had made so many: root, context and each level are fewer. */
const MOST_READS = 8

export class Walks {
  readonly #events: EventQueue
  /** By their reads. */
  readonly #begun = new Float64Array(MOST_READS)
  #reads = 0
  // Those that have not begun yet, in order.
  readonly #times: number[] = []
  readonly #expected: number[] = []

  constructor(events: EventQueue) {
    this.#events = events
  }

  /** A walk that begins now, or later but not before others that are known of. */
  add(reads: number, begins: number): void {
    this.#times.push(begins)
    this.#expected.push(reads)
    this.#settle()
  }

  /** Counts what has begun meanwhile. */
  #settle(): void {
    while (this.#times.length > 0 && this.#times[0]! <= this.#events.now) {
      this.#times.shift()
      const reads = this.#expected.shift()!
      this.#begun[Math.min(reads, MOST_READS - 1)]!++
      this.#reads += reads
    }
  }

  /** Those that read so many entries or more. */
  atLeast(reads: number): number {
    this.#settle()
    return this.#begun.reduce((sum, walks, each) => sum + (each >= reads ? walks : 0), 0)
  }

  get reads(): number {
    this.#settle()
    return this.#reads
  }

  /** Begins to count anew. */
  restart(): void {
    this.#settle()
    this.#begun.fill(0)
    this.#reads = 0
  }
}
