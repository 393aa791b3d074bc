/**
 * The same as `RecentTranslations` for whole blocks of 2 MiB that one IOTLB entry translates. An entry is used only while
 * nothing at all was entered in a cache or has left one: a smaller translation of a page of the block would come first.
 */
import type { PageNumber } from '../core/index.ts'
import type { MemoryRequest } from '../pcie/index.ts'
import { recentKey } from './recent-translations.ts'

const ENTRIES = 256
const BLOCK_SHIFT = 9
const PAGES = 2 ** BLOCK_SHIFT
/** Pages beyond 8 TiB go the long way: up to there their numbers are 31-bit integers. */
const LAST_PAGE = 0x7fff_ffff

/** Numbers of an entry, side by side. */
const ENTRY_SHIFT = 2
const BLOCK = 0
const KEY = 1
/** Host page of the first page of the block. */
const FRAME = 2
/** Value of `#generation` when the entry was made; 0 is never current. */
const MADE = 3

/** Number of the block around a page. */
export const blockOf = (page: PageNumber): number => Math.floor(page / PAGES)

const entryFor = (key: number, block: number): number =>
  ((block ^ (Math.imul(key, 0x9e37_79b1) >>> 20)) & (ENTRIES - 1)) << ENTRY_SHIFT

export class RecentBlocks {
  readonly #entries = new Float64Array(ENTRIES << ENTRY_SHIFT)
  #generation = 1
  /** Whether any entry may be used. */
  any = false

  /** Makes every entry unusable. */
  forget(): void {
    if (!this.any) return
    this.any = false
    this.#generation++
  }

  /** Answers a request without PASID, or returns false. */
  translate(request: MemoryRequest): boolean {
    const { page } = request
    if (page > LAST_PAGE) return false
    const block = page >>> BLOCK_SHIFT
    const key = recentKey(request)
    const entries = this.#entries
    const at = entryFor(key, block)
    if (entries[at + MADE] !== this.#generation || entries[at] !== block || entries[at + KEY] !== key) {
      return false
    }
    request.iotlbHit = true
    request.physicalPage = entries[at + FRAME]! + (page & (PAGES - 1))
    return true
  }

  /** Remembers the block of a request without PASID that an IOTLB entry has just answered. */
  keep(request: MemoryRequest): void {
    const { page, physicalPage } = request
    if (page > LAST_PAGE) return
    const block = page >>> BLOCK_SHIFT
    const key = recentKey(request)
    const entries = this.#entries
    const at = entryFor(key, block)
    entries[at + BLOCK] = block
    entries[at + KEY] = key
    entries[at + FRAME] = physicalPage - (page & (PAGES - 1))
    entries[at + MADE] = this.#generation
    this.any = true
  }
}
