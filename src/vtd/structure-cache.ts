/** What context cache and PASID cache share: decoded entries by source-id and PASID, with their raw words. */
import type { Saved } from '../core/index.ts'
import { assertSets, loadColumns, saveColumns } from './cache-storage.ts'

/** In `kindOf`: the entry is erroneous, and the reason code is in the low bits. */
export const ERRONEOUS = 0x100
/** Domain-id of entries that have none: any selection by domain takes them. */
export const ANY_DOMAIN = -1

const INVALID = -1
/** Integers of a slot, side by side: one set of four ways is two cache lines. */
const STRIDE = 8
const SOURCE_ID = 0
const PASID = 1
const DOMAIN_ID = 2
const KIND = 3
const LEVELS = 4
const LEVELS_1 = 5
const FLAGS = 6

/** Numbers of a slot. */
const FLOATS = 2
const ROOT = 0
const LIMIT = 1

/** Set-associative, replacement in turn; without ways nothing is kept. One slot more than capacity holds an entry just read from memory. */
export class StructureCache {
  readonly #sets: number
  readonly #ways: number
  readonly #next: Uint8Array
  /** Where an entry read from memory is decoded before it enters the cache. */
  readonly scratch: number
  readonly #integers: Int32Array
  readonly #floats: Float64Array
  /** Counts, wrapping around, what was entered or dropped: while it stands, a slot found before is what it was. */
  changes = 0
  /** The slot found last: often the next one too. */
  #last = 0
  /** Words of an entry. */
  readonly wordsPerEntry: number
  /** The entry as read, `wordsPerEntry` to a slot. */
  readonly raw: Uint32Array

  constructor(sets: number, ways: number, wordsPerEntry: number) {
    assertSets(sets)
    const slots = sets * ways + 1
    this.#sets = sets
    this.#ways = ways
    this.#next = new Uint8Array(sets)
    this.scratch = sets * ways
    this.wordsPerEntry = wordsPerEntry
    this.#integers = new Int32Array(slots * STRIDE)
    this.#floats = new Float64Array(slots * FLOATS)
    this.raw = new Uint32Array(slots * wordsPerEntry)
    this.invalidateAll()
  }

  /** The slot of a source-id and PASID (0 in the context cache), or -1. */
  find(sourceId: number, pasid: number): number {
    const integers = this.#integers
    const last = this.#last * STRIDE
    if (integers[last] === sourceId && integers[last + PASID] === pasid) return this.#last
    const first = this.#setOf(sourceId, pasid) * this.#ways
    for (let slot = first; slot < first + this.#ways; slot++) {
      const at = slot * STRIDE
      if (integers[at] === sourceId && integers[at + PASID] === pasid) return (this.#last = slot)
    }
    return -1
  }

  #setOf(sourceId: number, pasid: number): number {
    return (sourceId ^ (sourceId >>> 7) ^ pasid ^ (pasid >>> 6)) & (this.#sets - 1)
  }

  sourceIdOf(slot: number): number {
    return this.#integers[slot * STRIDE + SOURCE_ID]!
  }

  pasidOf(slot: number): number {
    return this.#integers[slot * STRIDE + PASID]!
  }

  /** Tag for domain-selective invalidation; 0 for erroneous entries, which only caching mode keeps. */
  domainIdOf(slot: number): number {
    return this.#integers[slot * STRIDE + DOMAIN_ID]!
  }

  /** Type of a good entry; for an erroneous one {@link ERRONEOUS} plus its reason code. */
  kindOf(slot: number): number {
    return this.#integers[slot * STRIDE + KIND]!
  }

  /** Levels of the second-stage tables. */
  levelsOf(slot: number): number {
    return this.#integers[slot * STRIDE + LEVELS]!
  }

  /** Levels of the first-stage tables. */
  firstStageLevelsOf(slot: number): number {
    return this.#integers[slot * STRIDE + LEVELS_1]!
  }

  flagsOf(slot: number): number {
    return this.#integers[slot * STRIDE + FLAGS]!
  }

  /** A word of the entry as read. */
  wordOf(slot: number, word: number): number {
    return this.raw[slot * this.wordsPerEntry + word]! | 0
  }

  /** Frame of the table that the entry points to. */
  rootOf(slot: number): number {
    return this.#floats[slot * FLOATS + ROOT]!
  }

  /** First page number that is beyond the address width of the second stage. */
  limitOf(slot: number): number {
    return this.#floats[slot * FLOATS + LIMIT]!
  }

  /** Describes the entry in the scratch slot, next to its raw words. */
  decodeScratch(
    domainId: number,
    kind: number,
    levels: number,
    root: number,
    limit: number,
    flags = 0,
    firstStageLevels = 0,
  ): void {
    const at = this.scratch * STRIDE
    const integers = this.#integers
    integers[at + DOMAIN_ID] = domainId
    integers[at + KIND] = kind
    integers[at + LEVELS] = levels
    integers[at + LEVELS_1] = firstStageLevels
    integers[at + FLAGS] = flags
    const floats = this.#floats
    floats[this.scratch * FLOATS + ROOT] = root
    floats[this.scratch * FLOATS + LIMIT] = limit
  }

  /** Copies the entry in the scratch slot into the cache. Returns whether that replaced another. */
  keep(sourceId: number, pasid: number): boolean {
    if (this.#ways === 0) return false
    const set = this.#setOf(sourceId, pasid)
    const way = this.#next[set]!
    this.#next[set] = way + 1 === this.#ways ? 0 : way + 1
    const slot = set * this.#ways + way
    const from = this.scratch
    const { raw, wordsPerEntry } = this
    const integers = this.#integers
    const replaced = integers[slot * STRIDE]! !== INVALID
    this.changes = (this.changes + 1) | 0
    integers[slot * STRIDE + SOURCE_ID] = sourceId
    integers[slot * STRIDE + PASID] = pasid
    for (let i = PASID + 1; i < STRIDE; i++) integers[slot * STRIDE + i] = integers[from * STRIDE + i]!
    for (let i = 0; i < FLOATS; i++) this.#floats[slot * FLOATS + i] = this.#floats[from * FLOATS + i]!
    for (let i = 0; i < wordsPerEntry; i++) raw[slot * wordsPerEntry + i] = raw[from * wordsPerEntry + i]!
    return replaced
  }

  invalidateAll(): void {
    for (let slot = 0; slot <= this.scratch; slot++) this.invalidateSlot(slot)
  }

  invalidateSlot(slot: number): void {
    this.#integers[slot * STRIDE + SOURCE_ID] = INVALID
    this.changes = (this.changes + 1) | 0
  }

  /** Whether a selection by domain-id takes the entry of a slot. */
  protected isOfDomain(slot: number, domainId: number): boolean {
    const tag = this.domainIdOf(slot)
    return tag === domainId || tag === ANY_DOMAIN
  }

  /** Slots in use, ascending. */
  *entries(): Generator<number> {
    for (let slot = 0; slot < this.scratch; slot++) if (this.sourceIdOf(slot) !== INVALID) yield slot
  }

  #columns() {
    return { integers: this.#integers, floats: this.#floats, raw: this.raw }
  }

  save(): Saved {
    const { scratch } = this
    return { next: this.#next.slice(), slots: saveColumns(this.#columns(), scratch + 1, scratch) }
  }

  load(saved: Saved): void {
    const { next, slots } = saved as { next: Uint8Array; slots: Saved }
    this.changes = (this.changes + 1) | 0
    this.#next.set(next)
    loadColumns(this.#columns(), slots)
  }
}
