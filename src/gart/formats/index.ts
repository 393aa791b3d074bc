/**
 * An address-range translation unit as chipsets had them before remapping units ("Graphics Address Remapping Table",
 * BIOS and Kernel Developer's Guide for AMD Athlon 64: "GART Aperture"): registers and table entries. Bits that no
 * field names are reserved.
 */
import { type PageNumber, register, ro, rw, rw1c, wo } from '../../core/index.ts'

/** Aperture control. The aperture is 32 MiB << SIZE; FLUSH makes the unit forget every table entry it has read. */
export const APCTL = register(0x00, 32, 'APCTL', { EN: rw(0), SIZE: rw(3, 1), FLUSH: wo(8) })
/** Bits 46:25 of the first address of the aperture; those below the aperture's size count as 0. */
export const APBASE = register(0x08, 64, 'APBASE', { BASE: rw(46, 25) })
/** The table: an entry for each 4-KiB page of the aperture. */
export const APTABLE = register(0x10, 64, 'APTABLE', { TABLE: rw(46, 12) })
/**
 * The first access to a page whose entry is not valid since F was cleared: which page, and whether it was a write. Clearing F clears all of it.
 */
export const APERR = register(0x18, 64, 'APERR', { F: rw1c(0), W: ro(1), PAGE: ro(46, 12) })

export const APERTURE_REGISTERS = [APCTL, APBASE, APTABLE, APERR] as const
/** Bytes of register space. */
export const REGISTER_SIZE = 0x1000

/** An entry of the table, 4 bytes. It says nothing of who may use it, nor of reading or writing. */
export const APERTURE_ENTRY = { V: rw(0), C: rw(1), ADDR_HIGH: rw(11, 4), ADDR: rw(31, 12) } as const

/** Pages of an aperture of size 0; each further size doubles them. */
export const SMALLEST_APERTURE = 0x2000
export const LARGEST_SIZE = 6

const { V, ADDR, ADDR_HIGH } = APERTURE_ENTRY

/** The page that a valid entry names. */
export const pageInEntry = (entry: number): PageNumber =>
  (entry >>> ADDR.shift) + ((entry & ADDR_HIGH.mask) >>> ADDR_HIGH.shift) * 2 ** 20

/** A valid entry for a page of the lowest TiB. */
export const entryFor = (page: PageNumber): number =>
  (((page % 2 ** 20) << ADDR.shift) | (Math.floor(page / 2 ** 20) << ADDR_HIGH.shift) | V.mask) >>> 0
