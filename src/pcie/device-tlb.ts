/**
 * "Address Translation Cache" of a function, a device-TLB: translations that it asked the root complex for. Few entries,
 * each of any size, searched one by one and replaced in turn.
 */
import type { PageNumber, Saved } from '../core/index.ts'

/** What an entry says besides the address: the bits of `PERMISSION`, and these. */
export const TRANSLATION_FLAG = { untranslatedOnly: 16, nonSnooped: 32, global: 64 } as const

const EMPTY = -2

/** One entry, for inspection. */
export interface DeviceTlbEntry {
  /** -1 for a translation without PASID. */
  readonly pasid: number
  readonly privileged: boolean
  readonly page: PageNumber
  readonly pages: number
  readonly frame: PageNumber
  readonly attributes: number
}

export class DeviceTlb {
  readonly #pasid: Int32Array
  readonly #privileged: Uint8Array
  readonly #first: Float64Array
  readonly #pages: Float64Array
  /** What to add to a page number of the entry to get the host page number. */
  readonly #delta: Float64Array
  readonly #attributes: Uint8Array
  #next = 0

  /** @param entries capacity. */
  constructor(entries: number) {
    this.#pasid = new Int32Array(entries).fill(EMPTY)
    this.#privileged = new Uint8Array(entries)
    this.#first = new Float64Array(entries)
    this.#pages = new Float64Array(entries)
    this.#delta = new Float64Array(entries)
    this.#attributes = new Uint8Array(entries)
  }

  /** The entry that translates a page, or -1. */
  lookup(pasid: number, privileged: boolean, page: PageNumber): number {
    for (let slot = 0; slot < this.#pasid.length; slot++) {
      const distance = page - this.#first[slot]!
      if (distance < 0 || distance >= this.#pages[slot]! || this.#pasid[slot] !== pasid) continue
      if ((this.#privileged[slot] === 1) === privileged) return slot
    }
    return -1
  }

  attributesOf(slot: number): number {
    return this.#attributes[slot]!
  }

  translate(slot: number, page: PageNumber): PageNumber {
    return page + this.#delta[slot]!
  }

  /** Keeps a translation of the aligned block of `pages` pages around `page`; `frame` is the host page of `page`. */
  fill(
    pasid: number,
    privileged: boolean,
    page: PageNumber,
    pages: number,
    frame: PageNumber,
    attributes: number,
  ): number {
    const known = this.lookup(pasid, privileged, page)
    const slot = known >= 0 ? known : this.#next
    if (known < 0) this.#next = (slot + 1) % this.#pasid.length
    this.#pasid[slot] = pasid
    this.#privileged[slot] = Number(privileged)
    this.#first[slot] = Math.floor(page / pages) * pages
    this.#pages[slot] = pages
    this.#delta[slot] = frame - page
    this.#attributes[slot] = attributes
    return slot
  }

  /** Drops what overlaps `count` pages from `page` on; `pasid` is -1 for entries without PASID, -2 for all with one. */
  invalidate(pasid: number, page: PageNumber, count: number): void {
    for (let slot = 0; slot < this.#pasid.length; slot++) {
      const own = this.#pasid[slot]!
      if (own === EMPTY || (pasid === EVERY_PASID ? own < 0 : own !== pasid)) continue
      const first = this.#first[slot]!
      if (first < page + count && first + this.#pages[slot]! > page) this.#drop(slot)
    }
  }

  #drop(slot: number): void {
    this.#pasid[slot] = EMPTY
    this.#pages[slot] = 0
  }

  clear(): void {
    for (let slot = 0; slot < this.#pasid.length; slot++) this.#drop(slot)
    this.#next = 0
  }

  /** Entries in use. */
  entries(): DeviceTlbEntry[] {
    return Array.from(this.#pasid, (pasid, slot) => ({
      pasid,
      privileged: this.#privileged[slot] === 1,
      page: this.#first[slot]!,
      pages: this.#pages[slot]!,
      frame: this.#first[slot]! + this.#delta[slot]!,
      attributes: this.#attributes[slot]!,
    })).filter(({ pasid }) => pasid !== EMPTY)
  }

  save(): Saved {
    const slots = [...this.#pasid.keys()].filter(slot => this.#pasid[slot] !== EMPTY)
    return { next: this.#next, slots, entries: this.entries().map(entry => ({ ...entry })) }
  }

  load(saved: Saved): void {
    const { next, slots, entries } = saved as unknown as {
      next: number
      slots: readonly number[]
      entries: readonly DeviceTlbEntry[]
    }
    this.clear()
    // Each into its own slot: which one is replaced next depends on it.
    for (const [i, entry] of entries.entries()) {
      const slot = slots[i]!
      this.#pasid[slot] = entry.pasid
      this.#privileged[slot] = Number(entry.privileged)
      this.#first[slot] = entry.page
      this.#pages[slot] = entry.pages
      this.#delta[slot] = entry.frame - entry.page
      this.#attributes[slot] = entry.attributes
    }
    this.#next = next
  }
}

/** What `pasid` of an invalidation says if it concerns every PASID. */
const EVERY_PASID = -2
