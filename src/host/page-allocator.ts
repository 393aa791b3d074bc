/** Hands out host memory by the page, first fit. What is given back exactly leaves the allocator as it was. */
import { assert, NorthbridgeError, type PageNumber, type Saved } from '../core/index.ts'

/** A run of pages. */
interface Extent {
  readonly first: PageNumber
  readonly pages: number
}

/** Inspection: hears of pages that are given back, before anybody can get them again. */
export interface FreeWatcher {
  freed(first: PageNumber, pages: number): void
}

export class PageAllocator {
  watcher: FreeWatcher | undefined = undefined
  /** Free extents, ascending, never adjacent: one form for one state. */
  #free: Extent[]
  #freePages = 0
  readonly totalPages: number

  /** @param usable runs of pages that nobody uses, in any order; they may not overlap. */
  constructor(usable: readonly Extent[]) {
    this.#free = []
    for (const { first, pages } of usable) this.free(first, pages)
    this.totalPages = this.freePages
  }

  get freePages(): number {
    return this.#freePages
  }

  /** Runs of pages that nobody uses, ascending. */
  get freeExtents(): readonly Extent[] {
    return this.#free
  }

  /**
   * The lowest run of `pages` free pages whose first is a multiple of `alignPages`. Contents are what the last user
   * left. Throws `outOfMemory`.
   */
  allocate(pages: number, alignPages = 1): PageNumber {
    assert(pages > 0 && alignPages > 0, 'allocations have a size and an alignment')
    for (const [i, extent] of this.#free.entries()) {
      const first = Math.ceil(extent.first / alignPages) * alignPages
      const before = first - extent.first
      const after = extent.pages - before - pages
      if (after < 0) continue
      const rest: Extent[] = []
      if (before > 0) rest.push({ first: extent.first, pages: before })
      if (after > 0) rest.push({ first: first + pages, pages: after })
      this.#free.splice(i, 1, ...rest)
      this.#freePages -= pages
      return first
    }
    throw new NorthbridgeError(
      'outOfMemory',
      `no ${pages} contiguous pages of host memory aligned to ${alignPages} are free (${this.freePages} pages are)`,
      { pages, alignPages, freePages: this.freePages },
    )
  }

  /** Gives back pages that were allocated, in any grouping. */
  free(first: PageNumber, pages: number): void {
    this.watcher?.freed(first, pages)
    const free = this.#free
    let at = 0
    for (let high = free.length; at < high; ) {
      const middle = (at + high) >>> 1
      if (free[middle]!.first < first) at = middle + 1
      else high = middle
    }
    const below = free[at - 1]
    const above = free[at]
    const belowEnd = below === undefined ? -1 : below.first + below.pages
    assert(belowEnd <= first && (above === undefined || first + pages <= above.first), 'pages are freed once')
    this.#freePages += pages
    const joinsBelow = belowEnd === first
    const joinsAbove = above?.first === first + pages
    const from = joinsBelow ? below!.first : first
    const end = joinsAbove ? above.first + above.pages : first + pages
    free.splice(joinsBelow ? at - 1 : at, Number(joinsBelow) + Number(joinsAbove), {
      first: from,
      pages: end - from,
    })
  }

  save(): Saved {
    return { version: 1, free: this.#free.map(({ first, pages }) => [first, pages]) }
  }

  load(saved: Saved): void {
    const { free } = saved as { free: readonly (readonly [number, number])[] }
    this.#free = free.map(([first, pages]) => ({ first, pages }))
    this.#freePages = free.reduce((sum, [, pages]) => sum + pages, 0)
  }
}
