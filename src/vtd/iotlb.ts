/** "IOTLB": leaf translations by domain-id and page, with the rights of the whole walk, for all page sizes at once. */
import type { PageNumber, Saved } from '../core/index.ts'
import { assertSets, loadColumns, saveColumns } from './cache-storage.ts'
import { PAGES_TO_UNITS, PAGES_WITHIN } from './second-stage.ts'

const INVALID = -1

/**
 * Set-associative, replacement in turn. A slot is tagged with the domain-id, the level of its leaf (1: 4 KiB, 2: 2 MiB,
 * 3: 1 GiB) and the number of the leaf-sized unit of input address space that it covers. A lookup probes the 4-KiB
 * entries, and the larger sizes only while there are any.
 */
export class Iotlb {
  readonly #sets: number
  readonly #ways: number
  readonly #capacity: number
  readonly #next: Uint8Array
  /** Domain-id * 4 + level, or -1. */
  readonly #tag: Int32Array
  readonly #unit: Float64Array
  /** What to add to an input page number to get the host page number. */
  readonly #delta: Float64Array
  /** See {@link attributesOf}. Erroneous entries are there in caching mode only. */
  readonly #attributes: Int32Array
  /** Slots in use by level. */
  readonly #inUse = new Int32Array(4)

  constructor(sets: number, ways: number) {
    assertSets(sets)
    this.#sets = sets
    this.#ways = ways
    this.#capacity = sets * ways
    this.#next = new Uint8Array(sets)
    this.#tag = new Int32Array(this.#capacity).fill(INVALID)
    this.#unit = new Float64Array(this.#capacity)
    this.#delta = new Float64Array(this.#capacity)
    this.#attributes = new Int32Array(this.#capacity)
  }

  /** The slot that translates a page of a domain, or -1. */
  lookup(domainId: number, page: PageNumber): number {
    const slot = this.#probe(domainId * 4 + 1, page)
    if (slot >= 0 || (this.#inUse[2] === 0 && this.#inUse[3] === 0)) return slot
    const slot2 = this.#probe(domainId * 4 + 2, Math.floor(page * 2 ** -9))
    return slot2 >= 0 ? slot2 : this.#probe(domainId * 4 + 3, Math.floor(page * 2 ** -18))
  }

  #probe(tag: number, unit: number): number {
    const first = this.#setOf(tag, unit) * this.#ways
    const end = first + this.#ways
    for (let slot = first; slot < end; slot++) {
      if (this.#unit[slot] === unit && this.#tag[slot] === tag) return slot
    }
    return -1
  }

  /** Neighbouring units fall into neighbouring sets; the same unit of two domains into unrelated ones. */
  #setOf(tag: number, unit: number): number {
    return ((unit | 0) + (Math.imul(tag, 0x9e37_79b1) >>> 13)) & (this.#sets - 1)
  }

  /** Host page of an input page that the slot covers. */
  translate(slot: number, page: PageNumber): PageNumber {
    return page + this.#delta[slot]!
  }

  /** READ and WRITE as the walk granted them; from bit 8 on the reason code of an erroneous entry. */
  attributesOf(slot: number): number {
    return this.#attributes[slot]!
  }

  levelOf(slot: number): number {
    return this.#tag[slot]! & 3
  }

  domainIdOf(slot: number): number {
    return this.#tag[slot]! >>> 2
  }

  /** First page that a slot covers. */
  firstPageOf(slot: number): PageNumber {
    return this.#unit[slot]! * (PAGES_WITHIN[this.levelOf(slot)]! + 1)
  }

  /** Enters a translation. Returns whether that replaced another. */
  fill(
    domainId: number,
    level: number,
    page: PageNumber,
    frame: PageNumber,
    rights: number,
    fault: number,
  ): boolean {
    const tag = domainId * 4 + level
    const unit = Math.floor(page * PAGES_TO_UNITS[level]!)
    const set = this.#setOf(tag, unit)
    const way = this.#next[set]!
    this.#next[set] = way + 1 === this.#ways ? 0 : way + 1
    const slot = set * this.#ways + way
    const replaced = this.#tag[slot]!
    if (replaced !== INVALID) this.#inUse[replaced & 3]!--
    this.#inUse[level]!++
    this.#tag[slot] = tag
    this.#unit[slot] = unit
    this.#delta[slot] = frame - unit * (PAGES_WITHIN[level]! + 1)
    this.#attributes[slot] = rights | (fault << 8)
    return replaced !== INVALID
  }

  invalidateAll(): void {
    this.#tag.fill(INVALID)
    this.#inUse.fill(0)
  }

  invalidateDomain(domainId: number): void {
    this.invalidatePages(domainId, 0, Number.POSITIVE_INFINITY)
  }

  /** Drops every entry of a domain that overlaps `count` pages from `page` on, whatever its size. */
  invalidatePages(domainId: number, page: PageNumber, count: number): void {
    for (let slot = 0; slot < this.#capacity; slot++) {
      const tag = this.#tag[slot]!
      if (tag >>> 2 !== domainId) continue
      const first = this.firstPageOf(slot)
      if (first >= page + count || first + PAGES_WITHIN[tag & 3]! < page) continue
      this.#tag[slot] = INVALID
      this.#inUse[tag & 3]!--
    }
  }

  /** Slots in use, ascending. */
  *entries(): Generator<number> {
    for (let slot = 0; slot < this.#capacity; slot++) if (this.#tag[slot] !== INVALID) yield slot
  }

  #columns() {
    return { tag: this.#tag, unit: this.#unit, delta: this.#delta, attributes: this.#attributes }
  }

  save(): Saved {
    return { next: this.#next.slice(), slots: saveColumns(this.#columns(), this.#capacity, this.#capacity) }
  }

  load(saved: Saved): void {
    const { next, slots } = saved as { next: Uint8Array; slots: Saved }
    this.#next.set(next)
    loadColumns(this.#columns(), slots)
    this.#inUse.fill(0)
    for (const slot of this.entries()) this.#inUse[this.levelOf(slot)]!++
  }
}
