/** The entries that a walk read, by level: what flags and paging-structure caches are filled from when it is done. */
import type { PageNumber } from '../core/index.ts'
import { MAX_LEVELS, pageAt } from './paging-geometry.ts'

/** Integers of a level, side by side. */
const LEVEL_SHIFT = 2
const TABLE_LOW = 0
const TABLE_HIGH = 1
const LOW = 2
const HIGH = 3

export class WalkPath {
  readonly #integers = new Int32Array((MAX_LEVELS + 1) << LEVEL_SHIFT)

  /** An entry read, and the address of the table that it was read from, each in two words. */
  record(level: number, tableLow: number, tableHigh: number, low: number, high: number): void {
    const integers = this.#integers
    const at = level << LEVEL_SHIFT
    integers[at | TABLE_LOW] = tableLow
    integers[at | TABLE_HIGH] = tableHigh
    integers[at | LOW] = low
    integers[at | HIGH] = high
  }

  /** Frame of the table that the entry of a level was read from. */
  tableOf(level: number): PageNumber {
    const at = level << LEVEL_SHIFT
    return pageAt(this.#integers[at | TABLE_LOW]!, this.#integers[at | TABLE_HIGH]!)
  }

  lowOf(level: number): number {
    return this.#integers[(level << LEVEL_SHIFT) | LOW]!
  }

  highOf(level: number): number {
    return this.#integers[(level << LEVEL_SHIFT) | HIGH]!
  }
}
