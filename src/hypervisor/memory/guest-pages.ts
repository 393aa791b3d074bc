/**
 * What became of each page of a guest's memory: nothing yet, a host page of its own, one that it shares, or a place in
 * the swap area. Sparse: 2 MiB of guest memory that nobody touched take nothing, and those behind one large page little.
 */
import type { PageNumber } from '../../core/index.ts'
import { LARGE_PAGES, type MemoryRun } from './backing.ts'

/**
 * `absent`: reads as zeros; the next write gets a page. `own`: a host page that nobody else has. `shared`: a host page that
 * holds for others too, and that nobody writes. `swapped`: contents are in the swap area. `ballooned`: the guest gave it back.
 */
export const PAGE_KIND = { absent: 0, own: 1, shared: 2, swapped: 3, ballooned: 4 } as const
export type PageKind = (typeof PAGE_KIND)[keyof typeof PAGE_KIND]
const KINDS = Object.values(PAGE_KIND)

interface Chunk {
  /** The host's large page; -1: its pages are apart. */
  large: PageNumber
  kinds: Uint8Array
  /** Host pages, or places in the swap area. */
  frames: Float64Array
}

type SavedChunk = readonly [
  number: number,
  large: PageNumber,
  kinds: Uint8Array | null,
  frames: Float64Array | null,
]
export type SavedGuestPages = { readonly chunks: readonly SavedChunk[] }

const NOTHING = new Uint8Array(0)
const NOWHERE = new Float64Array(0)
const chunkOf = (page: PageNumber): number => Math.floor(page / LARGE_PAGES)

export class GuestPages {
  readonly #chunks = new Map<number, Chunk>()
  readonly #counts = new Float64Array(KINDS.length)
  #large = 0

  /** Pages of a kind; of `absent` only those that were something else before. */
  count(kind: PageKind): number {
    return this.#counts[kind]!
  }

  /** Large pages. Their pages count as the guest's own. */
  get large(): number {
    return this.#large
  }

  kind(page: PageNumber): PageKind {
    const chunk = this.#chunks.get(chunkOf(page))
    if (chunk === undefined) return PAGE_KIND.absent
    return chunk.large >= 0 ? PAGE_KIND.own : (chunk.kinds[page % LARGE_PAGES] as PageKind)
  }

  /** Host page of an own or shared page, place of a swapped one. */
  frame(page: PageNumber): number {
    const chunk = this.#chunks.get(chunkOf(page))
    if (chunk === undefined) return -1
    return chunk.large >= 0 ? chunk.large + (page % LARGE_PAGES) : chunk.frames[page % LARGE_PAGES]!
  }

  /** Whether a page is part of a large one. */
  isLarge(page: PageNumber): boolean {
    return (this.#chunks.get(chunkOf(page))?.large ?? -1) >= 0
  }

  /** Whether nothing is known of any page around `page` that a large one would stand behind. */
  isUntouched(page: PageNumber): boolean {
    const chunk = this.#chunks.get(chunkOf(page))
    return chunk === undefined || (chunk.large < 0 && chunk.kinds.every(kind => kind === PAGE_KIND.absent))
  }

  set(page: PageNumber, kind: PageKind, frame: number): void {
    const chunk = this.#inPieces(page)
    const at = page % LARGE_PAGES
    this.#counts[chunk.kinds[at]!]!--
    this.#counts[kind]!++
    chunk.kinds[at] = kind
    chunk.frames[at] = frame
  }

  /** Puts a large host page behind the pages around `page`. */
  setLarge(page: PageNumber, frame: PageNumber): void {
    const number = chunkOf(page)
    const chunk = this.#chunks.get(number)
    if (chunk !== undefined) for (const kind of chunk.kinds) this.#counts[kind]!--
    this.#chunks.set(number, { large: frame, kinds: NOTHING, frames: NOWHERE })
    this.#counts[PAGE_KIND.own]! += LARGE_PAGES
    this.#large++
  }

  /** Takes a large page apart: each of its pages is on its own from now on, where it was. */
  breakUp(page: PageNumber): void {
    const chunk = this.#chunks.get(chunkOf(page))
    if (chunk === undefined || chunk.large < 0) return
    chunk.kinds = new Uint8Array(LARGE_PAGES).fill(PAGE_KIND.own)
    chunk.frames = Float64Array.from({ length: LARGE_PAGES }, (_, i) => chunk.large + i)
    chunk.large = -1
    this.#large--
  }

  #inPieces(page: PageNumber): Chunk {
    const number = chunkOf(page)
    let chunk = this.#chunks.get(number)
    if (chunk === undefined) {
      chunk = {
        large: -1,
        kinds: new Uint8Array(LARGE_PAGES),
        frames: new Float64Array(LARGE_PAGES).fill(-1),
      }
      this.#chunks.set(number, chunk)
      this.#counts[PAGE_KIND.absent]! += LARGE_PAGES
    }
    return chunk
  }

  /** Pages of a kind from `from` on, ascending; those of a large page as one. */
  *of(kind: PageKind, from = 0): Generator<{ readonly page: PageNumber; readonly pages: number }> {
    for (const number of this.#numbers()) {
      const base = number * LARGE_PAGES
      if (base + LARGE_PAGES <= from) continue
      const chunk = this.#chunks.get(number)!
      if (chunk.large >= 0) {
        if (kind === PAGE_KIND.own) yield { page: base, pages: LARGE_PAGES }
        continue
      }
      for (let i = Math.max(0, from - base); i < LARGE_PAGES; i++) {
        if (chunk.kinds[i] === kind) yield { page: base + i, pages: 1 }
      }
    }
  }

  #numbers(): number[] {
    return [...this.#chunks.keys()].sort((a, b) => a - b)
  }

  /** The guest's own pages, those joined that are neighbours on both sides. */
  get runs(): MemoryRun[] {
    const runs: { guestPage: PageNumber; hostPage: PageNumber; pages: number }[] = []
    for (const { page, pages } of this.of(PAGE_KIND.own)) {
      const hostPage = this.frame(page)
      const last = runs.at(-1)
      const joins =
        last !== undefined && last.guestPage + last.pages === page && last.hostPage + last.pages === hostPage
      if (joins) last.pages += pages
      else runs.push({ guestPage: page, hostPage, pages })
    }
    return runs
  }

  save(): SavedGuestPages {
    return {
      chunks: this.#numbers().map(number => {
        const { large, kinds, frames } = this.#chunks.get(number)!
        return large >= 0 ? [number, large, null, null] : [number, -1, kinds.slice(), frames.slice()]
      }),
    }
  }

  load({ chunks }: SavedGuestPages): void {
    for (const [number, large, kinds, frames] of chunks) {
      if (kinds === null || frames === null) {
        this.setLarge(number * LARGE_PAGES, large)
        continue
      }
      this.#chunks.set(number, { large: -1, kinds: kinds.slice(), frames: frames.slice() })
      for (const kind of kinds) this.#counts[kind]!++
    }
  }

  clear(): void {
    this.#chunks.clear()
    this.#counts.fill(0)
    this.#large = 0
  }
}
