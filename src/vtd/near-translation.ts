/**
 * A shortcut past context cache and paging-structure caches, for pages near one just translated in legacy mode: the page
 * table that serves a requester there. Like `RecentTranslations` it is no cache that software can see: an entry is used
 * only while those caches would lead to the same table, and only for requests that need nothing but a leaf of it.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import type { MemoryRequest } from '../pcie/index.ts'
import { ACCESS } from './access.ts'
import type { InterruptRange } from './interrupt-range.ts'
import type { Iotlb } from './iotlb.ts'
import { frameIn } from './paging-geometry.ts'
import { recentKey } from './recent-translations.ts'
import type { SecondStageWalker } from './second-stage.ts'
import { tagOf } from './tagged-cache.ts'

const ENTRIES = 1024

/** Numbers of an entry, side by side. */
const ENTRY_SHIFT = 3
const REGION = 0
const KEY = 1
/** Value of `#generation` when the entry was made; 0 is never current. */
const MADE = 2
/** Of IOTLB entries: the address space with the level, and what stands in place of a PASID. */
const TAG = 3
const OWNER = 4
/** Rights of the path to the page table. */
const RIGHTS = 5

const NO_TABLE = new Uint32Array(0)

/** Pages beyond 8 TiB go the long way: up to there their numbers are 31-bit integers. */
const LAST_PAGE = 0x7fff_ffff
const LAST_GENERATION = 0x7fff_ffff

// Imported bindings are looked up at each use; a module's own constants are not.
const { read: READ, write: WRITE } = ACCESS

/** Neighbouring regions of 512 pages, and functions of one device, fall into different entries. */
const entryFor = (key: number, region: number): number =>
  ((region ^ (Math.imul(key, 0x9e37_79b1) >>> 16)) & (ENTRIES - 1)) << ENTRY_SHIFT

export class NearTranslation {
  readonly #memory: PhysicalMemory
  readonly #walker: SecondStageWalker
  readonly #iotlb: Iotlb
  readonly #interruptRange: InterruptRange
  readonly #entries = new Int32Array(ENTRIES << ENTRY_SHIFT)
  /** The page table of each entry, as of `#epoch` of the memory. */
  readonly #tables: Uint32Array[] = Array.from({ length: ENTRIES }, () => NO_TABLE)
  #epoch = 0
  #generation = 1
  /** Whether the last request translated made another translation leave the IOTLB. */
  replaced = false

  constructor(
    memory: PhysicalMemory,
    walker: SecondStageWalker,
    iotlb: Iotlb,
    interruptRange: InterruptRange,
  ) {
    this.#memory = memory
    this.#walker = walker
    this.#iotlb = iotlb
    this.#interruptRange = interruptRange
  }

  /** Makes every entry unusable. */
  forget(): void {
    if (this.#generation === LAST_GENERATION) {
      this.#entries.fill(0)
      this.#generation = 0
    }
    this.#generation++
  }

  /**
   * Translates a request, untranslated and without PASID, by a leaf of a known table, and keeps the translation in the
   * IOTLB. False, with nothing done, if it takes more than that, or is in the IOTLB.
   */
  translate(request: MemoryRequest): boolean {
    if (request.page > LAST_PAGE || request.atomic || request.zeroLength || request.length === 0) return false
    const page = request.page | 0
    const region = page >>> 9
    const key = recentKey(request)
    const entries = this.#entries
    const at = entryFor(key, region)
    if (entries[at] !== region || entries[at + KEY] !== key || entries[at + MADE] !== this.#generation) {
      return false
    }
    if (this.#epoch !== this.#memory.epoch) return false
    const words = this.#tables[at >> ENTRY_SHIFT]!
    const index = (page & 511) << 1
    const low = words[index]! | 0
    const high = words[index + 1]! | 0
    const demanded = request.write ? WRITE : READ
    const grants = this.#walker.leafGrantsOf(low, high, entries[at + RIGHTS]!, demanded)
    if (grants < 0) return false
    const frame = frameIn(low, high)
    if (this.#interruptRange.holds(frame, 1)) return false
    const iotlb = this.#iotlb
    if (!iotlb.fillNew(entries[at + TAG]!, entries[at + OWNER]!, page, frame, grants)) return false
    this.replaced = iotlb.replaced
    request.physicalPage = frame
    request.tableReads++
    request.iotlbHit = false
    return true
  }

  /** Remembers the page table that a walk of one step for `page` has just read; `limit` is the first page beyond its width. */
  keep(request: MemoryRequest, space: number, limit: PageNumber): void {
    const walker = this.#walker
    const { page } = request
    if (walker.top !== 1 || page > LAST_PAGE) return
    const region = page >>> 9
    if ((region + 1) * 2 ** 9 > limit) return
    if (this.#epoch !== this.#memory.epoch) {
      this.forget()
      this.#epoch = this.#memory.epoch
    }
    const entries = this.#entries
    const key = recentKey(request)
    const at = entryFor(key, region)
    entries[at + REGION] = region
    entries[at + KEY] = key
    entries[at + MADE] = this.#generation
    entries[at + TAG] = tagOf(space, 1)
    entries[at + OWNER] = this.#iotlb.ownerOf(request.requesterId)
    this.#tables[at >> ENTRY_SHIFT] = this.#memory.words(walker.leafTable)!
    entries[at + RIGHTS] = walker.rightsAbove
  }
}
