/** "Context-Cache": decoded context entries by source-id, tagged with their domain-id. */
import type { PageNumber, Saved } from '../core/index.ts'
import { assertSets, loadColumns, saveColumns } from './cache-storage.ts'
import { CONTEXT_ENTRY, CONTEXT_ENTRY_WORDS } from './formats/structures.ts'

/** In `kindOf`: the entry is erroneous, and the reason code is in the low bits. */
export const ERRONEOUS = 0x100

const INVALID = -1
/** Integers of a slot, side by side: one set is one or two cache lines. */
const STRIDE = 4
const SOURCE_ID = 0
const DOMAIN_ID = 1
const KIND = 2
const LEVELS = 3

/** Set-associative, replacement in turn. One slot more than capacity holds an entry just read from memory. */
export class ContextCache {
  readonly #sets: number
  readonly #ways: number
  readonly #next: Uint8Array
  /** Where an entry read from memory is decoded before it enters the cache. */
  readonly scratch: number
  readonly #integers: Int32Array
  /** The entry as read, four words to a slot. */
  readonly raw: Uint32Array
  /** Frame of the second-stage root table. */
  readonly root: Float64Array
  /** First page number that is beyond the address width. */
  readonly limit: Float64Array

  constructor(sets: number, ways: number) {
    assertSets(sets)
    const slots = sets * ways + 1
    this.#sets = sets
    this.#ways = ways
    this.#next = new Uint8Array(sets)
    this.scratch = sets * ways
    this.#integers = new Int32Array(slots * STRIDE)
    this.raw = new Uint32Array(slots * CONTEXT_ENTRY_WORDS)
    this.root = new Float64Array(slots)
    this.limit = new Float64Array(slots)
    this.invalidateAll()
  }

  /** The slot of a source-id, or -1. */
  lookup(sourceId: number): number {
    const integers = this.#integers
    const first = this.#setOf(sourceId) * this.#ways
    for (let slot = first; slot < first + this.#ways; slot++) {
      if (integers[slot * STRIDE] === sourceId) return slot
    }
    return -1
  }

  #setOf(sourceId: number): number {
    return (sourceId ^ (sourceId >>> 7)) & (this.#sets - 1)
  }

  sourceIdOf(slot: number): number {
    return this.#integers[slot * STRIDE + SOURCE_ID]!
  }

  /** Tag for domain-selective invalidation; 0 for erroneous entries, which only caching mode keeps. */
  domainIdOf(slot: number): number {
    return this.#integers[slot * STRIDE + DOMAIN_ID]!
  }

  /** TT of a good entry; for an erroneous one {@link ERRONEOUS} plus its reason code. */
  kindOf(slot: number): number {
    return this.#integers[slot * STRIDE + KIND]!
  }

  levelsOf(slot: number): number {
    return this.#integers[slot * STRIDE + LEVELS]!
  }

  /** `FPD` of the entry. */
  faultProcessingDisabled(slot: number): boolean {
    return (this.raw[slot * CONTEXT_ENTRY_WORDS]! & CONTEXT_ENTRY.FPD.mask) !== 0
  }

  /** Describes the entry in the scratch slot, next to its raw words. */
  decodeScratch(domainId: number, kind: number, levels: number, root: PageNumber, limit: PageNumber): void {
    const at = this.scratch * STRIDE
    this.#integers[at + DOMAIN_ID] = domainId
    this.#integers[at + KIND] = kind
    this.#integers[at + LEVELS] = levels
    this.root[this.scratch] = root
    this.limit[this.scratch] = limit
  }

  /** Copies the entry in the scratch slot into the cache, as that of `sourceId`. Returns whether that replaced another. */
  keepScratch(sourceId: number): boolean {
    const set = this.#setOf(sourceId)
    const way = this.#next[set]!
    this.#next[set] = way + 1 === this.#ways ? 0 : way + 1
    const slot = set * this.#ways + way
    const from = this.scratch
    const replaced = this.sourceIdOf(slot) !== INVALID
    for (let i = 1; i < STRIDE; i++) this.#integers[slot * STRIDE + i] = this.#integers[from * STRIDE + i]!
    this.#integers[slot * STRIDE + SOURCE_ID] = sourceId
    for (let i = 0; i < CONTEXT_ENTRY_WORDS; i++) {
      this.raw[slot * CONTEXT_ENTRY_WORDS + i] = this.raw[from * CONTEXT_ENTRY_WORDS + i]!
    }
    this.root[slot] = this.root[from]!
    this.limit[slot] = this.limit[from]!
    return replaced
  }

  invalidateAll(): void {
    for (let slot = 0; slot <= this.scratch; slot++) this.#invalidate(slot)
  }

  #invalidate(slot: number): void {
    this.#integers[slot * STRIDE + SOURCE_ID] = INVALID
  }

  invalidateDomain(domainId: number): void {
    this.invalidateDevice(domainId, 0, 0)
  }

  /** Drops entries of a domain whose source-id agrees in the bits of `mask`. */
  invalidateDevice(domainId: number, sourceId: number, mask: number): void {
    for (const slot of this.entries()) {
      const differs = (this.sourceIdOf(slot) ^ sourceId) & mask
      if (this.domainIdOf(slot) === domainId && differs === 0) this.#invalidate(slot)
    }
  }

  /** Slots in use, ascending. */
  *entries(): Generator<number> {
    for (let slot = 0; slot < this.scratch; slot++) if (this.sourceIdOf(slot) !== INVALID) yield slot
  }

  #columns() {
    return { integers: this.#integers, raw: this.raw, root: this.root, limit: this.limit }
  }

  save(): Saved {
    const { scratch } = this
    return { next: this.#next.slice(), slots: saveColumns(this.#columns(), scratch + 1, scratch) }
  }

  load(saved: Saved): void {
    const { next, slots } = saved as { next: Uint8Array; slots: Saved }
    this.#next.set(next)
    loadColumns(this.#columns(), slots)
  }
}
