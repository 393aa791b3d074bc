/**
 * Memory that gets host pages when it is first used, and loses them when the host needs them: to the balloon of its guest,
 * to pages of the same contents, to its swap area. While a device holds it, all of it has host pages and keeps them: a
 * device finds memory by tables that nobody can correct in the middle of a transfer.
 */
import {
  assert,
  hex,
  NorthbridgeError,
  opened,
  PAGE_SIZE,
  type PageNumber,
  type Saved,
} from '../../core/index.ts'
import type { PageAllocator } from '../../host/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { GuestRange } from '../types.ts'
import { LARGE_PAGES, type MemoryBacking, type MemoryRun } from './backing.ts'
import { noCounters, type PagingCounters } from './counters.ts'
import { GuestPages, PAGE_KIND, type SavedGuestPages } from './guest-pages.ts'
import type { SharedPages } from './shared-pages.ts'
import { SwapArea } from './swap-area.ts'

/** What the guest's processors are told. */
export interface GuestTables {
  /** Takes translations of a range away; returns when no processor has them any more. */
  withdraw(page: PageNumber, pages: number): void
}

/** Where host pages come from. */
export interface PageSource {
  readonly machine: MachinePort
  readonly allocator: PageAllocator
  readonly shared: SharedPages
  /** A host page, whatever is in it; somebody loses one if need be. Throws `outOfMemory`. */
  takePage(backing: PagedBacking): PageNumber
  /** A large one, if the host has one to spare. */
  takeLarge(backing: PagedBacking): PageNumber | undefined
  /** A host page of zeros that nobody writes. */
  readonly zeroPage: PageNumber
}

type SavedPaged = {
  readonly version: 2
  readonly pages: SavedGuestPages
  readonly swap: Saved
  readonly holders: readonly string[]
  readonly hand: number
  readonly counters: { readonly [Name in keyof PagingCounters]: number }
}

export interface PagedOptions {
  readonly ranges: readonly GuestRange[]
  /** Whether 2 MiB that are used first get a large page. */
  readonly largePages: boolean
  /** Pages that have a place in the swap area. */
  readonly swapPages: number
}

export class PagedBacking implements MemoryBacking {
  readonly pages = new GuestPages()
  readonly swap: SwapArea
  readonly counters: PagingCounters = noCounters()
  readonly #source: PageSource
  readonly #tables: GuestTables
  readonly #options: PagedOptions
  /** Who needs all of it where it is. */
  #holders: readonly string[] = []
  /** Guest page with which the search for one to be swapped out goes on. */
  #hand: PageNumber = 0
  readonly #bytes = new Uint8Array(PAGE_SIZE)
  readonly #words = new Uint32Array(this.#bytes.buffer)

  constructor(source: PageSource, tables: GuestTables, options: PagedOptions, saved?: Saved) {
    this.#source = source
    this.#tables = tables
    this.#options = options
    const state = saved === undefined ? undefined : opened<SavedPaged>(saved, 'paged guest memory', 2)
    this.swap = new SwapArea(options.swapPages, state?.swap)
    if (state === undefined) return
    this.pages.load(state.pages)
    this.#holders = [...state.holders]
    this.#hand = state.hand
    Object.assign(this.counters, state.counters)
  }

  get runs(): readonly MemoryRun[] {
    return this.pages.runs
  }

  /** Host pages that are this guest's alone. */
  get resident(): number {
    return this.pages.count(PAGE_KIND.own)
  }

  get size(): number {
    return this.#options.ranges.reduce((sum, { size }) => sum + size, 0) / PAGE_SIZE
  }

  get holders(): readonly string[] {
    return this.#holders
  }

  get pinned(): boolean {
    return this.#holders.length > 0
  }

  // Use

  /** A page that was never written is not populated to be read. */
  hostPage(page: PageNumber, write: boolean): PageNumber {
    return write || !this.isEmpty(page) ? this.bring(page, write) : this.#source.zeroPage
  }

  /** Whether a page holds nothing and has no contents anywhere. */
  isEmpty(page: PageNumber): boolean {
    const kind = this.pages.kind(page)
    return kind === PAGE_KIND.absent || kind === PAGE_KIND.ballooned
  }

  together(page: PageNumber): number {
    return this.pages.isLarge(page) ? LARGE_PAGES - (page % LARGE_PAGES) : 1
  }

  /** Whether a guest may write the page where it lies. */
  isWritable(page: PageNumber): boolean {
    return this.pages.kind(page) === PAGE_KIND.own
  }

  /** Brings a page to a host page, one that nobody else has if it is to be written. Throws `outOfMemory`. */
  bring(page: PageNumber, write: boolean): PageNumber {
    switch (this.pages.kind(page)) {
      case PAGE_KIND.own:
        return this.pages.frame(page)
      case PAGE_KIND.shared:
        return write ? this.#unshare(page) : this.pages.frame(page)
      case PAGE_KIND.swapped:
        return this.#swapIn(page)
      default:
        return this.#populate(page)
    }
  }

  #populate(page: PageNumber): PageNumber {
    this.counters.populated++
    const ballooned = this.pages.kind(page) === PAGE_KIND.ballooned
    if (this.#options.largePages && !ballooned && this.#fitsLarge(page)) {
      const large = this.#source.takeLarge(this)
      if (large !== undefined) {
        this.#source.machine.zeroPages(large, LARGE_PAGES)
        // Until now the guest may have read zeros from somewhere else.
        this.#tables.withdraw(page - (page % LARGE_PAGES), LARGE_PAGES)
        this.pages.setLarge(page, large)
        return large + (page % LARGE_PAGES)
      }
    }
    const frame = this.#source.takePage(this)
    this.#source.machine.zeroPages(frame, 1)
    this.#tables.withdraw(page, 1)
    this.pages.set(page, PAGE_KIND.own, frame)
    return frame
  }

  /** Whether 2 MiB around a page are guest memory that nobody has touched. */
  #fitsLarge(page: PageNumber): boolean {
    const base = (page - (page % LARGE_PAGES)) * PAGE_SIZE
    const end = base + LARGE_PAGES * PAGE_SIZE
    const inside = this.#options.ranges.some(range => base >= range.base && end <= range.base + range.size)
    return inside && this.pages.isUntouched(page)
  }

  /** "Copy on write": the guest gets a page of its own; who has the shared one alone takes it over. */
  #unshare(page: PageNumber): PageNumber {
    const { shared, machine } = this.#source
    const frame = this.pages.frame(page)
    if (shared.isLast(frame)) {
      shared.yield(frame)
      this.pages.set(page, PAGE_KIND.own, frame)
      return frame
    }
    const own = this.#source.takePage(this)
    machine.readBytes(frame * PAGE_SIZE, this.#bytes)
    machine.writeBytes(own * PAGE_SIZE, this.#bytes)
    // The old translation leads to the shared page.
    this.#tables.withdraw(page, 1)
    shared.leave(frame)
    this.pages.set(page, PAGE_KIND.own, own)
    this.counters.copied++
    return own
  }

  #swapIn(page: PageNumber): PageNumber {
    // First: that may swap out other pages, which keep their places.
    const frame = this.#source.takePage(this)
    this.#source.machine.writeBytes(frame * PAGE_SIZE, this.swap.take(this.pages.frame(page)))
    this.pages.set(page, PAGE_KIND.own, frame)
    this.counters.swappedIn++
    return frame
  }

  // Loss

  /** The guest gave a page back: its contents are gone. Ignored while a device holds the memory. */
  inflate(page: PageNumber): void {
    if (this.pinned || this.pages.kind(page) === PAGE_KIND.ballooned) return
    this.#drop(page, PAGE_KIND.ballooned)
  }

  /** The guest uses a page again that it gave back. */
  deflate(page: PageNumber): void {
    if (this.pages.kind(page) === PAGE_KIND.ballooned) this.pages.set(page, PAGE_KIND.absent, -1)
  }

  #drop(page: PageNumber, becomes: typeof PAGE_KIND.ballooned | typeof PAGE_KIND.absent): void {
    this.breakUp(page)
    const frame = this.pages.frame(page)
    const kind = this.pages.kind(page)
    if (kind === PAGE_KIND.own || kind === PAGE_KIND.shared) this.#tables.withdraw(page, 1)
    if (kind === PAGE_KIND.own) this.#source.allocator.free(frame, 1)
    else if (kind === PAGE_KIND.shared) this.#source.shared.leave(frame)
    else if (kind === PAGE_KIND.swapped) this.swap.take(frame)
    this.pages.set(page, becomes, -1)
  }

  /** Makes the pages of a large one separate: the first step to losing one of them. */
  breakUp(page: PageNumber): void {
    if (!this.pages.isLarge(page)) return
    this.#tables.withdraw(page - (page % LARGE_PAGES), LARGE_PAGES)
    this.pages.breakUp(page)
    this.counters.broken++
  }

  /** Moves a page of the guest's own to its swap area; one of zeros needs no place there. False: there is no room. */
  swapOut(page: PageNumber): boolean {
    assert(
      !this.pinned && this.pages.kind(page) === PAGE_KIND.own,
      'only pages that nobody holds are swapped out',
    )
    this.breakUp(page)
    const frame = this.pages.frame(page)
    this.#source.machine.readBytes(frame * PAGE_SIZE, this.#bytes)
    const zero = this.#words.every(word => word === 0)
    if (!zero && this.swap.full) return false
    this.#tables.withdraw(page, 1)
    if (zero) this.pages.set(page, PAGE_KIND.absent, -1)
    else this.pages.set(page, PAGE_KIND.swapped, this.swap.put(this.#bytes))
    this.#source.allocator.free(frame, 1)
    this.counters.swappedOut++
    return true
  }

  /**
   * Swaps out up to `count` pages, going round through the guest's memory; pages for which `spare` is true are passed over
   * once. Returns how many host pages are free by that.
   */
  swapOutMany(count: number, spare: (page: PageNumber) => boolean): number {
    if (this.pinned) return 0
    let done = 0
    for (const mercy of [true, false]) {
      for (const from of [this.#hand, 0]) {
        for (const { page, pages } of this.pages.of(PAGE_KIND.own, from)) {
          for (let i = page; i < page + pages && done < count; i++) {
            if (i < from || (mercy && spare(i)) || this.pages.kind(i) !== PAGE_KIND.own) continue
            if (!this.swapOut(i)) return done
            this.#hand = i + 1
            done++
          }
          if (done >= count) return done
        }
      }
    }
    return done
  }

  /** A page of the guest's own, and a shared host page with the same contents: its own is free. */
  replaceByShared(page: PageNumber, frame: PageNumber): void {
    const own = this.pages.frame(page)
    this.#tables.withdraw(page, 1)
    this.pages.set(page, PAGE_KIND.shared, frame)
    this.#source.shared.join(frame)
    this.#source.allocator.free(own, 1)
    this.counters.merged++
  }

  /** Lends a page of the guest's own to others: nobody writes it from now on. */
  makeShared(page: PageNumber, scope: string, hash: number): PageNumber {
    const frame = this.pages.frame(page)
    this.#tables.withdraw(page, 1)
    this.pages.set(page, PAGE_KIND.shared, frame)
    this.#source.shared.add(scope, hash, frame)
    this.counters.merged++
    return frame
  }

  /** A page of zeros is as good as none. */
  dropZeros(page: PageNumber): void {
    this.#drop(page, PAGE_KIND.absent)
    this.counters.merged++
  }

  /**
   * Puts the pages around `page` together behind one large host page, if all of them are the guest's own and the host has
   * one. What was read stays readable: contents move before any translation leads there.
   */
  collapse(page: PageNumber): boolean {
    if (this.pinned || this.pages.isLarge(page)) return false
    const base = page - (page % LARGE_PAGES)
    for (let i = base; i < base + LARGE_PAGES; i++) if (this.pages.kind(i) !== PAGE_KIND.own) return false
    const large = this.#source.takeLarge(this)
    if (large === undefined) return false
    const { machine, allocator } = this.#source
    this.#tables.withdraw(base, LARGE_PAGES)
    for (let i = 0; i < LARGE_PAGES; i++) {
      const frame = this.pages.frame(base + i)
      machine.readBytes(frame * PAGE_SIZE, this.#bytes)
      machine.writeBytes((large + i) * PAGE_SIZE, this.#bytes)
      allocator.free(frame, 1)
    }
    this.pages.setLarge(base, large)
    this.counters.collapsed++
    return true
  }

  // Holding

  /** Pages that have no host page of their own, and so will need one. */
  get missing(): number {
    return this.size - this.resident
  }

  /** Gives every page a host page of its own, and lets none go while `holder` holds them. Throws `outOfMemory`. */
  pin(holder: string): void {
    const before = this.#holders
    // First, so that none of it goes while the rest comes.
    this.#holders = [...before, holder]
    try {
      for (const { base, size } of this.#options.ranges) {
        const end = (base + size) / PAGE_SIZE
        for (let page = base / PAGE_SIZE; page < end; page += this.together(page)) this.bring(page, true)
      }
    } catch (error) {
      this.#holders = before
      throw error
    }
  }

  unpin(holder: string): void {
    this.#holders = this.#holders.filter(one => one !== holder)
  }

  /** Throws `memoryPinned`, naming who holds which pages. */
  checkUnpinned(vm: string, what: string): void {
    if (!this.pinned) return
    const ranges = this.#options.ranges.map(({ base, size }) => ({ address: hex(base), length: size }))
    const where = ranges.map(({ address, length }) => `${length / 2 ** 20} MiB at ${address}`).join(', ')
    throw new NorthbridgeError(
      'memoryPinned',
      `${what} is refused: ${this.#holders.join(', ')} may reach all memory of ${vm} (${where}) at any moment, so none of it can be taken away`,
      { vm, holders: [...this.#holders], ranges },
    )
  }

  /** What is not there reads as zeros. */
  zero(): void {}

  /** The guest's processors are gone. */
  free(): void {
    const { allocator, shared } = this.#source
    for (const { page, pages } of this.pages.of(PAGE_KIND.own)) allocator.free(this.pages.frame(page), pages)
    for (const { page } of this.pages.of(PAGE_KIND.shared)) shared.leave(this.pages.frame(page))
    this.pages.clear()
  }

  save(): SavedPaged {
    return {
      version: 2,
      pages: this.pages.save(),
      swap: this.swap.save(),
      holders: [...this.#holders],
      hand: this.#hand,
      counters: { ...this.counters },
    }
  }
}
