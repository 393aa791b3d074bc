/**
 * A shortcut past context cache and IOTLB for requests just translated. It is no cache that software can see: an entry
 * is used only while nothing has happened that could change what the full way would answer, i.e. no register was
 * written and no entry that it came from was replaced.
 */
import type { PageNumber } from '../core/index.ts'
import type { MemoryRequest } from '../pcie/index.ts'

const ENTRIES = 256

/** Numbers of an entry, side by side. */
const ENTRY_SHIFT = 2
const PAGE = 0
const KEY = 1
const FRAME = 2
/** Twice the `#generation` in which the entry was made (0 is never current), and one more if an IOTLB entry answered. */
const MADE = 3

const PASID_SHIFT = 19

/** Neighbouring pages, pages 2 MiB apart, functions of one device and PASIDs all fall into different entries. */
const entryFor = (key: number, pasid: number, page: PageNumber): number =>
  ((page ^ (page >>> 9) ^ pasid ^ (Math.imul(key, 0x9e37_79b1) >>> 20)) & (ENTRIES - 1)) << ENTRY_SHIFT

/** What distinguishes requests besides PASID and page: source-id, write, and the modes of a request with PASID. */
export const recentKey = (request: MemoryRequest): number =>
  (request.requesterId << 1) |
  (request.write ? 1 : 0) |
  (request.pasid < 0 ? 0 : (request.privileged ? 1 << 17 : 0) | (request.execute ? 1 << 18 : 0))

export class RecentTranslations {
  readonly #entries = new Float64Array(ENTRIES << ENTRY_SHIFT)
  #generation = 1

  /** Makes every entry unusable. */
  forget(): void {
    this.#generation++
  }

  /** The entry that answers a request with a {@link recentKey}, or -1. */
  lookup(key: number, pasid: number, page: PageNumber): number {
    const entries = this.#entries
    const at = entryFor(key, pasid, page)
    const found =
      entries[at] === page &&
      entries[at + KEY] === wholeKey(key, pasid) &&
      entries[at + MADE]! >= this.#generation * 2
    return found ? at : -1
  }

  frameOf(entry: number): PageNumber {
    return this.#entries[entry + FRAME]!
  }

  /** Whether an IOTLB entry answered: passing through needs none. */
  iotlbHitOf(entry: number): boolean {
    return this.#entries[entry + MADE]! !== this.#generation * 2
  }

  keep(key: number, pasid: number, page: PageNumber, frame: PageNumber, iotlbHit: boolean): void {
    const entries = this.#entries
    const at = entryFor(key, pasid, page)
    entries[at + PAGE] = page
    entries[at + KEY] = wholeKey(key, pasid)
    entries[at + FRAME] = frame
    entries[at + MADE] = this.#generation * 2 + (iotlbHit ? 1 : 0)
  }
}

const wholeKey = (key: number, pasid: number): number => (pasid + 1) * 2 ** PASID_SHIFT + key
