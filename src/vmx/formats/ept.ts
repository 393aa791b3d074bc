/** "The Extended Page Table Mechanism": EPTP and paging-structure entries. */
import { rw } from '../../core/index.ts'

/** Fields of EPTP. `ADDR` is the page number of the PML4 table. */
export const EPTP = { MT: rw(2, 0), PWL: rw(5, 3), AD: rw(6), ADDR: rw(51, 12) } as const

/** Fields of an EPT entry. `ADDR` is a page number; `MT`, `IPAT` and `D` belong to entries that map a page. */
export const EPT_ENTRY = {
  R: rw(0),
  W: rw(1),
  X: rw(2),
  MT: rw(5, 3),
  IPAT: rw(6),
  /** Set in a PDPTE or PDE that maps a page: 1 GiB or 2 MiB. */
  LEAF: rw(7),
  A: rw(8),
  D: rw(9),
  /** With mode-based execute control: execution from user-mode linear addresses, X being for supervisor-mode ones. */
  XU: rw(10),
  ADDR: rw(51, 12),
  /** Bit 63: a violation that this entry decides exits even with EPT-violation #VE. */
  suppressVe: rw(63),
} as const

/** EPT memory types. */
export const EPT_MEMORY_TYPE = { UC: 0, WC: 1, WT: 4, WP: 5, WB: 6 } as const

/** INVVPID types. */
export const INVVPID = {
  individualAddress: 0,
  singleContext: 1,
  allContexts: 2,
  singleContextRetainingGlobals: 3,
} as const

/** INVPCID types. */
export const INVPCID = {
  individualAddress: 0,
  singleContext: 1,
  allIncludingGlobals: 2,
  allRetainingGlobals: 3,
} as const

/** Virtualization-exception information area: offsets in bytes. */
export const VE_INFORMATION = {
  reason: 0,
  inUse: 4,
  qualification: 8,
  guestLinearAddress: 16,
  guestPhysicalAddress: 24,
  eptpIndex: 32,
} as const

/** INVEPT types. */
export const INVEPT = { singleContext: 1, allContexts: 2 } as const
