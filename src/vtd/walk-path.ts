/** The entries that a walk read, by level: what flags and paging-structure caches are filled from when it is done. */
import type { PageNumber } from '../core/index.ts'
import { MAX_LEVELS, pageAt } from './paging-geometry.ts'

/** Integers of a level, side by side. */
const LEVEL_SHIFT = 2
const TABLE_LOW = 0
const TABLE_HIGH = 1
const LOW = 2
const RIGHTS = 3

export class WalkPath {
  readonly #integers = new Int32Array((MAX_LEVELS + 1) << LEVEL_SHIFT)

  /** The entry of a level is read from the table at an address, given in two words. */
  tableIs(level: number, low: number, high: number): void {
    const integers = this.#integers
    const at = level << LEVEL_SHIFT
    integers[at | TABLE_LOW] = low
    integers[at | TABLE_HIGH] = high
  }

  /** An entry read: its low word, and the rights of the path down to it and with it. */
  record(level: number, low: number, rights: number): void {
    const integers = this.#integers
    const at = level << LEVEL_SHIFT
    integers[at | LOW] = low
    integers[at | RIGHTS] = rights
  }

  /** Frame of the table that the entry of a level was read from. */
  tableOf(level: number): PageNumber {
    const at = level << LEVEL_SHIFT
    return pageAt(this.#integers[at | TABLE_LOW]!, this.#integers[at | TABLE_HIGH]!)
  }

  lowOf(level: number): number {
    return this.#integers[(level << LEVEL_SHIFT) | LOW]!
  }

  rightsOf(level: number): number {
    return this.#integers[(level << LEVEL_SHIFT) | RIGHTS]!
  }
}
