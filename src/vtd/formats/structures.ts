/**
 * Structures that software keeps in memory for a remapping unit: "Root Entry", "Context Entry", "Second-Stage Paging
 * Entries", "Interrupt Remapping Table Entry". Bits are counted from bit 0 of the entry; bits that no field names are
 * reserved unless a comment says that hardware ignores them.
 */
import { rw } from '../../core/index.ts'

/** "Root Entry", 16 bytes, indexed by bus. */
export const ROOT_ENTRY = { P: rw(0), CTP: rw(63, 12) } as const
export const ROOT_ENTRY_WORDS = 4

/** "Context Entry" of legacy mode, 16 bytes, indexed by devfn. Bits 70:67 are ignored. */
export const CONTEXT_ENTRY = {
  P: rw(0),
  FPD: rw(1),
  TT: rw(3, 2),
  SSPTPTR: rw(63, 12),
  AW: rw(66, 64),
  DID: rw(87, 72),
} as const
export const CONTEXT_ENTRY_WORDS = 4

/** `CONTEXT_ENTRY.TT` */
export const TRANSLATION_TYPE = {
  /** Untranslated requests through second-stage tables; translated and translation requests are blocked. */
  secondStage: 0,
  /** All three kinds of requests; reserved without device-TLBs (`ECAP.DT`). */
  secondStageWithDeviceTlb: 1,
  /** Untranslated requests pass with their address unchanged; reserved without `ECAP.PT`. */
  passThrough: 2,
} as const

/** `CONTEXT_ENTRY.AW` is this much less than the number of levels: 1 for 3 levels (39 bits) … 3 for 5 (57 bits). */
export const AW_LEVELS_OFFSET = 2

/** Address width in bits, and levels of the second-stage tables, for each bit of `CAP.SAGAW` (index = AW). */
export const ADDRESS_WIDTHS = [
  undefined,
  { bits: 39, levels: 3 },
  { bits: 48, levels: 4 },
  { bits: 57, levels: 5 },
] as const

/**
 * "Second-Stage Paging Entries", 8 bytes, 512 to a table. R and W permit; an entry with neither is not present. PS
 * makes a PDPE or PDE a leaf and is ignored in a PTE; SNP and D belong to leaves. Bits 6:2, 10, 61:52 and 63 are
 * ignored, and A and D too in legacy mode.
 */
export const SECOND_STAGE_ENTRY = {
  R: rw(0),
  W: rw(1),
  PS: rw(7),
  A: rw(8),
  D: rw(9),
  SNP: rw(11),
  ADDR: rw(51, 12),
} as const

/** "Interrupt Remapping Table Entry (IRTE) for Remapped Interrupts", 16 bytes. Bits 11:8 are available to software. */
export const IRTE = {
  P: rw(0),
  FPD: rw(1),
  DM: rw(2),
  RH: rw(3),
  TM: rw(4),
  DLM: rw(7, 5),
  AVAIL: rw(11, 8),
  IM: rw(15),
  V: rw(23, 16),
  /** EIME=1: x2APIC identifier. EIME=0: the identifier is in bits 15:8 of the field, the rest is reserved. */
  DST: rw(63, 32),
  SID: rw(79, 64),
  SQ: rw(81, 80),
  SVT: rw(83, 82),
} as const
export const IRTE_WORDS = 4

/** `IRTE.SVT` */
export const SOURCE_VALIDATION = { none: 0, sourceId: 1, busRange: 2 } as const

/** Which bits of the source-id take part in the comparison, by `IRTE.SQ`. */
export const SOURCE_QUALIFIER_MASKS = [0xffff, 0xfffb, 0xfff9, 0xfff8] as const
