/** Builds "Second-Stage Translation" and "First-Stage Translation" tables in host memory, with the largest leaves that fit. */
import { assert, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { TableMemory } from '../table-memory.ts'
import { type EntryFormat, FIRST_STAGE, type Rights, SECOND_STAGE } from './entry-format.ts'

const WORDS = 2
const ENTRY_BYTES = WORDS * 4
const FAN_OUT = 512
/** Pages that one entry of a level covers; index = level, 1 is the lowest. */
const SPAN = [0, 1, FAN_OUT, FAN_OUT ** 2, FAN_OUT ** 3, FAN_OUT ** 4] as const

export type SavedPageTable = {
  readonly root: PageNumber
  readonly levels: number
  readonly largestLeaf: number
  readonly stage: EntryFormat['stage']
  /** Present entries of each table. */
  readonly used: readonly (readonly [table: PageNumber, used: number])[]
}

/** A leaf in its place. */
export interface TableLeaf {
  readonly table: PageNumber
  readonly level: number
  readonly page: PageNumber
  readonly target: PageNumber
}

export class PageTable {
  /** Page of the top-level table. */
  readonly root: PageNumber
  readonly levels: number
  readonly format: EntryFormat
  readonly #memory: TableMemory
  readonly largestLeaf: number
  /** Present entries of each table. */
  readonly #used = new Map<PageNumber, number>()
  readonly #entry = new Uint32Array(WORDS)

  /**
   * @param levels 3, 4 or 5
   * @param largestLeaf level of the largest leaf the unit walks: 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB
   */
  constructor(
    memory: TableMemory,
    levels: number,
    largestLeaf: number,
    format: EntryFormat = SECOND_STAGE,
    saved?: SavedPageTable,
  ) {
    this.#memory = memory
    this.format = format
    this.levels = levels
    this.largestLeaf = largestLeaf
    if (saved !== undefined) {
      this.root = saved.root
      for (const [table, used] of saved.used) this.#used.set(table, used)
      return
    }
    this.root = memory.allocate()
    this.#used.set(this.root, 0)
  }

  /** Number of pages that can be mapped from address 0 on: below 2^AGAW, and half of that where addresses have a sign. */
  get reach(): number {
    return (SPAN[this.levels]! * FAN_OUT) / (this.format.canonical ? 2 : 1)
  }

  /** Takes the pages that a mapping will need for tables. Throws `outOfMemory`, with nothing changed. */
  reserve(page: PageNumber, hostPage: PageNumber, pages: number): PageNumber[] {
    return this.#memory.allocateMany(this.#missing(this.root, this.levels, page, hostPage, pages))
  }

  /** Maps unmapped pages with the tables that {@link reserve} took for them (or for a range around them). */
  map(page: PageNumber, hostPage: PageNumber, pages: number, rights: Rights, reserved: PageNumber[]): void {
    this.#fill(this.root, this.levels, page, hostPage, pages, this.format.leaf(rights), reserved)
  }

  /** Gives back reserved tables that were not needed after all. */
  giveBack(reserved: readonly PageNumber[]): void {
    for (const table of reserved) this.#memory.free(table)
  }

  /**
   * Clears every leaf in a range; none may stick out of it. Returns the tables that became empty: they are out of
   * the walk, but cached; give them back once the invalidation has completed. If that is to come later (`deferred`),
   * only tables go that the range covers whole: a cache may lead to the others while their neighbours are mapped anew.
   */
  unmap(page: PageNumber, pages: number, deferred = false): readonly PageNumber[] {
    const emptied: PageNumber[] = []
    this.#clear(this.root, this.levels, page, pages, emptied, deferred)
    return emptied
  }

  /**
   * Reads and clears the dirty bits of a range: sets the bit of each dirty page in `bitmap`, whose bit 0 stands for the
   * first page. Returns whether there was any; caches must then forget the range.
   */
  takeDirty(page: PageNumber, pages: number, bitmap: Uint8Array): boolean {
    return this.#takeDirty(this.root, this.levels, page, page, pages, bitmap)
  }

  /** Whether an entry at a physical address is in one of these tables. */
  holds(address: number): boolean {
    return this.#used.has(Math.floor(address / PAGE_SIZE))
  }

  /** The leaf that a mapping wants at a physical address, whatever stands there; undefined if it has none there. */
  leafAt(address: number, page: PageNumber, hostPage: PageNumber, pages: number): TableLeaf | undefined {
    return this.#leafAt(this.root, this.levels, address, page, hostPage, pages)
  }

  rewriteLeaf({ table, level, page, target }: TableLeaf, rights: Rights): void {
    this.#put(table, level, page, target, this.format.leaf(rights) | (level > 1 ? this.format.large : 0))
  }

  /** Clears the entry at a physical address in one of these tables. */
  clearEntry(address: number): void {
    this.#entry.fill(0)
    this.#memory.write(Math.floor(address / PAGE_SIZE), (address % PAGE_SIZE) / ENTRY_BYTES, this.#entry)
  }

  /** Frees every table. Nothing may walk them any more. */
  destroy(): void {
    for (const table of [...this.#used.keys()].sort((a, b) => a - b)) this.#memory.free(table)
    this.#used.clear()
  }

  save(): SavedPageTable {
    return {
      root: this.root,
      levels: this.levels,
      largestLeaf: this.largestLeaf,
      stage: this.format.stage,
      used: [...this.#used].sort(([a], [b]) => a - b),
    }
  }

  /** Takes tables over that are in memory. */
  static restore(memory: TableMemory, saved: SavedPageTable): PageTable {
    const format = saved.stage === 'first' ? FIRST_STAGE : SECOND_STAGE
    return new PageTable(memory, saved.levels, saved.largestLeaf, format, saved)
  }

  /** Pages taken by tables. */
  get tables(): number {
    return this.#used.size
  }

  #missing(
    table: PageNumber | undefined,
    level: number,
    first: PageNumber,
    host: PageNumber,
    pages: number,
  ): number {
    if (level === 1) return 0
    const span = SPAN[level]!
    let missing = 0
    for (let done = 0; done < pages; ) {
      const page = first + done
      const part = Math.min(pages - done, span - (page % span))
      // A table that is there already, empty since a deferred unmap, stays: a cache may still lead to it.
      const child = table === undefined ? undefined : this.#child(table, level, page)
      if (child !== undefined || !this.#fitsLeaf(level, page, host + done, part)) {
        if (child === undefined) missing++
        missing += this.#missing(child, level - 1, page, host + done, part)
      }
      done += part
    }
    return missing
  }

  #fill(
    table: PageNumber,
    level: number,
    first: PageNumber,
    host: PageNumber,
    pages: number,
    bits: number,
    reserved: PageNumber[],
  ): void {
    const span = SPAN[level]!
    for (let done = 0; done < pages; ) {
      const page = first + done
      const part = Math.min(pages - done, span - (page % span))
      let child = level === 1 ? undefined : this.#child(table, level, page)
      if (level === 1 || (child === undefined && this.#fitsLeaf(level, page, host + done, part))) {
        assert(!this.#present(table, level, page), 'a page is mapped once')
        this.#write(table, level, page, host + done, bits | (level > 1 ? this.format.large : 0))
      } else {
        if (child === undefined) {
          child = reserved.shift()
          assert(child !== undefined, 'tables of a mapping are reserved before it is made')
          this.#used.set(child, 0)
          this.#write(table, level, page, child, this.format.table)
        }
        this.#fill(child, level - 1, page, host + done, part, bits, reserved)
      }
      done += part
    }
  }

  #clear(
    table: PageNumber,
    level: number,
    first: PageNumber,
    pages: number,
    emptied: PageNumber[],
    deferred: boolean,
  ): void {
    const span = SPAN[level]!
    for (let done = 0; done < pages; ) {
      const page = first + done
      const part = Math.min(pages - done, span - (page % span))
      done += part
      if (!this.#present(table, level, page)) continue
      const child = level === 1 ? undefined : this.#child(table, level, page)
      if (child !== undefined) {
        this.#clear(child, level - 1, page, part, emptied, deferred)
        if (this.#used.get(child)! > 0 || (deferred && part < span)) continue
        this.#used.delete(child)
        emptied.push(child)
      } else {
        assert(part === span, 'leaves are unmapped whole')
      }
      this.#entry.fill(0)
      this.#memory.write(table, indexAt(level, page), this.#entry)
      this.#used.set(table, this.#used.get(table)! - 1)
    }
  }

  #leafAt(
    table: PageNumber,
    level: number,
    address: number,
    first: PageNumber,
    host: PageNumber,
    pages: number,
  ): TableLeaf | undefined {
    const span = SPAN[level]!
    for (let done = 0; done < pages; ) {
      const page = first + done
      const target = host + done
      const part = Math.min(pages - done, span - (page % span))
      const child = level === 1 ? undefined : this.#child(table, level, page)
      // Of an entry that was overwritten, only the tables that were made here are believed.
      if (child !== undefined && this.#used.has(child)) {
        const leaf = this.#leafAt(child, level - 1, address, page, target, part)
        if (leaf !== undefined) return leaf
      } else if (table * PAGE_SIZE + indexAt(level, page) * ENTRY_BYTES === address) {
        const fits = level === 1 || this.#fitsLeaf(level, page, target, part)
        return fits ? { table, level, page, target } : undefined
      }
      done += part
    }
    return undefined
  }

  #takeDirty(
    table: PageNumber,
    level: number,
    origin: PageNumber,
    first: PageNumber,
    pages: number,
    bitmap: Uint8Array,
  ): boolean {
    const span = SPAN[level]!
    let found = false
    for (let done = 0; done < pages; ) {
      const page = first + done
      const part = Math.min(pages - done, span - (page % span))
      done += part
      if (!this.#present(table, level, page)) continue
      const child = level === 1 ? undefined : this.#child(table, level, page)
      if (child !== undefined) {
        found = this.#takeDirty(child, level - 1, origin, page, part, bitmap) || found
        continue
      }
      if (!this.#clearDirty(table, indexAt(level, page))) continue
      found = true
      for (let i = page - origin; i < page - origin + part; i++) bitmap[i >>> 3]! |= 1 << (i & 7)
    }
    return found
  }

  #clearDirty(table: PageNumber, index: number): boolean {
    const low = this.#memory.read(table, index, WORDS, 0)
    if ((low & this.format.dirty) === 0) return false
    this.#memory.writeWord(table, index, WORDS, 0, low & ~this.format.dirty)
    return true
  }

  #fitsLeaf(level: number, page: PageNumber, host: PageNumber, part: number): boolean {
    const span = SPAN[level]!
    return level <= this.largestLeaf && part === span && page % span === 0 && host % span === 0
  }

  #present(table: PageNumber, level: number, page: PageNumber): boolean {
    return (this.#memory.read(table, indexAt(level, page), WORDS, 0) & this.format.present) !== 0
  }

  /** The table below an entry; undefined if there is none, or a leaf. */
  #child(table: PageNumber, level: number, page: PageNumber): PageNumber | undefined {
    const index = indexAt(level, page)
    const low = this.#memory.read(table, index, WORDS, 0)
    if ((low & this.format.present) === 0 || low & this.format.large) return undefined
    return (low >>> 12) + this.#memory.read(table, index, WORDS, 1) * 2 ** 20
  }

  #put(table: PageNumber, level: number, page: PageNumber, target: PageNumber, bits: number): void {
    this.#entry[0] = ((target % 2 ** 20) * 4096 + bits) >>> 0
    this.#entry[1] = Math.floor(target / 2 ** 20)
    this.#memory.write(table, indexAt(level, page), this.#entry)
  }

  #write(table: PageNumber, level: number, page: PageNumber, target: PageNumber, bits: number): void {
    this.#put(table, level, page, target, bits)
    this.#used.set(table, this.#used.get(table)! + 1)
  }
}

const indexAt = (level: number, page: PageNumber): number => Math.floor(page / SPAN[level]!) % FAN_OUT
