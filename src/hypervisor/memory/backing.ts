/** What host memory stands behind the memory of a virtual machine. */
import { assert, NorthbridgeError, opened, PAGE_SIZE, type PageNumber, type Saved } from '../../core/index.ts'
import type { PageAllocator } from '../../host/index.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import type { GuestRange } from '../types.ts'

/** Guest pages that are contiguous in host memory too. */
export interface MemoryRun {
  readonly guestPage: PageNumber
  readonly hostPage: PageNumber
  readonly pages: number
}

/** Pages of a 2-MiB leaf of EPT and of second-stage tables, and of a 1-GiB leaf. */
export const LARGE_PAGES = 512
export const HUGE_PAGES = LARGE_PAGES ** 2

export interface MemoryBacking {
  /** Host pages that are the guest's alone, ascending by guest page. */
  readonly runs: readonly MemoryRun[]
  /** Where a guest page lies now, for an access of the hypervisor's own: it is brought there if need be. Throws `outOfMemory`. */
  hostPage(guestPage: PageNumber, write: boolean): PageNumber
  /** How many pages from a guest page on lie together, behind one {@link hostPage}; at least 1. */
  together(guestPage: PageNumber): number
  /** Clears what earlier users left. */
  zero(): void
  free(): void
  save(): Saved
}

/** All of it, taken when the machine is made and held until it is gone. */
export class FixedBacking implements MemoryBacking {
  readonly runs: readonly MemoryRun[]
  readonly #machine: MachinePort
  readonly #allocator: PageAllocator

  /**
   * Throws `outOfMemory`, having taken nothing.
   *
   * @param largest pages of the largest extents that are tried for: those of the largest leaf
   * @param saved what it has taken already
   */
  constructor(
    machine: MachinePort,
    allocator: PageAllocator,
    ranges: readonly GuestRange[],
    largest = LARGE_PAGES,
    saved?: Saved,
  ) {
    this.#machine = machine
    this.#allocator = allocator
    if (saved !== undefined) {
      const { runs } = opened<{ runs: readonly (readonly [number, number, number])[] }>(
        saved,
        'the memory of a virtual machine',
        1,
      )
      this.runs = runs.map(([guestPage, hostPage, pages]) => ({ guestPage, hostPage, pages }))
      return
    }
    const needed = ranges.reduce((sum, { size }) => sum + size, 0) / PAGE_SIZE
    if (allocator.freePages < needed) {
      throw new NorthbridgeError(
        'outOfMemory',
        `the guest's memory needs ${needed} pages and ${allocator.freePages} pages of host memory are free`,
        { pages: needed, freePages: allocator.freePages },
      )
    }
    this.runs = ranges.flatMap(({ base, size }) =>
      this.#allocate(base / PAGE_SIZE, size / PAGE_SIZE, largest),
    )
  }

  /** Few and large extents first: they can be mapped by large pages. Free pages are known to suffice. */
  #allocate(guestPage: PageNumber, pages: number, largest: number): MemoryRun[] {
    const runs: MemoryRun[] = []
    let size = pages
    for (let done = 0; done < pages; ) {
      size = Math.min(size, pages - done)
      const align = size >= largest ? largest : size >= LARGE_PAGES ? Math.min(largest, LARGE_PAGES) : 1
      const hostPage = this.#tryAllocate(size, align)
      if (hostPage === undefined) {
        assert(size > 1, 'single pages are free')
        const half = size >>> 1
        size = half > LARGE_PAGES ? half - (half % LARGE_PAGES) : half
        continue
      }
      runs.push({ guestPage: guestPage + done, hostPage, pages: size })
      done += size
    }
    return runs
  }

  #tryAllocate(pages: number, alignPages: number): PageNumber | undefined {
    try {
      return this.#allocator.allocate(pages, alignPages)
    } catch (error) {
      if (error instanceof NorthbridgeError && error.code === 'outOfMemory') return undefined
      throw error
    }
  }

  #runOf(page: PageNumber): MemoryRun {
    const run = this.runs.find(({ guestPage, pages }) => page >= guestPage && page < guestPage + pages)
    assert(run !== undefined, 'the address lies in guest memory')
    return run
  }

  hostPage(page: PageNumber): PageNumber {
    const { hostPage, guestPage } = this.#runOf(page)
    return hostPage - guestPage + page
  }

  together(page: PageNumber): number {
    const { guestPage, pages } = this.#runOf(page)
    return guestPage + pages - page
  }

  zero(): void {
    for (const { hostPage, pages } of this.runs) {
      assert(this.#machine.zeroPages(hostPage, pages), 'guest memory is RAM')
    }
  }

  free(): void {
    for (const { hostPage, pages } of this.runs) this.#allocator.free(hostPage, pages)
  }

  save(): Saved {
    return {
      version: 1,
      runs: this.runs.map(({ guestPage, hostPage, pages }) => [guestPage, hostPage, pages]),
    }
  }
}
