/**
 * "Interrupt Moderation": a vector's next message leaves no sooner than its interval after the last one; what happens in
 * between is told by one message at its end.
 */
import type { Saved } from '../../../core/index.ts'

export class Moderation {
  /** Virtual time from which on each vector may interrupt again. */
  readonly #openAt: Float64Array
  readonly #postponed: Uint8Array

  constructor(vectors: number) {
    this.#openAt = new Float64Array(vectors)
    this.#postponed = new Uint8Array(vectors)
  }

  /**
   * A vector wants to interrupt. Returns 0 if it may now, else the time to wait, or -1 if it waits already.
   * @param interval nanoseconds, 0 without moderation.
   */
  request(vector: number, now: number, interval: number): number {
    if (this.#postponed[vector] === 1) return -1
    const open = this.#openAt[vector]!
    if (open > now && interval > 0) {
      this.#postponed[vector] = 1
      return open - now
    }
    this.#openAt[vector] = interval > 0 ? now + interval : 0
    return 0
  }

  /** The time of a postponed vector is over; false if it was cancelled meanwhile, or put off. */
  timeIsUp(vector: number, now: number, interval: number): boolean {
    if (this.#postponed[vector] === 0 || this.#openAt[vector]! > now) return false
    this.#postponed[vector] = 0
    this.#openAt[vector] = interval > 0 ? now + interval : 0
    return true
  }

  reset(): void {
    this.#openAt.fill(0)
    this.#postponed.fill(0)
  }

  save(): Saved {
    return { openAt: this.#openAt.slice(), postponed: this.#postponed.slice() }
  }

  load(saved: Saved): void {
    const state = saved as { openAt: Float64Array; postponed: Uint8Array }
    this.#openAt.set(state.openAt)
    this.#postponed.set(state.postponed)
  }
}
