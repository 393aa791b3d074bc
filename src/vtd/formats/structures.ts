/**
 * Structures that software keeps in memory for a remapping unit: "Root Entry", "Context Entry", PASID
 * directory and table, "First-Stage" and "Second-Stage Paging Entries", "Interrupt Remapping Table Entry". Bits are counted from bit 0 of the entry; bits that no field names are
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
 * "Scalable-Mode Root Entry", 16 bytes, indexed by bus: a context table for devfn 0 to 127 and one for 128 to 255. Only
 * the half that a request selects is looked at.
 */
export const SCALABLE_ROOT_ENTRY = { LP: rw(0), LCTP: rw(63, 12), UP: rw(64), UCTP: rw(127, 76) } as const

/**
 * "Scalable-Mode Context Entry", 32 bytes, indexed by the low 7 bits of devfn. DTE, PASIDE, PRE, RID_PASID and RID_PRIV
 * are reserved without ECAP.DT, PASID, PRS, RPS and RPRIVS.
 */
export const SCALABLE_CONTEXT_ENTRY = {
  P: rw(0),
  FPD: rw(1),
  DTE: rw(2),
  PASIDE: rw(3),
  PRE: rw(4),
  PDTS: rw(11, 9),
  PASIDDIRPTR: rw(63, 12),
  RID_PASID: rw(83, 64),
  RID_PRIV: rw(84),
} as const
export const SCALABLE_CONTEXT_ENTRY_WORDS = 8
/** A directory serves PASIDs of `PDTS` plus this many bits: 2^(PDTS+7) entries, each for 64 PASIDs. */
export const PDTS_PASID_BITS = 13

/** "Scalable-Mode PASID Directory Entry", 8 bytes, indexed by bits 19:6 of the PASID. */
export const PASID_DIRECTORY_ENTRY = { P: rw(0), FPD: rw(1), SMPTBLPTR: rw(63, 12) } as const

/**
 * "Scalable-Mode PASID Table Entry", 64 bytes, indexed by bits 5:0 of the PASID. SLEE is reserved without ECAP.ERS; the
 * editions differ about it.
 */
export const PASID_TABLE_ENTRY = {
  P: rw(0),
  FPD: rw(1),
  AW: rw(4, 2),
  SLEE: rw(5),
  PGTT: rw(8, 6),
  SSADE: rw(9),
  SSPTPTR: rw(63, 12),
  DID: rw(79, 64),
  PWSNP: rw(87),
  PGSNP: rw(88),
  CD: rw(89),
  EMTE: rw(90),
  EMT: rw(93, 91),
  PWT: rw(94),
  PCD: rw(95),
  PAT: rw(127, 96),
  SRE: rw(128),
  ERE: rw(129),
  FSPM: rw(131, 130),
  WPE: rw(132),
  NXE: rw(133),
  SMEP: rw(134),
  EAFE: rw(135),
  FSPTPTR: rw(191, 140),
} as const
export const PASID_TABLE_ENTRY_WORDS = 16

/** `PASID_TABLE_ENTRY.PGTT`; the other encodings are reserved. */
export const PASID_GRANULAR_TRANSLATION_TYPE = {
  firstStage: 1,
  secondStage: 2,
  nested: 3,
  passThrough: 4,
} as const

/** `PASID_TABLE_ENTRY.FSPM`; the other encodings are reserved. */
export const FIRST_STAGE_PAGING_MODE = { fourLevel: 0, fiveLevel: 1 } as const

/**
 * "First-Stage Paging Entries", 8 bytes, 512 to a table. PS makes a PDPE or PDE a leaf; EA is ignored unless EAFE, XD is
 * reserved unless NXE. Bits 8 (G) and 9, 11 and 62:52 are ignored, and so are D of entries that point to a table.
 */
export const FIRST_STAGE_ENTRY = {
  P: rw(0),
  RW: rw(1),
  US: rw(2),
  PWT: rw(3),
  PCD: rw(4),
  A: rw(5),
  D: rw(6),
  PS: rw(7),
  G: rw(8),
  EA: rw(10),
  ADDR: rw(51, 12),
  XD: rw(63),
} as const

/**
 * "Second-Stage Paging Entries", 8 bytes, 512 to a table. R and W permit; an entry with neither is not present. X counts
 * with SLEE only. PS makes a PDPE or PDE a leaf and is ignored in a PTE; SNP and D belong to leaves. Bits 6:3, 10, 61:52
 * and 63 are ignored, and A and D too unless SSADE.
 */
export const SECOND_STAGE_ENTRY = {
  R: rw(0),
  W: rw(1),
  X: rw(2),
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
