/** What L2 has cost: entries, and VM exits by reason and by the level that took them. */
import { opened, type Saved } from '../../core/index.ts'
import { exitName } from '../exit-record.ts'
import type { NestedCounts } from '../types.ts'
import { byName, REASONS } from '../vcpu-counters.ts'

export class NestedCounters {
  #entries = 0
  readonly #toL1 = new Uint32Array(REASONS)
  readonly #own = new Uint32Array(REASONS)

  entry(): void {
    this.#entries++
  }

  /** An exit of L2 that L1 was shown. */
  reflected(reason: number): void {
    this.#toL1[reason]!++
  }

  /** An exit of L2 that L1 never learns of. */
  handled(reason: number): void {
    this.#own[reason]!++
  }

  view(): NestedCounts {
    return {
      entries: this.#entries,
      reflected: byName(this.#toL1, exitName),
      handled: byName(this.#own, exitName),
    }
  }

  save(): Saved {
    return { version: 1, entries: this.#entries, reflected: this.#toL1.slice(), handled: this.#own.slice() }
  }

  load(saved: Saved): void {
    const { entries, reflected, handled } = opened<{
      entries: number
      reflected: Uint32Array
      handled: Uint32Array
    }>(saved, 'the counters of a nested guest', 1)
    this.#entries = entries
    this.#toL1.set(reflected)
    this.#own.set(handled)
  }
}
