/**
 * The unit: addresses inside the aperture go through its table, all others pass unchanged. One table serves every
 * requester; who asks makes no difference.
 */
import { assert, get, type PageNumber, RegisterFile, type Saved } from '../core/index.ts'
import type { MmioTarget, PhysicalMemory } from '../memory/index.ts'
import { type MemoryRequest, STATUS } from '../pcie/index.ts'
import type { Explanation, RegisterView, TableEntryView } from '../vtd/index.ts'
import { explainAperture } from './explain.ts'
import {
  APBASE,
  APCTL,
  APERR,
  APERTURE_ENTRY,
  APERTURE_REGISTERS,
  APTABLE,
  pageInEntry,
  REGISTER_SIZE,
  SMALLEST_APERTURE,
} from './formats/index.ts'
import { apertureEntryView, apertureRegisterViews } from './views.ts'

const { V } = APERTURE_ENTRY
/** Entries of the translation buffer, direct-mapped by page. */
const BUFFER = 64
const EMPTY = -1

export interface ApertureOptions {
  readonly id: string
}

export class ApertureUnit implements MmioTarget {
  readonly id: string
  readonly registerSize = REGISTER_SIZE
  readonly #memory: PhysicalMemory
  readonly #file = new RegisterFile(REGISTER_SIZE, APERTURE_REGISTERS)
  /** Pages whose entries are buffered, and what those said. */
  readonly #pages = new Float64Array(BUFFER).fill(EMPTY)
  readonly #hostPages = new Float64Array(BUFFER)

  constructor({ id }: ApertureOptions, memory: PhysicalMemory) {
    this.id = id
    this.#memory = memory
  }

  readDword(offset: number): number {
    return this.#file.words[offset >>> 2] ?? 0
  }

  writeDword(offset: number, value: number, lanes: number): void {
    this.#file.write(offset, value, lanes)
    if (offset === APCTL.offset && value & lanes & APCTL.f.FLUSH.mask) this.#pages.fill(EMPTY)
    if (offset === APERR.offset && value & lanes & APERR.f.F.mask)
      this.#file.words.fill(0, APERR.at, APERR.at + 2)
  }

  reset(): void {
    this.#file.words.fill(0)
    this.#pages.fill(EMPTY)
    this.#hostPages.fill(0)
  }

  /** Whether it translates at all. */
  get enabled(): boolean {
    return get(APCTL.f.EN, this.#file.words, APCTL.at) === 1
  }

  /** Pages of the aperture, and its first. */
  get pages(): number {
    return SMALLEST_APERTURE * 2 ** get(APCTL.f.SIZE, this.#file.words, APCTL.at)
  }

  get firstPage(): PageNumber {
    const base = get(APBASE.f.BASE, this.#file.words, APBASE.at) * SMALLEST_APERTURE
    return base - (base % this.pages)
  }

  /** Physical address of the entry of a page of the aperture. */
  entryAddress(page: PageNumber): number {
    return get(APTABLE.f.TABLE, this.#file.words, APTABLE.at) * 4096 + (page - this.firstPage) * 4
  }

  contains(page: PageNumber): boolean {
    return this.enabled && page >= this.firstPage && page < this.firstPage + this.pages
  }

  /** Sets `physicalPage`, and returns true; or false with `status` set, for a page without valid entry. */
  translate(request: MemoryRequest): boolean {
    const { page } = request
    request.physicalPage = page
    if (!this.contains(page)) return true
    const slot = page % BUFFER
    if (this.#pages[slot] === page) {
      request.iotlbHit = true
      request.physicalPage = this.#hostPages[slot]!
      return true
    }
    request.tableReads++
    const entry = this.entryWord(page)
    if (!(entry & V.mask)) {
      this.#recordError(page, request.write)
      request.status = STATUS.completerAbort
      return false
    }
    this.#pages[slot] = page
    this.#hostPages[slot] = pageInEntry(entry)
    request.physicalPage = this.#hostPages[slot]!
    return true
  }

  /** The entry of a page as it is in memory; 0 where there is none. */
  entryWord(page: PageNumber): number {
    const address = this.entryAddress(page)
    const words = this.#memory.page(Math.floor(address / 4096))?.words
    return words === undefined ? 0 : words[(address % 4096) >>> 2]!
  }

  /** What the translation buffer says of a page; undefined if nothing. */
  buffered(page: PageNumber): PageNumber | undefined {
    const slot = page % BUFFER
    return this.#pages[slot] === page ? this.#hostPages[slot]! : undefined
  }

  // Inspection.

  explain(page: PageNumber, offset: number): Explanation {
    return explainAperture(this, page, offset)
  }

  /** Entries of the table that are valid, from a page on. */
  *tableEntries(fromPage: PageNumber): Generator<TableEntryView> {
    const first = this.firstPage
    for (let page = Math.max(fromPage, first); this.contains(page); page++) {
      const entry = this.entryWord(page)
      if (entry & V.mask) yield apertureEntryView(this.entryAddress(page), page, entry)
    }
  }

  registers(): RegisterView[] {
    return apertureRegisterViews(this.#file.words)
  }

  /** What is buffered, ascending by page. */
  translations(): { readonly page: PageNumber; readonly hostPage: PageNumber }[] {
    return [...this.#pages]
      .map((page, slot) => ({ page, hostPage: this.#hostPages[slot]! }))
      .filter(({ page }) => page !== EMPTY)
      .sort((a, b) => a.page - b.page)
  }

  save(): Saved {
    return {
      version: 1,
      registers: [...this.#file.words.subarray(0, APERR.at + 2)],
      pages: [...this.#pages],
      hostPages: [...this.#hostPages],
    }
  }

  load(saved: Saved): void {
    const { registers, pages, hostPages } = saved as Record<'registers' | 'pages' | 'hostPages', number[]>
    assert(pages.length === BUFFER, 'a state is loaded into a unit of its own kind')
    this.#file.words.set(registers)
    this.#pages.set(pages)
    this.#hostPages.set(hostPages)
  }

  #recordError(page: PageNumber, write: boolean): void {
    const { words } = this.#file
    if (words[APERR.at]! & APERR.f.F.mask) return
    words[APERR.at] = ((page % 2 ** 20) * 4096 + APERR.f.F.mask + (write ? APERR.f.W.mask : 0)) >>> 0
    words[APERR.at + 1] = Math.floor(page / 2 ** 20)
  }
}
