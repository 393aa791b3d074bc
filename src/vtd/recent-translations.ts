/**
 * A shortcut past context cache and IOTLB for requests just translated. It is no cache that software can see: an entry
 * is used only while nothing has happened that could change what the full way would answer, i.e. no register was
 * written and no entry that it came from was replaced.
 */
import type { PageNumber } from '../core/index.ts'
import type { MemoryRequest } from '../pcie/index.ts'

const ENTRIES = 256

/** Neighbouring pages, pages 2 MiB apart, functions of one device and PASIDs all fall into different entries. */
const entryFor = (key: number, pasid: number, page: PageNumber): number =>
  (page ^ (page >>> 9) ^ pasid ^ (Math.imul(key, 0x9e37_79b1) >>> 20)) & (ENTRIES - 1)

/** What distinguishes requests besides PASID and page: source-id, write, and the modes of a request with PASID. */
export const recentKey = (request: MemoryRequest): number =>
  request.requesterId * 2 +
  (request.write ? 1 : 0) +
  (request.pasid < 0 ? 0 : (request.privileged ? 1 << 17 : 0) + (request.execute ? 1 << 18 : 0))

export class RecentTranslations {
  readonly #key = new Int32Array(ENTRIES)
  readonly #pasid = new Int32Array(ENTRIES)
  readonly #page = new Float64Array(ENTRIES)
  readonly #frame = new Float64Array(ENTRIES)
  /** Value of `#generation` when the entry was made; 0 is never current. */
  readonly #made = new Float64Array(ENTRIES)
  /** Whether an IOTLB entry answered: passing through needs none. */
  readonly #iotlbHit = new Uint8Array(ENTRIES)
  #generation = 1

  /** Makes every entry unusable. */
  forget(): void {
    this.#generation++
  }

  /** The entry that answers a request with a {@link recentKey}, or -1. */
  lookup(key: number, pasid: number, page: PageNumber): number {
    const entry = entryFor(key, pasid, page)
    const found =
      this.#page[entry] === page &&
      this.#key[entry] === key &&
      this.#pasid[entry] === pasid &&
      this.#made[entry] === this.#generation
    return found ? entry : -1
  }

  frameOf(entry: number): PageNumber {
    return this.#frame[entry]!
  }

  iotlbHitOf(entry: number): boolean {
    return this.#iotlbHit[entry] === 1
  }

  keep(key: number, pasid: number, page: PageNumber, frame: PageNumber, iotlbHit: boolean): void {
    const entry = entryFor(key, pasid, page)
    this.#key[entry] = key
    this.#pasid[entry] = pasid
    this.#page[entry] = page
    this.#frame[entry] = frame
    this.#made[entry] = this.#generation
    this.#iotlbHit[entry] = iotlbHit ? 1 : 0
  }
}
