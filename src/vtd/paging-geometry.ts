/** Sizes that all paging structures share: 512 entries of 8 bytes to a table, whatever the stage. */

import type { PageNumber } from '../core/index.ts'

export const MAX_LEVELS = 5
/** Highest level at which an entry can be a leaf: 1 GiB. */
export const LARGEST_LEAF = 3

/** What one entry of a level covers, in pages (index = level; 1 is a page-table entry). */
export const PAGES_IN_ENTRY = Float64Array.of(0, 1, 2 ** 9, 2 ** 18, 2 ** 27, 2 ** 36)
/** The same, inverted: exact in binary. */
export const PAGES_TO_UNITS = Float64Array.of(0, 1, 2 ** -9, 2 ** -18, 2 ** -27, 2 ** -36)
/** Pages inside a leaf of a level, less one. */
export const PAGES_WITHIN = Int32Array.of(0, 0, 2 ** 9 - 1, 2 ** 18 - 1)

// Imported and exported bindings are looked up at each use; a module's own constants are not.
const TO_UNITS = PAGES_TO_UNITS
const WITHIN = PAGES_WITHIN

/** Number of the unit that an entry of a level covers, around a page. */
export const unitOf = (page: PageNumber, level: number): number => Math.floor(page * TO_UNITS[level]!)

/** Index in a table of a level of the low word of the entry for a page. */
export const wordOf = (page: PageNumber, level: number): number => ((page * TO_UNITS[level]!) & 511) << 1

/** Number of a page inside a leaf of a level. */
export const pageWithin = (page: PageNumber, level: number): number => page & WITHIN[level]!
