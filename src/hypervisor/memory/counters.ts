/** What paging has cost one virtual machine. */

export interface PagingCounters {
  /** Pages, or large pages, that were used for the first time. */
  populated: number
  swappedOut: number
  swappedIn: number
  /** Pages that came to be shared, and that were copied again to be written. */
  merged: number
  copied: number
  /** Large pages that were taken apart, and put together. */
  broken: number
  collapsed: number
}

export const noCounters = (): PagingCounters => ({
  populated: 0,
  swappedOut: 0,
  swappedIn: 0,
  merged: 0,
  copied: 0,
  broken: 0,
  collapsed: 0,
})
