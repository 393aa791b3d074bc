/**
 * Storage that IOTLB and paging-structure caches share: set-associative, tagged with an address space, the PASID, the
 * level of the entry and the number of the entry-sized unit of input address space that it covers.
 */
import type { PageNumber, Saved } from '../core/index.ts'
import { assertSets, loadColumns, saveColumns } from './cache-storage.ts'
import { MAX_LEVELS, PAGES_IN_ENTRY, PAGES_TO_UNITS } from './paging-geometry.ts'

/** Which tables an entry came from. Legacy second-stage tables and those of scalable mode are tagged alike. */
export const KIND = { secondStage: 0, firstStage: 1, nested: 2 } as const

/** An input address space as caches tell it: the PASID belongs to it too, but for second-stage, where it is 0. */
export const addressSpace = (domainId: number, kind: number): number => domainId * 4 + kind

/** Which way of a full set makes room: each in turn, or one by chance (seeded: the same for the same history). */
export type Replacement = 'fifo' | 'random'

const INVALID = -1
/** A PASID has 20 bits; what is above them tells entries of one PASID apart and is not named by invalidations. */
export const PASID_BITS = 20
const PASID_MASK = 2 ** PASID_BITS - 1
const SEED = 0x2545_f491

export class TaggedCache {
  readonly #sets: number
  readonly #ways: number
  readonly #random: boolean
  /** Next way of each set; the last word is the state of the generator of chance. */
  readonly #next: Uint32Array
  readonly capacity: number
  /** `addressSpace * 8 + level`, or -1. */
  readonly #tag: Int32Array
  readonly #pasid: Int32Array
  readonly #unit: Float64Array
  readonly #value: Float64Array
  readonly #attributes: Int32Array
  /** Slots in use by level. */
  protected readonly inUse = new Int32Array(MAX_LEVELS + 1)

  constructor(sets: number, ways: number, replacement: Replacement = 'fifo') {
    assertSets(sets)
    this.#sets = sets
    this.#ways = ways
    this.#random = replacement === 'random'
    this.#next = new Uint32Array(sets + 1)
    this.#next[sets] = SEED
    this.capacity = sets * ways
    this.#tag = new Int32Array(this.capacity).fill(INVALID)
    this.#pasid = new Int32Array(this.capacity)
    this.#unit = new Float64Array(this.capacity)
    this.#value = new Float64Array(this.capacity)
    this.#attributes = new Int32Array(this.capacity)
  }

  /** The slot of a unit, or -1. */
  probe(tag: number, pasid: number, unit: number): number {
    const first = this.#setOf(tag, pasid, unit) * this.#ways
    const end = first + this.#ways
    for (let slot = first; slot < end; slot++) {
      if (this.#unit[slot] === unit && this.#tag[slot] === tag && this.#pasid[slot] === pasid) return slot
    }
    return -1
  }

  /** Neighbouring units, and units a power of two apart, fall into different sets; one unit of two spaces into unrelated ones. */
  #setOf(tag: number, pasid: number, unit: number): number {
    const low = unit | 0
    return ((low ^ (low >>> 9)) + (Math.imul(tag + (pasid << 8), 0x9e37_79b1) >>> 13)) & (this.#sets - 1)
  }

  valueOf(slot: number): number {
    return this.#value[slot]!
  }

  attributesOf(slot: number): number {
    return this.#attributes[slot]!
  }

  levelOf(slot: number): number {
    return this.#tag[slot]! & 7
  }

  kindOf(slot: number): number {
    return (this.#tag[slot]! >>> 3) & 3
  }

  domainIdOf(slot: number): number {
    return this.#tag[slot]! >>> 5
  }

  pasidOf(slot: number): number {
    return this.#pasid[slot]! & PASID_MASK
  }

  /** First page that a slot covers. */
  firstPageOf(slot: number): PageNumber {
    return this.#unit[slot]! * PAGES_IN_ENTRY[this.levelOf(slot)]!
  }

  /** Enters what a walk found at a level for the unit around `page`. Returns whether that replaced another entry. */
  enter(
    space: number,
    pasid: number,
    level: number,
    page: PageNumber,
    value: number,
    attributes: number,
  ): boolean {
    const tag = space * 8 + level
    const unit = Math.floor(page * PAGES_TO_UNITS[level]!)
    const set = this.#setOf(tag, pasid, unit)
    const slot = set * this.#ways + this.#victim(set)
    const replaced = this.#tag[slot]!
    if (replaced !== INVALID) this.inUse[replaced & 7]!--
    this.inUse[level]!++
    this.#tag[slot] = tag
    this.#pasid[slot] = pasid
    this.#unit[slot] = unit
    this.#value[slot] = value
    this.#attributes[slot] = attributes
    return replaced !== INVALID
  }

  #victim(set: number): number {
    const next = this.#next
    if (this.#random) {
      let chance = next[this.#sets]!
      chance ^= chance << 13
      chance ^= chance >>> 17
      chance ^= chance << 5
      next[this.#sets] = chance
      return (chance >>> 0) % this.#ways
    }
    const way = next[set]!
    next[set] = way + 1 === this.#ways ? 0 : way + 1
    return way
  }

  drop(slot: number): void {
    const tag = this.#tag[slot]!
    if (tag === INVALID) return
    this.#tag[slot] = INVALID
    this.inUse[tag & 7]!--
  }

  invalidateAll(): void {
    this.#tag.fill(INVALID)
    this.inUse.fill(0)
  }

  invalidateDomain(domainId: number): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (this.#tag[slot]! >> 5 === domainId) this.drop(slot)
    }
  }

  /**
   * Drops second-stage entries of a domain that overlap `count` pages from `page` on, whatever their size, and all its
   * first-stage and nested entries: which of those depend on the pages cannot be told.
   */
  invalidatePages(domainId: number, page: PageNumber, count: number): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (this.#tag[slot]! >> 5 !== domainId) continue
      if (this.kindOf(slot) !== KIND.secondStage || this.#overlaps(slot, page, count)) this.drop(slot)
    }
  }

  /** Drops first-stage and nested entries of a PASID that overlap `count` pages from `page` on. */
  invalidatePasidPages(domainId: number, pasid: number, page: PageNumber, count: number): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (this.#tag[slot]! >> 5 !== domainId || this.pasidOf(slot) !== pasid) continue
      if (this.kindOf(slot) !== KIND.secondStage && this.#overlaps(slot, page, count)) this.drop(slot)
    }
  }

  #overlaps(slot: number, page: PageNumber, count: number): boolean {
    const first = this.firstPageOf(slot)
    return first < page + count && first + PAGES_IN_ENTRY[this.levelOf(slot)]! > page
  }

  /** Slots in use, ascending. */
  *entries(): Generator<number> {
    for (let slot = 0; slot < this.capacity; slot++) if (this.#tag[slot] !== INVALID) yield slot
  }

  #columns() {
    return {
      tag: this.#tag,
      pasid: this.#pasid,
      unit: this.#unit,
      value: this.#value,
      attributes: this.#attributes,
    }
  }

  save(): Saved {
    return { next: this.#next.slice(), slots: saveColumns(this.#columns(), this.capacity, this.capacity) }
  }

  load(saved: Saved): void {
    const { next, slots } = saved as { next: Uint32Array; slots: Saved }
    this.#next.set(next)
    loadColumns(this.#columns(), slots)
    this.inUse.fill(0)
    for (const slot of this.entries()) this.inUse[this.levelOf(slot)]!++
  }
}
