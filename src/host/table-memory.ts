/** Pages of host memory that hold tables which hardware reads: zeroed when taken, zeroed again when given back. */
import { NorthbridgeError, PAGE_SIZE, type PageNumber } from '../core/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import type { PageAllocator } from './page-allocator.ts'

/** What tables need of a machine. */
export type TablePort = Pick<MachinePort, 'readDword' | 'writeDword' | 'zeroPages'>

export class TableMemory {
  readonly machine: TablePort
  readonly allocator: PageAllocator

  constructor(machine: TablePort, allocator: PageAllocator) {
    this.machine = machine
    this.allocator = allocator
  }

  /** Contiguous pages of zeros, naturally aligned as hardware wants tables of several pages. Throws `outOfMemory`. */
  allocate(pages = 1): PageNumber {
    const first = this.allocator.allocate(pages, pages)
    this.machine.zeroPages(first, pages)
    return first
  }

  /** `count` single pages, all or none. Throws `outOfMemory`. */
  allocateMany(count: number): PageNumber[] {
    const pages: PageNumber[] = []
    try {
      while (pages.length < count) pages.push(this.allocate())
    } catch (error) {
      for (const page of pages) this.allocator.free(page, 1)
      throw error
    }
    return pages
  }

  /** Throws `outOfMemory` unless so many single pages are free. */
  checkRoom(pages: number): void {
    if (this.allocator.freePages >= pages) return
    throw new NorthbridgeError('outOfMemory', `${pages} pages of host memory are needed for tables`, {
      pages,
    })
  }

  /** Gives pages back, scrubbed: a walk that still reaches them meets entries that are not present. */
  free(first: PageNumber, pages = 1): void {
    this.machine.zeroPages(first, pages)
    this.allocator.free(first, pages)
  }

  /** Word `word` of entry `index` of a table with entries of `words` words. */
  read(table: PageNumber, index: number, words: number, word: number): number {
    return this.machine.readDword(table * PAGE_SIZE + (index * words + word) * 4)
  }

  writeWord(table: PageNumber, index: number, words: number, word: number, value: number): void {
    this.machine.writeDword(table * PAGE_SIZE + (index * words + word) * 4, value >>> 0)
  }

  /** Writes an entry so that its lowest word, which holds the present bit, comes last; first, if it takes it away. */
  write(table: PageNumber, index: number, entry: ArrayLike<number>): void {
    const at = table * PAGE_SIZE + index * entry.length * 4
    const present = (entry[0]! & PRESENT) !== 0
    if (!present) this.machine.writeDword(at, entry[0]!)
    for (let word = entry.length - 1; word > 0; word--) this.machine.writeDword(at + word * 4, entry[word]!)
    if (present) this.machine.writeDword(at, entry[0]!)
  }
}

/** P, or R and W, of every structure that is written here. */
const PRESENT = 3
