/** What the memory manager has of one virtual machine: its pages, what it was promised, and what it uses. */
import { opened, type PageNumber, type Saved } from '../../core/index.ts'
import type { ExtendedPageTable } from '../extended-page-table.ts'
import { LARGE_PAGES } from './backing.ts'
import { type MemorySettings, PAGES_PER_MIB } from './memory-settings.ts'
import type { PagedBacking } from './paged-backing.ts'

type SavedPagedMachine = {
  readonly version: 1
  readonly settings: { readonly [Name in keyof MemorySettings]: number }
  readonly active: number
}

/** How much of an earlier estimate is believed: use that has stopped is forgotten slowly, use that begins counts at once. */
const MEMORY_OF_USE = 0.5

/** Pages that are given up at a time. */
const BATCH = 32

export class PagedMachine {
  readonly name: string
  readonly backing: PagedBacking
  readonly #ept: ExtendedPageTable
  readonly #forget: () => void
  settings: MemorySettings
  /** Part of its resident pages that it used lately. */
  active = 1

  /** @param forget has its processors forget translations */
  constructor(
    name: string,
    backing: PagedBacking,
    ept: ExtendedPageTable,
    forget: () => void,
    settings: MemorySettings,
    saved?: Saved,
  ) {
    this.name = name
    this.backing = backing
    this.#ept = ept
    this.#forget = forget
    this.settings = settings
    if (saved === undefined) return
    const state = opened<SavedPagedMachine>(saved, 'the memory settings of a virtual machine', 1)
    this.settings = { ...state.settings }
    this.active = state.active
  }

  /** Host pages that are not to be taken from it. Where it has fewer, the rest is kept free for it. */
  get kept(): number {
    return this.backing.pinned ? this.backing.size : this.settings.reservationMiB * PAGES_PER_MIB
  }

  /** Whether it may have so many host pages more. */
  mayGrow(pages: number): boolean {
    return this.backing.pinned || this.backing.resident + pages <= this.settings.limitMiB * PAGES_PER_MIB
  }

  /** Who has its limit gives pages up before it gets one. */
  makeRoomForOne(): void {
    if (!this.mayGrow(1)) this.swapOut(this.backing.resident - this.settings.limitMiB * PAGES_PER_MIB + BATCH)
  }

  /** Swaps out pages that were not used lately, if there are any. */
  swapOut(pages: number): number {
    const used = new Set<PageNumber>()
    this.#ept.takeAccessed(0, Number.POSITIVE_INFINITY, (page, count, accessed) => {
      if (accessed && count === 1) used.add(page)
    })
    this.#forget()
    return this.backing.swapOutMany(pages, page => used.has(page))
  }

  /** Looks which pages were used since the last call. */
  sample(): void {
    let used = 0
    this.#ept.takeAccessed(0, Number.POSITIVE_INFINITY, (page, pages, accessed) => {
      if (accessed && this.backing.isWritable(page)) used += pages
    })
    this.#forget()
    const { resident } = this.backing
    const now = resident === 0 ? 1 : Math.min(1, used / resident)
    this.active = Math.max(now, this.active * MEMORY_OF_USE)
  }

  /** Puts pages together wherever 512 that are neighbours in the guest are its own. Returns how many large pages there are more. */
  collapse(): number {
    const before = this.backing.pages.large
    let last = -1
    for (const { page } of this.backing.pages.of(1)) {
      const base = page - (page % LARGE_PAGES)
      if (base === last) continue
      last = base
      this.backing.collapse(page)
    }
    return this.backing.pages.large - before
  }

  save(): SavedPagedMachine {
    return { version: 1, settings: { ...this.settings }, active: this.active }
  }
}
