/**
 * What the page-miss handler counts, as the events of a performance-monitoring unit do: TLB misses, and the loads of
 * paging-structure entries that they cost, in the program's own tables and in those of the second stage.
 */
export const WALKS = { misses: 0, paging: 1, nested: 2 } as const

export interface WalkCounts {
  /** Linear addresses that no cached mapping translated. */
  readonly misses: number
  /** Entries read of the tables that CR3 names. */
  readonly paging: number
  /** Entries read of EPT or nested page tables. */
  readonly nested: number
}

export const walkCounters = (): Float64Array => new Float64Array(3)
