/** Unmaps whose invalidation waits for others, so that one invalidation serves many ("lazy" mode of Linux). */
import type { PageNumber } from '../../core/index.ts'

/** So many wait at most, as in Linux's queues. */
const BOUND = 256

export interface Deferred {
  readonly page: PageNumber
  readonly pages: number
  /** Tables that went out of the walk with the range; caches may still lead to them. */
  readonly tables: readonly PageNumber[]
  /** Memory that was mapped there. */
  readonly hostPage: PageNumber
}

export type SavedDeferred = {
  readonly page: PageNumber
  readonly pages: number
  readonly tables: readonly PageNumber[]
  readonly hostPage: PageNumber
}

export class FlushQueue {
  #waiting: Deferred[] = []

  get length(): number {
    return this.#waiting.length
  }

  /** Returns whether the queue is full now: time to flush. */
  add(entry: Deferred): boolean {
    this.#waiting.push(entry)
    return this.#waiting.length >= BOUND
  }

  /** Empties the queue. */
  take(): readonly Deferred[] {
    const waiting = this.#waiting
    this.#waiting = []
    return waiting
  }

  save(): readonly SavedDeferred[] {
    return this.#waiting.map(entry => ({ ...entry }))
  }

  load(saved: readonly SavedDeferred[]): void {
    this.#waiting = saved.map(entry => ({ ...entry }))
  }
}
