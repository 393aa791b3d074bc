/**
 * The driver of an address-range unit: takes a piece of memory away for the aperture, as Linux does ("Mapping aperture
 * over … of RAM"), and gives out its pages. Whatever it maps, every device reaches.
 */
import { NorthbridgeError, PAGE_SIZE, type PageNumber, type Saved } from '../core/index.ts'
import { APBASE, APCTL, APTABLE, entryFor, SMALLEST_APERTURE } from '../gart/formats/index.ts'
import { PageAllocator } from './page-allocator.ts'
import type { TableMemory } from './table-memory.ts'

const ENTRY_SIZE = 4

export type SavedAperture = {
  readonly first: PageNumber
  readonly pages: number
  readonly table: PageNumber
  readonly control: number
  readonly free: Saved
}

export class ApertureDriver {
  readonly name: string
  readonly #memory: TableMemory
  readonly #registers: number
  readonly #first: PageNumber
  readonly #table: PageNumber
  readonly #pages: number
  /** Pages of the aperture that map nothing. */
  readonly #free: PageAllocator
  /** APCTL while the unit translates. */
  readonly #control: number

  /**
   * @param order 32 MiB times 2^order for the aperture; less if that is more than a quarter of what is free. Throws
   *   `outOfMemory` if there is no room for the smallest.
   */
  constructor(name: string, memory: TableMemory, registers: number, order: number, saved?: SavedAperture) {
    const { allocator } = memory
    this.name = name
    this.#memory = memory
    this.#registers = registers
    if (saved !== undefined) {
      this.#pages = saved.pages
      this.#first = saved.first
      this.#table = saved.table
      this.#free = new PageAllocator([{ first: this.#first, pages: this.#pages }])
      this.#free.load(saved.free)
      this.#control = saved.control
      return
    }
    let size = order
    while (size > 0 && allocator.freePages < 4 * SMALLEST_APERTURE * 2 ** size) size--
    this.#pages = SMALLEST_APERTURE * 2 ** size
    this.#first = allocator.allocate(this.#pages, this.#pages)
    this.#table = memory.allocate((this.#pages * ENTRY_SIZE) / PAGE_SIZE)
    this.#free = new PageAllocator([{ first: this.#first, pages: this.#pages }])
    this.#control = (size << APCTL.f.SIZE.shift) | APCTL.f.EN.mask
    this.#writePage(APBASE.offset, this.#first)
    this.#writePage(APTABLE.offset, this.#table)
    this.#write(APCTL.offset, this.#control | APCTL.f.FLUSH.mask)
  }

  /** The first of consecutive pages of the aperture that stand for these. Throws `outOfResources`. */
  map(hostPage: PageNumber, pages: number): PageNumber {
    if (this.#free.freePages < pages) {
      throw new NorthbridgeError(
        'outOfResources',
        `the aperture of ${this.name} has ${this.#free.freePages} free pages, not ${pages}`,
        { pages },
      )
    }
    const first = this.#free.allocate(pages)
    for (let i = 0; i < pages; i++) this.#writeEntry(first + i, entryFor(hostPage + i))
    return first
  }

  /** Takes pages of the aperture back; no device reaches anything through them any more. */
  unmap(first: PageNumber, pages: number): void {
    for (let i = 0; i < pages; i++) this.#writeEntry(first + i, 0)
    this.#write(APCTL.offset, this.#control | APCTL.f.FLUSH.mask)
    this.#free.free(first, pages)
  }

  save(): SavedAperture {
    return {
      first: this.#first,
      pages: this.#pages,
      table: this.#table,
      control: this.#control,
      free: this.#free.save(),
    }
  }

  #writeEntry(page: PageNumber, entry: number): void {
    const { machine } = this.#memory
    machine.writeDword(this.#table * PAGE_SIZE + (page - this.#first) * ENTRY_SIZE, entry)
  }

  #write(offset: number, value: number): void {
    this.#memory.machine.writeDword(this.#registers + offset, value >>> 0)
  }

  #writePage(offset: number, page: PageNumber): void {
    this.#write(offset, (page % 2 ** 20) * PAGE_SIZE)
    this.#write(offset + 4, Math.floor(page / 2 ** 20))
  }
}
