/**
 * Storage that IOTLB and paging-structure caches share: set-associative, tagged with an address space, the PASID, the
 * level of the entry and the number of the entry-sized unit of input address space that it covers.
 */
import { assert, type PageNumber, type Saved } from '../core/index.ts'
import { assertSets } from './cache-storage.ts'
import { PAGES_IN_ENTRY } from './paging-geometry.ts'

/** Which tables an entry came from. Legacy second-stage tables and those of scalable mode are tagged alike. */
export const KIND = { secondStage: 0, firstStage: 1, nested: 2 } as const

/** An input address space as caches tell it: the PASID belongs to it too, but for second-stage, where it is 0. */
export const addressSpace = (domainId: number, kind: number): number => domainId * 4 + kind

/**
 * Which way of a set makes room: each in turn, the one that was not used for longest, or one by chance (seeded: the same
 * for the same history).
 */
export type Replacement = 'fifo' | 'lru' | 'random'

/** A PASID has 20 bits; what is above them tells entries of one PASID apart and is not named by invalidations. */
export const PASID_BITS = 20
const PASID_MASK = 2 ** PASID_BITS - 1
const SEED = 0x2545_f491

/** Numbers of a slot, side by side: a set of four ways is two cache lines. */
const SLOT_SHIFT = 2
const STRIDE = 1 << SLOT_SHIFT
const UNIT = 0
/** `pasid * 2^21 + addressSpace * 8 + level`, or -1. */
const KEY = 1
const VALUE = 2
const ATTRIBUTES = 3

const INVALID = -1
const TAG_BITS = 21
const keyOf = (tag: number, pasid: number): number => pasid * 2 ** TAG_BITS + tag
/** An address space and a level in one number. */
export const tagOf = (space: number, level: number): number => (space << 3) | level

export class TaggedCache {
  readonly #sets: number
  readonly #ways: number
  /** Numbers of a set. */
  readonly #stride: number
  readonly #random: boolean
  /** Next way of each set; the last word is the state of the generator of chance. */
  readonly #next: Uint32Array
  /** With LRU, when each slot was used last, in uses of the cache; 0 for an empty one. The last is the count of uses. */
  readonly #used: Float64Array | undefined
  readonly capacity: number
  readonly #slots: Float64Array
  /** Where the slot is that a probe found last: often that of the next. */
  #last = 0
  /** Off while a request is explained: looking is no use. */
  countsUses = true
  /** Whether what was entered last replaced another entry. */
  replaced = false
  /** Slots in use for levels above 1. */
  #large = 0

  constructor(sets: number, ways: number, replacement: Replacement = 'fifo') {
    assertSets(sets)
    this.#sets = sets
    this.#ways = ways
    this.#stride = ways << SLOT_SHIFT
    this.#random = replacement === 'random'
    this.#next = new Uint32Array(sets + 1)
    this.#next[sets] = SEED
    this.capacity = sets * ways
    this.#used = replacement === 'lru' ? new Float64Array(this.capacity + 1) : undefined
    this.#slots = new Float64Array(this.capacity * STRIDE)
    this.invalidateAll()
  }

  /** The slot of the entry for a unit of a level, or -1. */
  probe(space: number, pasid: number, level: number, unit: number): number {
    const slots = this.#slots
    const tag = tagOf(space, level)
    const key = keyOf(tag, pasid)
    const last = this.#last
    if (slots[last] === unit && slots[last + KEY] === key) return this.#found(last)
    const first = Math.imul(this.#setOf(tag, pasid, unit), this.#stride)
    const end = first + this.#stride
    for (let at = first; at < end; at += STRIDE) {
      if (slots[at] === unit && slots[at + KEY] === key) return this.#found(at)
    }
    return -1
  }

  #found(at: number): number {
    this.#last = at
    const slot = at >> SLOT_SHIFT
    if (this.#used !== undefined) this.#use(slot)
    return slot
  }

  #use(slot: number): void {
    const used = this.#used!
    if (this.countsUses) used[slot] = ++used[this.capacity]!
  }

  /** Neighbouring units, and units a power of two apart, fall into different sets; one unit of two spaces into unrelated ones. */
  #setOf(tag: number, pasid: number, unit: number): number {
    const low = unit | 0
    return ((low ^ (low >>> 9)) + (Math.imul(tag + (pasid << 8), 0x9e37_79b1) >>> 13)) & (this.#sets - 1)
  }

  /** Whether any entry is of a level above 1. */
  protected get holdsLarge(): boolean {
    return this.#large !== 0
  }

  valueOf(slot: number): number {
    return this.#slots[(slot << SLOT_SHIFT) + VALUE]!
  }

  attributesOf(slot: number): number {
    return this.#slots[(slot << SLOT_SHIFT) + ATTRIBUTES]! | 0
  }

  levelOf(slot: number): number {
    return this.#keyOf(slot) & 7
  }

  kindOf(slot: number): number {
    return (this.#keyOf(slot) >>> 3) & 3
  }

  domainIdOf(slot: number): number {
    return (this.#keyOf(slot) >>> 5) & 0xffff
  }

  pasidOf(slot: number): number {
    return Math.floor(this.#keyOf(slot) / 2 ** TAG_BITS) & PASID_MASK
  }

  #keyOf(slot: number): number {
    return this.#slots[(slot << SLOT_SHIFT) + KEY]!
  }

  /** First page that a slot covers. */
  firstPageOf(slot: number): PageNumber {
    return this.#slots[(slot << SLOT_SHIFT) + UNIT]! * PAGES_IN_ENTRY[this.levelOf(slot)]!
  }

  /** Enters what a walk found at a level for a unit. Returns whether that replaced another entry. */
  enter(
    space: number,
    pasid: number,
    level: number,
    unit: number,
    value: number,
    attributes: number,
  ): boolean {
    const tag = tagOf(space, level)
    const set = this.#setOf(tag, pasid, unit)
    this.#put(set, unit, keyOf(tag, pasid), value, attributes)
    return this.replaced
  }

  /** {@link enter} of a {@link tagOf tag} instead of space and level, unless there is such an entry already. Returns whether it did. */
  enterNew(tag: number, pasid: number, unit: number, value: number, attributes: number): boolean {
    const slots = this.#slots
    const key = keyOf(tag, pasid)
    const set = this.#setOf(tag, pasid, unit)
    const first = Math.imul(set, this.#stride)
    const end = first + this.#stride
    for (let at = first; at < end; at += STRIDE) {
      if (slots[at] === unit && slots[at + KEY] === key) return false
    }
    this.#put(set, unit, key, value, attributes)
    return true
  }

  #put(set: number, unit: number, key: number, value: number, attributes: number): void {
    const slots = this.#slots
    const at = Math.imul(set, this.#stride) + (this.#victim(set) << SLOT_SHIFT)
    const old = slots[at + KEY]!
    this.replaced = old !== INVALID
    if ((key & 7) > 1) this.#large++
    if (old !== INVALID && (old & 7) > 1) this.#large--
    slots[at] = unit
    slots[at + KEY] = key
    slots[at + VALUE] = value
    slots[at + ATTRIBUTES] = attributes
  }

  #victim(set: number): number {
    if (this.#used !== undefined) return this.#leastRecentlyUsed(set)
    if (this.#random) return this.#byChance()
    const next = this.#next
    const way = next[set]!
    next[set] = way + 1 === this.#ways ? 0 : way + 1
    return way
  }

  #leastRecentlyUsed(set: number): number {
    const used = this.#used!
    const first = set * this.#ways
    let victim = first
    for (let slot = first + 1; slot < first + this.#ways; slot++) {
      if (used[slot]! < used[victim]!) victim = slot
    }
    this.#use(victim)
    return victim - first
  }

  #byChance(): number {
    const next = this.#next
    let chance = next[this.#sets]!
    chance ^= chance << 13
    chance ^= chance >>> 17
    chance ^= chance << 5
    next[this.#sets] = chance
    return (chance >>> 0) % this.#ways
  }

  drop(slot: number): void {
    if (!this.#isUsed(slot)) return
    if (this.levelOf(slot) > 1) this.#large--
    this.#slots[(slot << SLOT_SHIFT) + KEY] = INVALID
    if (this.#used !== undefined) this.#used[slot] = 0
  }

  #isUsed(slot: number): boolean {
    return this.#keyOf(slot) !== INVALID
  }

  invalidateAll(): void {
    for (let at = KEY; at < this.#slots.length; at += STRIDE) this.#slots[at] = INVALID
    this.#used?.fill(0, 0, this.capacity)
    this.#large = 0
  }

  invalidateDomain(domainId: number): void {
    for (let slot = 0; slot < this.capacity; slot++) if (this.#isOf(slot, domainId)) this.drop(slot)
  }

  /**
   * Drops second-stage entries of a domain that overlap `count` pages from `page` on, whatever their size, and all its
   * first-stage and nested entries: which of those depend on the pages cannot be told.
   */
  invalidatePages(domainId: number, page: PageNumber, count: number): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (!this.#isOf(slot, domainId)) continue
      if (this.kindOf(slot) !== KIND.secondStage || this.#overlaps(slot, page, count)) this.drop(slot)
    }
  }

  /** Drops first-stage and nested entries of a PASID that overlap `count` pages from `page` on. */
  invalidatePasidPages(domainId: number, pasid: number, page: PageNumber, count: number): void {
    for (let slot = 0; slot < this.capacity; slot++) {
      if (!this.#isOf(slot, domainId) || this.pasidOf(slot) !== pasid) continue
      if (this.kindOf(slot) !== KIND.secondStage && this.#overlaps(slot, page, count)) this.drop(slot)
    }
  }

  #isOf(slot: number, domainId: number): boolean {
    return this.#isUsed(slot) && this.domainIdOf(slot) === domainId
  }

  #overlaps(slot: number, page: PageNumber, count: number): boolean {
    const first = this.firstPageOf(slot)
    return first < page + count && first + PAGES_IN_ENTRY[this.levelOf(slot)]! > page
  }

  /** Slots in use, ascending. */
  *entries(): Generator<number> {
    for (let slot = 0; slot < this.capacity; slot++) if (this.#isUsed(slot)) yield slot
  }

  save(): Saved {
    return { next: this.#next.slice(), slots: this.#slots.slice(), used: this.#used?.slice() ?? null }
  }

  load(saved: Saved): void {
    const { next, slots, used } = saved as {
      next: Uint32Array
      slots: Float64Array
      used: Float64Array | null
    }
    assert(slots.length === this.#slots.length, 'a saved cache fits')
    this.#next.set(next)
    this.#slots.set(slots)
    if (used !== null) this.#used?.set(used)
    this.#large = 0
    for (const slot of this.entries()) if (this.levelOf(slot) > 1) this.#large++
  }
}
