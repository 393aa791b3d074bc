/**
 * A shortcut past context cache and IOTLB for requests just translated. It is no cache that software can see: an entry
 * is used only while nothing has happened that could change what the full way would answer, i.e. no register was
 * written and no entry that it came from was replaced.
 */
import type { PageNumber } from '../core/index.ts'

const ENTRIES = 256

export class RecentTranslations {
  /** Source-id * 2, plus 1 for writes. */
  readonly #key = new Int32Array(ENTRIES)
  readonly #page = new Float64Array(ENTRIES)
  readonly #frame = new Float64Array(ENTRIES)
  /** Value of `#generation` when the entry was made; 0 is never current. */
  readonly #made = new Float64Array(ENTRIES)
  #generation = 1

  /** Makes every entry unusable. */
  forget(): void {
    this.#generation++
  }

  /** The entry that answers, or -1. */
  lookup(key: number, page: PageNumber): number {
    const entry = (page ^ key) & (ENTRIES - 1)
    const found = this.#page[entry] === page && this.#key[entry] === key
    return found && this.#made[entry] === this.#generation ? entry : -1
  }

  frameOf(entry: number): PageNumber {
    return this.#frame[entry]!
  }

  keep(key: number, page: PageNumber, frame: PageNumber): void {
    const entry = (page ^ key) & (ENTRIES - 1)
    this.#key[entry] = key
    this.#page[entry] = page
    this.#frame[entry] = frame
    this.#made[entry] = this.#generation
  }
}
