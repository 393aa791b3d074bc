/** The entries that a walk read, by level: what flags and paging-structure caches are filled from when it is done. */
import type { PageNumber } from '../core/index.ts'
import { MAX_LEVELS } from './paging-geometry.ts'

/** Numbers of a level, side by side. */
const LEVEL_SHIFT = 2
const TABLE = 0
const LOW = 1
const RIGHTS = 2

export class WalkPath {
  readonly #numbers = new Float64Array((MAX_LEVELS + 1) << LEVEL_SHIFT)

  /** An entry read: frame of its table, its low word, and the rights of the path down to it. */
  record(level: number, table: PageNumber, low: number, rights: number): void {
    const numbers = this.#numbers
    const at = level << LEVEL_SHIFT
    numbers[at + TABLE] = table
    numbers[at + LOW] = low
    numbers[at + RIGHTS] = rights
  }

  tableOf(level: number): PageNumber {
    return this.#numbers[(level << LEVEL_SHIFT) + TABLE]!
  }

  lowOf(level: number): number {
    return this.#numbers[(level << LEVEL_SHIFT) + LOW]! | 0
  }

  rightsOf(level: number): number {
    return this.#numbers[(level << LEVEL_SHIFT) + RIGHTS]! | 0
  }
}
