/**
 * Sparse physical memory. Terabytes of address space cost nothing until written: a page is made on its first
 * write, and every page that was never written reads as one shared page of zeros.
 */
import { assert, copyBytes, PAGE_SIZE, type PageNumber, pageOf, type Saved } from '../core/index.ts'

/** A range of RAM; base and size in bytes, multiples of 4 KiB. */
export interface RamRange {
  readonly base: number
  readonly size: number
}

/** One 4-KiB page under two views of the same bytes. Little-endian, as the machine is. */
export class Page {
  readonly words: Uint32Array
  readonly bytes: Uint8Array

  constructor(buffer: ArrayBufferLike = new ArrayBuffer(PAGE_SIZE), byteOffset = 0) {
    this.words = new Uint32Array(buffer, byteOffset, PAGE_SIZE / 4)
    this.bytes = new Uint8Array(buffer, byteOffset, PAGE_SIZE)
  }
}

/** What never-written RAM reads as. Never handed out for writing. */
const ZEROS = new Page()

/** Pages of a 4-MiB leaf of the directory, and leaves of a 4-GiB region. */
const FAN_OUT = 1024
const REGION_PAGES = FAN_OUT * FAN_OUT
/** Up to 8 TiB a page number is a small integer, whose leaf a shift finds. */
const LAST_SMALL_PAGE = 0x7fff_ffff

/** Pages of a region by leaf, and the words of the same pages, so that table walks load no page object on the way. */
class Region {
  readonly pages: ((Page | undefined)[] | undefined)[] = []
  readonly words: ((Uint32Array | undefined)[] | undefined)[] = []
}

export class PhysicalMemory {
  readonly ranges: readonly RamRange[]
  /** First and last page of each range, flat, ascending: tested without touching objects. */
  readonly #bounds: Float64Array
  /** Region number (page / 2^20) to leaves. Few regions exist; the last one used is kept at hand. */
  readonly #regions = new Map<number, Region>()
  #lastRegionNumber = -1
  #lastRegion = new Region()
  /** The leaf (page / 2^10) in which a table was found last. */
  #lastLeafNumber = -1
  #lastWords: (Uint32Array | undefined)[] = []
  #pages = 0
  /** Changes when a page may have got other words than {@link words} told before: power was lost, a buffer was adopted. */
  epoch = 0

  constructor(ranges: readonly RamRange[]) {
    this.ranges = [...ranges].sort((a, b) => a.base - b.base)
    this.#bounds = Float64Array.from(this.ranges.flatMap(r => [pageOf(r.base), pageOf(r.base + r.size) - 1]))
    for (const { base, size } of ranges) {
      assert(base % PAGE_SIZE === 0 && size % PAGE_SIZE === 0 && size > 0, 'RAM ranges are whole pages')
    }
    for (let i = 2; i < this.#bounds.length; i += 2) {
      assert(this.#bounds[i]! > this.#bounds[i - 1]!, 'RAM ranges do not overlap')
    }
  }

  /** Whether RAM answers at a page. */
  isRam(page: PageNumber): boolean {
    return this.#rangeEnd(page) !== undefined
  }

  /** The page for reading; undefined where there is no RAM. Do not write to it: see {@link pageForWrite}. */
  page(page: PageNumber): Page | undefined {
    const leaves = this.#region(page)?.pages
    const found = leaves?.[(page >>> 10) & (FAN_OUT - 1)]?.[page & (FAN_OUT - 1)]
    return found ?? (this.isRam(page) ? ZEROS : undefined)
  }

  /** The words of a page for reading, as of {@link page}: what table walks use. */
  words(page: PageNumber): Uint32Array | undefined {
    if (page <= LAST_SMALL_PAGE && page >>> 10 === this.#lastLeafNumber) {
      const found = this.#lastWords[page & (FAN_OUT - 1)]
      if (found !== undefined) return found
    }
    return this.#findWords(page)
  }

  /** The words of the page that contains an address, given as two integers, as paging entries hold it. */
  wordsAt(low: number, high: number): Uint32Array | undefined {
    if (((high << 10) | (low >>> 22)) === this.#lastLeafNumber && high >>> 11 === 0) {
      const found = this.#lastWords[(low >>> 12) & (FAN_OUT - 1)]
      if (found !== undefined) return found
    }
    return this.#findWords((high >>> 0) * 0x10_0000 + (low >>> 12))
  }

  #findWords(page: PageNumber): Uint32Array | undefined {
    const leaf = this.#region(page)?.words[(page >>> 10) & (FAN_OUT - 1)]
    if (leaf !== undefined && page <= LAST_SMALL_PAGE) {
      this.#lastLeafNumber = page >>> 10
      this.#lastWords = leaf
    }
    return leaf?.[page & (FAN_OUT - 1)] ?? (this.isRam(page) ? ZEROS.words : undefined)
  }

  /** The page for writing, made if need be; undefined where there is no RAM. */
  pageForWrite(page: PageNumber): Page | undefined {
    const found = this.#region(page)?.pages[(page >>> 10) & (FAN_OUT - 1)]?.[page & (FAN_OUT - 1)]
    if (found !== undefined) return found
    return this.isRam(page) ? this.#create(page, new Page()) : undefined
  }

  #region(page: PageNumber): Region | undefined {
    // Below 8 TiB a page number is a small integer, and a shift is several times cheaper.
    const number = page <= LAST_SMALL_PAGE ? page >>> 20 : Math.floor(page / REGION_PAGES)
    if (number === this.#lastRegionNumber) return this.#lastRegion
    const region = this.#regions.get(number)
    if (region !== undefined) {
      this.#lastRegionNumber = number
      this.#lastRegion = region
    }
    return region
  }

  #create(page: PageNumber, created: Page): Page {
    const number = Math.floor(page / REGION_PAGES)
    let region = this.#regions.get(number)
    if (region === undefined) this.#regions.set(number, (region = new Region()))
    const leaf = (page >>> 10) & (FAN_OUT - 1)
    const at = page & (FAN_OUT - 1)
    ;(region.pages[leaf] ??= [])[at] = created
    ;(region.words[leaf] ??= [])[at] = created.words
    this.#pages++
    return created
  }

  /** Puts a page backed by a foreign buffer (another emulator's RAM) at a page number. */
  adopt(page: PageNumber, buffer: ArrayBufferLike, byteOffset: number): void {
    assert(this.isRam(page), 'adopted pages lie in RAM')
    this.epoch++
    this.#create(page, new Page(buffer, byteOffset))
  }

  /** Pages that were written, i.e. host memory used. */
  get populatedPages(): number {
    return this.#pages
  }

  /** An aligned dword; undefined where there is no RAM. */
  readDword(address: number): number | undefined {
    return this.page(pageOf(address))?.words[(address & 0xfff) >>> 2]
  }

  /** Writes an aligned dword; false where there is no RAM. `lanes` as in RegisterFile.write. */
  writeDword(address: number, value: number, lanes = 0xffff_ffff): boolean {
    const words = this.pageForWrite(pageOf(address))?.words
    if (words === undefined) return false
    const i = (address & 0xfff) >>> 2
    words[i] = (words[i]! & ~lanes) | (value & lanes)
    return true
  }

  /** Copies `length` bytes of memory from `address` into `target`. False, with nothing promised about `target`, if any is not RAM. */
  read(address: number, target: Uint8Array, start = 0, length = target.length - start): boolean {
    for (let done = 0; done < length; ) {
      const offset = (address + done) % PAGE_SIZE
      const part = Math.min(length - done, PAGE_SIZE - offset)
      const page = this.page(pageOf(address + done))
      if (page === undefined) return false
      const { bytes } = page
      copyBytes(bytes, offset, target, start + done, part)
      done += part
    }
    return true
  }

  /** Copies `length` bytes of `source` to memory at `address`. False, with nothing written, if any of it is not RAM. */
  write(address: number, source: Uint8Array, start = 0, length = source.length - start): boolean {
    const last = pageOf(address + length - 1)
    for (let page = pageOf(address); page <= last; page++) if (!this.isRam(page)) return false
    for (let done = 0; done < length; ) {
      const offset = (address + done) % PAGE_SIZE
      const part = Math.min(length - done, PAGE_SIZE - offset)
      const { bytes } = this.pageForWrite(pageOf(address + done))!
      copyBytes(source, start + done, bytes, offset, part)
      done += part
    }
    return true
  }

  /**
   * Clears whole pages. Pages that were never written stay unmade, and are passed over a leaf at a time. False, with
   * nothing cleared, if any is not RAM.
   */
  zeroPages(first: PageNumber, count: number): boolean {
    for (let page = first; page < first + count; page++) {
      const end = this.#rangeEnd(page)
      if (end === undefined) return false
      page = end
    }
    for (let page = first; page < first + count; ) {
      const leaf = this.#region(page)?.pages[(page >>> 10) & (FAN_OUT - 1)]
      const next = page - (page % FAN_OUT) + FAN_OUT
      if (leaf !== undefined) {
        for (let at = page; at < Math.min(next, first + count); at++) leaf[at & (FAN_OUT - 1)]?.words.fill(0)
      }
      page = next
    }
    return true
  }

  /** The last page of the range of RAM that contains a page. */
  #rangeEnd(page: PageNumber): PageNumber | undefined {
    const bounds = this.#bounds
    for (let i = 0; i < bounds.length; i += 2) {
      if (page >= bounds[i]! && page <= bounds[i + 1]!) return bounds[i + 1]!
    }
    return undefined
  }

  /** Every page that is not all zero, ascending. */
  *contents(): Generator<readonly [PageNumber, Page]> {
    for (const made of this.made()) if (made[1].words.some(word => word !== 0)) yield made
  }

  /** Every page that was made, ascending. */
  *made(): Generator<readonly [PageNumber, Page]> {
    for (const number of [...this.#regions.keys()].sort((a, b) => a - b)) {
      const region = this.#regions.get(number)!
      for (const [leafIndex, leaf] of region.pages.entries()) {
        if (leaf === undefined) continue
        for (const [index, page] of leaf.entries()) {
          if (page !== undefined) {
            yield [number * REGION_PAGES + leafIndex * FAN_OUT + index, page]
          }
        }
      }
    }
  }

  /** Power was lost: every page reads as zeros again. */
  clear(): void {
    this.epoch++
    this.#regions.clear()
    this.#lastRegionNumber = -1
    this.#lastRegion = new Region()
    this.#lastLeafNumber = -1
    this.#lastWords = []
    this.#pages = 0
  }

  save(): Saved {
    return { version: 1, pages: [...this.contents()].map(([number, page]) => [number, page.bytes.slice()]) }
  }

  load(saved: Saved): void {
    const { pages } = saved as { pages: readonly (readonly [number, Uint8Array])[] }
    this.clear()
    for (const [number, bytes] of pages) this.#create(number, new Page()).bytes.set(bytes)
  }
}
