/**
 * "EPT Translation Mechanism": the tables that translate a virtual machine's guest-physical addresses, written in host
 * memory with 2-MiB leaves where both sides allow. The tables in memory are the only state.
 */
import { assert, PAGE_SIZE, type PageNumber, type Saved } from '../core/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { EPT_ENTRY, EPT_MEMORY_TYPE } from '../vmx/formats/ept.ts'
import type { HostPages } from './host-pages.ts'

const ENTRIES = 512
const LEVELS = 4
/** 4-KiB pages that one entry of a level covers; level 1 is the last. */
const SPAN = [0, 1, ENTRIES, ENTRIES ** 2, ENTRIES ** 3] as const
/** Page numbers from here on lie beyond a 4-level table. */
const PAGE_LIMIT = ENTRIES ** LEVELS

const { R, W, X, LEAF } = EPT_ENTRY
const PRESENT = (R.mask | W.mask | X.mask) >>> 0
const DIRECTORY = PRESENT

export type MemoryType = keyof typeof EPT_MEMORY_TYPE

interface Leaf {
  readonly type: MemoryType
  readonly rights: number
}

export class ExtendedPageTable {
  /** Page of the level-4 table. */
  readonly root: PageNumber
  readonly #machine: MachinePort
  readonly #pages: HostPages

  /**
   * Throws `outOfMemory`.
   *
   * @param root of tables that are in memory already
   */
  constructor(machine: MachinePort, pages: HostPages, root?: PageNumber) {
    this.#machine = machine
    this.#pages = pages
    this.root = root ?? pages.allocate()
  }

  /**
   * Lets the guest reach `pages` host pages from `guestPage` on, with the rights of bits 2:0 of an entry (all unless
   * given). No page of the range may be mapped. Throws `outOfMemory`, with nothing mapped.
   */
  map(guestPage: PageNumber, hostPage: PageNumber, pages: number, type: MemoryType, rights = PRESENT): void {
    assert(guestPage + pages <= PAGE_LIMIT, 'guest-physical addresses fit a 4-level table')
    try {
      this.#map(this.root, LEVELS, guestPage, guestPage + pages, hostPage - guestPage, { type, rights })
    } catch (error) {
      this.unmap(guestPage, pages)
      throw error
    }
  }

  #map(table: PageNumber, level: number, from: number, to: number, delta: number, leaf: Leaf): void {
    const span = SPAN[level]!
    for (let page = from; page < to; ) {
      const end = Math.min(to, (Math.floor(page / span) + 1) * span)
      const at = entryAddress(table, level, page)
      const low = this.#machine.readDword(at)
      const whole = end - page === span && (page + delta) % span === 0
      if (level === 1 || (level === 2 && whole && (low & PRESENT) === 0)) {
        assert((low & PRESENT) === 0, 'a guest page is mapped once')
        const type = EPT_MEMORY_TYPE[leaf.type] << EPT_ENTRY.MT.shift
        const attributes = leaf.rights | type | (level > 1 ? LEAF.mask : 0)
        this.#writeEntry(at, page + delta, attributes)
      } else {
        assert((low & PRESENT) === 0 || (low & LEAF.mask) === 0, 'a guest page is mapped once')
        this.#map(
          (low & PRESENT) === 0 ? this.#addTable(at) : this.#frame(at),
          level - 1,
          page,
          end,
          delta,
          leaf,
        )
      }
      page = end
    }
  }

  #addTable(at: number): PageNumber {
    const table = this.#pages.allocate()
    this.#writeEntry(at, table, DIRECTORY)
    return table
  }

  /** Removes what is mapped of a range, and the tables that become empty. Follow with INVEPT before reusing pages. */
  unmap(guestPage: PageNumber, pages: number): void {
    this.#unmap(this.root, LEVELS, guestPage, guestPage + pages)
  }

  #unmap(table: PageNumber, level: number, from: number, to: number): void {
    const span = SPAN[level]!
    for (let page = from; page < to; ) {
      const end = Math.min(to, (Math.floor(page / span) + 1) * span)
      const at = entryAddress(table, level, page)
      const low = this.#machine.readDword(at)
      if ((low & PRESENT) !== 0) {
        if (level === 1 || (low & LEAF.mask) !== 0) {
          assert(end - page === span, 'a large page is unmapped whole')
          this.#clearEntry(at)
        } else {
          const child = this.#frame(at)
          this.#unmap(child, level - 1, page, end)
          if (this.#isEmpty(child)) {
            this.#clearEntry(at)
            this.#pages.free(child)
          }
        }
      }
      page = end
    }
  }

  /**
   * The host page that a guest page is mapped to, whether as ordinary memory, and with which rights (bits 2:0 of an
   * entry); undefined if it is not mapped.
   */
  lookUp(
    page: PageNumber,
  ): { readonly page: PageNumber; readonly type: MemoryType; readonly rights: number } | undefined {
    if (page >= PAGE_LIMIT) return undefined
    let table = this.root
    let rights = PRESENT
    for (let level = LEVELS; ; level--) {
      const at = entryAddress(table, level, page)
      const low = this.#machine.readDword(at)
      if ((low & PRESENT) === 0) return undefined
      table = this.#frame(at)
      rights &= low
      if (level > 1 && (low & LEAF.mask) === 0) continue
      const type = (low & EPT_ENTRY.MT.mask) >>> EPT_ENTRY.MT.shift === EPT_MEMORY_TYPE.WB ? 'WB' : 'UC'
      return { page: table + (page % SPAN[level]!), type, rights }
    }
  }

  /** Removes everything that is mapped. Follow with INVEPT. */
  clear(): void {
    this.unmap(0, PAGE_LIMIT)
  }

  /** Frees every table. */
  destroy(): void {
    this.clear()
    this.#pages.free(this.root)
  }

  #isEmpty(table: PageNumber): boolean {
    for (let i = 0; i < ENTRIES; i++) {
      if ((this.#machine.readDword(table * PAGE_SIZE + i * 8) & PRESENT) !== 0) return false
    }
    return true
  }

  #frame(at: number): PageNumber {
    return (this.#machine.readDword(at + 4) & 0xf_ffff) * 2 ** 20 + (this.#machine.readDword(at) >>> 12)
  }

  /** High half first: the low half makes the entry present. */
  #writeEntry(at: number, frame: PageNumber, attributes: number): void {
    this.#machine.writeDword(at + 4, Math.floor(frame / 2 ** 20))
    this.#machine.writeDword(at, (((frame & 0xf_ffff) << 12) | attributes) >>> 0)
  }

  #clearEntry(at: number): void {
    this.#machine.writeDword(at, 0)
    this.#machine.writeDword(at + 4, 0)
  }

  save(): Saved {
    return { version: 1, root: this.root }
  }
}

const entryAddress = (table: PageNumber, level: number, page: PageNumber): number =>
  table * PAGE_SIZE + (Math.floor(page / SPAN[level]!) % ENTRIES) * 8
