/**
 * The host's copy of what a guest's tables map for one assigned function: I/O virtual addresses of the guest straight to
 * host pages, in the translation domain of the function. Each leaf of the guest's is a mapping of its own, so that a change
 * of one never takes another away, not even for a moment.
 */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { AssignedFunction } from '../../host/index.ts'
import type { UnitBlock } from './unit-model.ts'

/** A range that was mapped as one. */
interface Mapping {
  readonly page: PageNumber
  readonly hostPage: PageNumber
  readonly pages: number
  readonly read: boolean
  readonly write: boolean
}

export type SavedShadow = readonly (readonly [
  page: number,
  hostPage: number,
  pages: number,
  read: boolean,
  write: boolean,
])[]

/** Guest memory by runs that are contiguous in host memory. */
export interface RunsOfMemory {
  readonly runs: readonly {
    readonly guestPage: PageNumber
    readonly hostPage: PageNumber
    readonly pages: number
  }[]
}

/** No table of the host's has more than 48 bits of address. */
const LAST_PAGE = 2 ** 36

export class ShadowSpace {
  readonly #assigned: AssignedFunction
  readonly #memory: RunsOfMemory
  /** Ascending, without overlaps. */
  readonly #mappings: Mapping[] = []

  constructor(assigned: AssignedFunction, memory: RunsOfMemory, saved: SavedShadow = []) {
    this.#assigned = assigned
    this.#memory = memory
    for (const [page, hostPage, pages, read, write] of saved)
      this.#mappings.push({ page, hostPage, pages, read, write })
  }

  /** Mappings, and the pages that they hold together. */
  get size(): { readonly mappings: number; readonly pages: number } {
    return {
      mappings: this.#mappings.length,
      pages: this.#mappings.reduce((sum, { pages }) => sum + pages, 0),
    }
  }

  /**
   * Makes `count` pages from `page` on translate as the guest's tables say. What they say already stays untouched.
   * Returns when no unit knows better. Throws what mapping throws: what could not be mapped is not there then.
   */
  *follow(page: PageNumber, count: number, blockAt: (page: PageNumber) => UnitBlock): Software<number> {
    const { from, end, wanted } = this.#settle(page, Math.min(page + count, LAST_PAGE), blockAt)
    const keep = new Set<Mapping>()
    const stale: Mapping[] = []
    const wantedAt = new Map(wanted.map(mapping => [mapping.page, mapping]))
    for (const mapping of this.#overlapping(from, end)) {
      const same = wantedAt.get(mapping.page)
      if (same !== undefined && alike(same, mapping)) keep.add(same)
      else stale.push(mapping)
    }
    for (const mapping of stale) yield* this.#unmap(mapping)
    let mapped = 0
    for (const mapping of wanted) {
      if (keep.has(mapping)) continue
      yield* this.#map(mapping)
      mapped++
    }
    return stale.length + mapped
  }

  /** Takes everything back. */
  *clear(): Software {
    for (const mapping of [...this.#mappings]) yield* this.#unmap(mapping)
  }

  /** Whether a page is mapped for an access. */
  allows(page: PageNumber, write: boolean): boolean {
    const found = this.#mappings[this.#after(page) - 1]
    return found !== undefined && page < found.page + found.pages && (write ? found.write : found.read)
  }

  /** Nothing is mapped any more; the function's release has taken it all back. */
  forget(): void {
    this.#mappings.length = 0
  }

  /** The range widened until neither a mapping nor a leaf sticks out of it, and what is to be mapped in it. */
  #settle(page: PageNumber, last: PageNumber, blockAt: (page: PageNumber) => UnitBlock) {
    for (let from = page, end = last; ; ) {
      const touched = this.#overlapping(from, end)
      const low = Math.min(from, touched[0]?.page ?? from)
      const high = Math.max(end, ...touched.slice(-1).map(endOf))
      const wanted = this.#wanted(low, high, blockAt)
      const first = Math.min(low, wanted[0]?.page ?? low)
      const behind = Math.max(high, ...wanted.slice(-1).map(endOf))
      if (first === from && behind === end) return { from, end, wanted }
      from = first
      end = behind
    }
  }

  /** Leaf by leaf, cut where guest memory is not contiguous in the host's; what lies outside guest memory is left out. */
  #wanted(from: PageNumber, end: PageNumber, blockAt: (page: PageNumber) => UnitBlock): Mapping[] {
    const wanted: Mapping[] = []
    for (let page = leafStart(from, blockAt); page < end; ) {
      const { frame, pages, read, write } = blockAt(page)
      const span = Math.min(pages, LAST_PAGE - page)
      if (frame >= 0) this.#compose(page, frame, span, read, write, wanted)
      page += span
    }
    return wanted
  }

  #compose(
    page: PageNumber,
    frame: PageNumber,
    pages: number,
    read: boolean,
    write: boolean,
    into: Mapping[],
  ): void {
    for (const run of this.#memory.runs) {
      const first = Math.max(frame, run.guestPage)
      const end = Math.min(frame + pages, run.guestPage + run.pages)
      if (first >= end) continue
      into.push({
        page: page + (first - frame),
        hostPage: run.hostPage + (first - run.guestPage),
        pages: end - first,
        read,
        write,
      })
    }
  }

  *#map(mapping: Mapping): Software {
    const { page, hostPage, pages, read, write } = mapping
    yield* this.#assigned.map(page * PAGE_SIZE, hostPage, pages, { read, write })
    this.#mappings.splice(this.#after(page), 0, mapping)
  }

  *#unmap(mapping: Mapping): Software {
    this.#mappings.splice(this.#mappings.indexOf(mapping), 1)
    yield* this.#assigned.unmap(mapping.page * PAGE_SIZE, mapping.pages)
  }

  /** Index of the first mapping that begins behind a page. */
  #after(page: PageNumber): number {
    let low = 0
    let high = this.#mappings.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#mappings[middle]!.page <= page) low = middle + 1
      else high = middle
    }
    return low
  }

  #overlapping(from: PageNumber, end: PageNumber): Mapping[] {
    const found: Mapping[] = []
    const first = this.#after(from)
    const before = this.#mappings[first - 1]
    if (before !== undefined && before.page + before.pages > from) found.push(before)
    for (let i = first; i < this.#mappings.length && this.#mappings[i]!.page < end; i++)
      found.push(this.#mappings[i]!)
    return found
  }

  save(): SavedShadow {
    return this.#mappings.map(({ page, hostPage, pages, read, write }) => [
      page,
      hostPage,
      pages,
      read,
      write,
    ])
  }
}

/** 4-KiB pages of a 2-MiB and of a 1-GiB leaf. */
const LARGE_LEAVES = [512, 512 ** 2] as const

/** Where the leaf begins that a page lies in: a large one is aligned to its size. */
function leafStart(page: PageNumber, blockAt: (page: PageNumber) => UnitBlock): PageNumber {
  for (const size of LARGE_LEAVES) {
    const first = page - (page % size)
    const { frame, pages } = blockAt(first)
    if (frame >= 0 && first + pages > page) return first
  }
  return page
}

const endOf = ({ page, pages }: Mapping): PageNumber => page + pages

const alike = (a: Mapping, b: Mapping): boolean =>
  a.hostPage === b.hostPage && a.pages === b.pages && a.read === b.read && a.write === b.write
