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

/** Number of the unit that an entry of a level covers, around a page. */
export const unitOf = (page: PageNumber, level: number): number => Math.floor(page * TO_UNITS[level]!)

/** A page number as two integers: the bits by which levels 1 to 3 are indexed, and those above. */
export const lowerBits = (page: PageNumber): number => page & 0x7ff_ffff
export const upperBits = (page: PageNumber): number => (page * 2 ** -27) | 0

/** The same of the page of an address in two words. */
export const lowerBitsAt = (low: number, high: number): number => ((high << 20) & 0x7ff_ffff) | (low >>> 12)
export const upperBitsAt = (high: number): number => high >>> 7

/** Index in a table of a level of the low word of the entry for the page that has these bits. */
export const wordIn = (lower: number, upper: number, level: number): number =>
  ((level > 3 ? upper >>> (9 * level - 36) : lower >>> (9 * level - 9)) & 511) << 1

/** Index in a table of a level of the low word of the entry for a page. */
export const wordOf = (page: PageNumber, level: number): number =>
  wordIn(lowerBits(page), upperBits(page), level)

/** Of the high word of an entry, the part that belongs to its address. */
export const ADDRESS_HIGH = 0xf_ffff

/** The frame that an entry points to. */
export const frameIn = (low: number, high: number): PageNumber => (high & 0xf_ffff) * 0x10_0000 + (low >>> 12)

/** The page of an address in two words, and the words of its address. */
export const pageAt = (low: number, high: number): PageNumber => (high >>> 0) * 0x10_0000 + (low >>> 12)
export const lowOfPage = (page: PageNumber): number => (page & 0xf_ffff) << 12
export const highOfPage = (page: PageNumber): number => (page * 2 ** -20) | 0

/** Number of a page inside a leaf of a level. */
export const pageWithin = (page: PageNumber, level: number): number => page & ((1 << (9 * level - 9)) - 1)
