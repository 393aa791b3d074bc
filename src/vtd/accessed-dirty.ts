/**
 * "Accessed, Extended Accessed, and Dirty Flags": bits that a request must set in paging entries before it is done. They
 * are gathered during the walk and set, each by one read-modify-write, only when the request is allowed.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'

/** A nested walk touches at most 5 first-stage and 6 × 5 second-stage entries, some of them twice. */
const MOST = 64

export class AccessedDirtyUpdates {
  readonly #tables = new Float64Array(MOST)
  readonly #words = new Int32Array(MOST)
  readonly #bits = new Int32Array(MOST)
  count = 0

  /** `word` is the index in the table of the entry's low word. */
  add(table: PageNumber, word: number, bits: number): void {
    const at = this.count++
    this.#tables[at] = table
    this.#words[at] = word
    this.#bits[at] = bits
  }

  /** Whether some entry lies where memory can be read but not written. */
  cannotApply(memory: PhysicalMemory): boolean {
    for (let i = 0; i < this.count; i++) if (memory.pageForWrite(this.#tables[i]!) === undefined) return true
    return false
  }

  apply(memory: PhysicalMemory): void {
    for (let i = 0; i < this.count; i++) {
      const page = memory.pageForWrite(this.#tables[i]!)
      if (page !== undefined) page.words[this.#words[i]!]! |= this.#bits[i]!
    }
    this.count = 0
  }
}
