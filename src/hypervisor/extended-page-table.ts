/**
 * "EPT Translation Mechanism": the tables that translate a virtual machine's guest-physical addresses, written in host
 * memory with 2-MiB leaves (1-GiB ones, if wanted) where both sides allow. The tables in memory are the only state.
 */
import { assert, PAGE_SIZE, type PageNumber, type Saved } from '../core/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { EPT_ENTRY, EPT_MEMORY_TYPE } from '../vmx/formats/ept.ts'
import type { Word64 } from '../vmx/formats/operations.ts'
import type { HostPages } from './host-pages.ts'
import { eptPointer } from './vmcs.ts'

const ENTRIES = 512
const LEVELS = 4
/** 4-KiB pages that one entry of a level covers; level 1 is the last. */
const SPAN = [0, 1, ENTRIES, ENTRIES ** 2, ENTRIES ** 3] as const
/** Page numbers from here on lie beyond a 4-level table. */
const PAGE_LIMIT = ENTRIES ** LEVELS

const { R, W, X, LEAF, A, D } = EPT_ENTRY
const PRESENT = (R.mask | W.mask | X.mask) >>> 0
const DIRECTORY = PRESENT
/** What a large leaf hands down to the leaves that it is split into: rights, memory type, accessed and dirty flags. */
const INHERITED = (PRESENT | EPT_ENTRY.MT.mask | EPT_ENTRY.IPAT.mask | A.mask | D.mask) >>> 0

export type MemoryType = keyof typeof EPT_MEMORY_TYPE

interface Leaf {
  readonly type: MemoryType
  readonly rights: number
}

export interface TableOptions {
  /** Level of the largest leaf: 1 for 4 KiB, 2 for 2 MiB (the default), 3 for 1 GiB. */
  readonly largestLeaf?: 1 | 2 | 3
  /** Whether the processor keeps accessed and dirty flags in the entries. Default false. */
  readonly accessedDirty?: boolean
}

export class ExtendedPageTable {
  /** Page of the level-4 table. */
  readonly root: PageNumber
  readonly #machine: MachinePort
  readonly #pages: HostPages
  readonly #largestLeaf: number
  /** Whether the processor keeps accessed and dirty flags. A change counts once the VMCSs have the new {@link pointer}. */
  accessedDirty: boolean

  /**
   * Throws `outOfMemory`.
   *
   * @param root of tables that are in memory already
   */
  constructor(
    machine: MachinePort,
    pages: HostPages,
    root?: PageNumber,
    { largestLeaf = 2, accessedDirty = false }: TableOptions = {},
  ) {
    this.#machine = machine
    this.#pages = pages
    this.#largestLeaf = largestLeaf
    this.accessedDirty = accessedDirty
    this.root = root ?? pages.allocate()
  }

  /** EPTP for a VMCS. */
  get pointer(): Word64 {
    return eptPointer(this.root, this.accessedDirty)
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
      const fits = level <= this.#largestLeaf && whole && (low & PRESENT) === 0
      if (level === 1 || fits) {
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
   * Makes 4-KiB leaves of every larger one that reaches into a range. What the guest may do stays as it is, so no INVEPT is
   * needed before rights of single pages are changed. Throws `outOfMemory`; what is split by then stays so.
   */
  split(guestPage: PageNumber, pages: number): void {
    this.#split(this.root, LEVELS, guestPage, guestPage + pages)
  }

  #split(table: PageNumber, level: number, from: number, to: number): void {
    const span = SPAN[level]!
    for (let page = from; page < to; ) {
      const end = Math.min(to, (Math.floor(page / span) + 1) * span)
      const at = entryAddress(table, level, page)
      const low = this.#machine.readDword(at)
      if ((low & PRESENT) !== 0 && level > 1) {
        if ((low & LEAF.mask) !== 0) this.#splitLeaf(at, level, low)
        this.#split(this.#frame(at), level - 1, page, end)
      }
      page = end
    }
  }

  /** The new table is whole before the entry leads to it: a walk meets the one or the other. */
  #splitLeaf(at: number, level: number, low: number): void {
    const frame = this.#frame(at)
    const table = this.#pages.allocate()
    const attributes = ((low & INHERITED) | (level > 2 ? LEAF.mask : 0)) >>> 0
    for (let i = 0; i < ENTRIES; i++) {
      this.#writeEntry(table * PAGE_SIZE + i * 8, frame + i * SPAN[level - 1]!, attributes)
    }
    this.#writeEntry(at, table, DIRECTORY)
  }

  /**
   * Changes the rights of every page of a range that is mapped, to bits 2:0 of an entry; larger leaves that stick out of it
   * must have been split. Follow with INVEPT where rights are taken away.
   */
  protect(guestPage: PageNumber, pages: number, rights: number): void {
    this.#eachLeaf(this.root, LEVELS, 0, guestPage, guestPage + pages, (at, low, _page, count) => {
      assert(count <= pages, 'a large page is protected whole')
      this.#machine.writeDword(at, ((low & ~PRESENT) | rights) >>> 0)
    })
  }

  /**
   * Tells of every leaf in a range whether it was used since the last call, and clears its accessed flag. Follow with INVEPT:
   * a translation that is cached sets no flag. Needs {@link TableOptions.accessedDirty}.
   */
  takeAccessed(
    guestPage: PageNumber,
    pages: number,
    tell: (page: PageNumber, pages: number, accessed: boolean) => void,
  ): void {
    this.#eachLeaf(this.root, LEVELS, 0, guestPage, guestPage + pages, (at, low, page, count) => {
      const accessed = (low & A.mask) !== 0
      if (accessed) this.#machine.writeDword(at, (low & ~A.mask) >>> 0)
      tell(page, count, accessed)
    })
  }

  /**
   * Clears the dirty flags of a range and tells of every leaf that had one. Follow with INVEPT: a translation that is cached
   * as dirty sets no flag. Needs {@link TableOptions.accessedDirty}.
   */
  takeDirty(guestPage: PageNumber, pages: number, tell: (page: PageNumber, pages: number) => void): void {
    this.#eachLeaf(this.root, LEVELS, 0, guestPage, guestPage + pages, (at, low, page, count) => {
      if ((low & D.mask) === 0) return
      this.#machine.writeDword(at, (low & ~D.mask) >>> 0)
      tell(page, count)
    })
  }

  /** @param base page with which the range of `table` begins */
  #eachLeaf(
    table: PageNumber,
    level: number,
    base: PageNumber,
    from: number,
    to: number,
    visit: (at: number, low: number, page: PageNumber, pages: number) => void,
  ): void {
    const span = SPAN[level]!
    const first = Math.max(0, Math.floor((from - base) / span))
    for (let i = first; i < ENTRIES && base + i * span < to; i++) {
      const at = table * PAGE_SIZE + i * 8
      const low = this.#machine.readDword(at)
      if ((low & PRESENT) === 0) continue
      if (level === 1 || (low & LEAF.mask) !== 0) visit(at, low, base + i * span, span)
      else this.#eachLeaf(this.#frame(at), level - 1, base + i * span, from, to, visit)
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
