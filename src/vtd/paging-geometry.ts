/** Sizes that all paging structures share: 512 entries of 8 bytes to a table, whatever the stage. */

export const MAX_LEVELS = 5
/** Highest level at which an entry can be a leaf: 1 GiB. */
export const LARGEST_LEAF = 3

/** What one entry of a level covers, in pages (index = level; 1 is a page-table entry). */
export const PAGES_IN_ENTRY = Float64Array.of(0, 1, 2 ** 9, 2 ** 18, 2 ** 27, 2 ** 36)
/** The same, inverted: exact in binary. */
export const PAGES_TO_UNITS = Float64Array.of(0, 1, 2 ** -9, 2 ** -18, 2 ** -27, 2 ** -36)
/** Pages inside a leaf of a level, less one. */
export const PAGES_WITHIN = Int32Array.of(0, 0, 2 ** 9 - 1, 2 ** 18 - 1)
