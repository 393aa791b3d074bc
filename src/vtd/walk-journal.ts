/** The entries that a walk met, in order, for explaining it. Walkers write one only while a request is explained. */
import type { PageNumber } from '../core/index.ts'

export interface WalkedEntry {
  readonly stage: 'first' | 'second'
  readonly level: number
  /** Frame of the table in host memory, and index of the entry. */
  readonly table: PageNumber
  readonly index: number
  /** Absent if the entry could not be read. */
  readonly low?: number
  readonly high?: number
  /** What the walk translated, if not the request's own address: a first-stage table's guest page. */
  readonly guestPage?: PageNumber
}

/** A walk began below this level: a paging-structure cache knew the way. */
export interface SkippedLevels {
  readonly stage: 'first' | 'second'
  /** Level of the cached entry. */
  readonly level: number
  readonly table: PageNumber
  readonly guestPage?: PageNumber
}

export class WalkJournal {
  readonly entries: (WalkedEntry | (SkippedLevels & { readonly cached: true }))[] = []
  /** Set while second-stage tables are walked for a page of first-stage tables. */
  guestPage: PageNumber | undefined = undefined

  /** The walk begins anew. */
  restart(): void {
    this.entries.length = 0
  }

  add(entry: WalkedEntry): void {
    this.entries.push(this.#mark(entry))
  }

  skip(skipped: SkippedLevels): void {
    this.entries.push({ ...this.#mark(skipped), cached: true })
  }

  #mark<T extends { readonly stage: string }>(entry: T): T {
    return this.guestPage === undefined || entry.stage === 'first'
      ? entry
      : { ...entry, guestPage: this.guestPage }
  }
}
