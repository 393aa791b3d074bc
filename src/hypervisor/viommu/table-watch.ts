/**
 * A unit without caching mode need not be told what becomes present: whoever copies its tables has to notice. Guest pages
 * that hold tables in use are read-only to the guest; a store to them exits, and the copy follows.
 */
import type { PageNumber } from '../../core/index.ts'

export interface ProtectingBoard {
  /** Lets the guest write a page of its memory, or has every store to it exit. */
  protect(page: PageNumber, on: boolean): void
}

export class TableWatch {
  readonly #board: ProtectingBoard
  #watched: Set<PageNumber>

  constructor(board: ProtectingBoard, saved: readonly PageNumber[] = []) {
    this.#board = board
    this.#watched = new Set(saved)
  }

  has(page: PageNumber): boolean {
    return this.#watched.has(page)
  }

  /** Watches these pages and no others. */
  watch(pages: ReadonlySet<PageNumber>): void {
    for (const page of this.#watched) if (!pages.has(page)) this.#board.protect(page, false)
    for (const page of pages) if (!this.#watched.has(page)) this.#board.protect(page, true)
    this.#watched = new Set(pages)
  }

  save(): readonly PageNumber[] {
    return [...this.#watched].sort((a, b) => a - b)
  }
}
