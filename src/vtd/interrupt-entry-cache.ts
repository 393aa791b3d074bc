/** "Interrupt Entry Cache": remapping table entries as they were read, by interrupt index. Direct-mapped. */
import type { Saved } from '../core/index.ts'
import { assertSets, loadColumns, saveColumns } from './cache-storage.ts'
import { IRTE_WORDS } from './formats/structures.ts'

const INVALID = -1

export class InterruptEntryCache {
  readonly #size: number
  readonly #index: Int32Array
  /** Four words to a slot; the one behind the last holds an entry just read from memory. */
  readonly raw: Uint32Array
  readonly scratch: number

  constructor(size: number) {
    assertSets(size)
    this.#size = size
    this.#index = new Int32Array(size + 1).fill(INVALID)
    this.raw = new Uint32Array((size + 1) * IRTE_WORDS)
    this.scratch = size
  }

  /** The slot of an interrupt index, or -1. */
  lookup(index: number): number {
    const slot = index & (this.#size - 1)
    return this.#index[slot] === index ? slot : -1
  }

  /** Copies the entry in the scratch slot into the cache. */
  keepScratch(index: number): void {
    const slot = index & (this.#size - 1)
    this.#index[slot] = index
    for (let word = 0; word < IRTE_WORDS; word++) {
      this.raw[slot * IRTE_WORDS + word] = this.raw[this.scratch * IRTE_WORDS + word]!
    }
  }

  indexOf(slot: number): number {
    return this.#index[slot]!
  }

  invalidateAll(): void {
    this.#index.fill(INVALID)
  }

  /** Drops entries whose index agrees with `index` above the low `maskBits` bits. */
  invalidateIndex(index: number, maskBits: number): void {
    for (const slot of this.entries()) {
      if (this.#index[slot]! >>> maskBits === index >>> maskBits) this.#index[slot] = INVALID
    }
  }

  /** Slots in use, ascending. */
  *entries(): Generator<number> {
    for (let slot = 0; slot < this.#size; slot++) if (this.#index[slot] !== INVALID) yield slot
  }

  #columns() {
    return { index: this.#index, raw: this.raw }
  }

  save(): Saved {
    return saveColumns(this.#columns(), this.#size + 1, this.#size)
  }

  load(saved: Saved): void {
    loadColumns(this.#columns(), saved)
  }
}
