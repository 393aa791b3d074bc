/**
 * "Register Descriptions": every register of a remapping unit, once, as data. Offsets are bytes from the register
 * base; bits that no field names are reserved: they read 0 and ignore writes. What a register does is elsewhere;
 * what it holds is here. Names are those of the newest edition (second-*stage*, `SSLPS`, `FS1GP`).
 */
import { type Register, register, ro, rw, rw1c, wo } from '../../core/index.ts'

export const VER = register(0x00, 32, 'VER', { MIN: ro(3, 0), MAX: ro(7, 4) })

export const CAP = register(0x08, 64, 'CAP', {
  ND: ro(2, 0),
  AFL: ro(3),
  RWBF: ro(4),
  PLMR: ro(5),
  PHMR: ro(6),
  CM: ro(7),
  SAGAW: ro(12, 8),
  MGAW: ro(21, 16),
  ZLR: ro(22),
  FRO: ro(33, 24),
  SSLPS: ro(37, 34),
  PSI: ro(39),
  NFR: ro(47, 40),
  MAMV: ro(53, 48),
  DWD: ro(54),
  DRD: ro(55),
  FS1GP: ro(56),
  PI: ro(59),
  FS5LP: ro(60),
  ECMDS: ro(61),
  ESIRTPS: ro(62),
  ESRTPS: ro(63),
})

export const ECAP = register(0x10, 64, 'ECAP', {
  C: ro(0),
  QI: ro(1),
  DT: ro(2),
  IR: ro(3),
  EIM: ro(4),
  PT: ro(6),
  SC: ro(7),
  IRO: ro(17, 8),
  MHMV: ro(23, 20),
  MTS: ro(25),
  NEST: ro(26),
  PRS: ro(29),
  ERS: ro(30),
  SRS: ro(31),
  NWFS: ro(33),
  EAFS: ro(34),
  PSS: ro(39, 35),
  PASID: ro(40),
  DIT: ro(41),
  PDS: ro(42),
  SMTS: ro(43),
  VCS: ro(44),
  SSADS: ro(45),
  SSTS: ro(46),
  FSTS: ro(47),
  SMPWCS: ro(48),
  RPS: ro(49),
  TDXIO: ro(50),
  PMS: ro(51),
  ADMS: ro(52),
  RPRIVS: ro(53),
  SMS: ro(58),
})

export const GCMD = register(0x18, 32, 'GCMD', {
  CFI: wo(23),
  SIRTP: wo(24),
  IRE: wo(25),
  QIE: wo(26),
  WBF: wo(27),
  EAFL: wo(28),
  SFL: wo(29),
  SRTP: wo(30),
  TE: wo(31),
})

export const GSTS = register(0x1c, 32, 'GSTS', {
  CFIS: ro(23),
  IRTPS: ro(24),
  IRES: ro(25),
  QIES: ro(26),
  WBFS: ro(27),
  AFLS: ro(28),
  FLS: ro(29),
  RTPS: ro(30),
  TES: ro(31),
})

export const RTADDR = register(0x20, 64, 'RTADDR', { TTM: rw(11, 10), RTA: rw(63, 12) })

export const CCMD = register(0x28, 64, 'CCMD', {
  DID: rw(15, 0),
  SID: wo(31, 16),
  FM: wo(33, 32),
  CAIG: ro(60, 59),
  CIRG: rw(62, 61),
  ICC: rw(63),
})

export const FSTS = register(0x34, 32, 'FSTS', {
  PFO: rw1c(0),
  PPF: ro(1),
  AFO: ro(2),
  APF: ro(3),
  IQE: rw1c(4),
  ICE: rw1c(5),
  ITE: rw1c(6),
  FRI: ro(15, 8),
})

export const FECTL = register(0x38, 32, 'FECTL', { IP: ro(30), IM: rw(31) })
export const FEDATA = register(0x3c, 32, 'FEDATA', { IMD: rw(15, 0) })
export const FEADDR = register(0x40, 32, 'FEADDR', { MA: rw(31, 2) })
/** Reserved without extended interrupt mode. */
export const FEUADDR = register(0x44, 32, 'FEUADDR', { MUA: rw(31, 0) })

export const AFLOG = register(0x58, 64, 'AFLOG', { FLS: rw(11, 9), FLA: rw(63, 12) })

export const PMEN = register(0x64, 32, 'PMEN', { PRS: ro(0), EPM: rw(31) })
/** Protected memory is aligned to 2 MiB here: the highest bit that reads 0 after writing all ones is bit 20. */
export const PLMBASE = register(0x68, 32, 'PLMBASE', { PLMB: rw(31, 21) })
export const PLMLIMIT = register(0x6c, 32, 'PLMLIMIT', { PLML: rw(31, 21) })
/** Bits at and above the host address width are reserved: the unit hardwires them. */
export const PHMBASE = register(0x70, 64, 'PHMBASE', { PHMB: rw(63, 21) })
export const PHMLIMIT = register(0x78, 64, 'PHMLIMIT', { PHML: rw(63, 21) })

export const IQH = register(0x80, 64, 'IQH', { QH: ro(18, 4) })
export const IQT = register(0x88, 64, 'IQT', { QT: rw(18, 4) })
export const IQA = register(0x90, 64, 'IQA', { QS: rw(2, 0), DW: rw(11), IQA: rw(63, 12) })
export const ICS = register(0x9c, 32, 'ICS', { IWC: rw1c(0) })
export const IECTL = register(0xa0, 32, 'IECTL', { IP: ro(30), IM: rw(31) })
export const IEDATA = register(0xa4, 32, 'IEDATA', { IMD: rw(15, 0) })
export const IEADDR = register(0xa8, 32, 'IEADDR', { MA: rw(31, 2) })
export const IEUADDR = register(0xac, 32, 'IEUADDR', { MUA: rw(31, 0) })
export const IQERCD = register(0xb0, 64, 'IQERCD', { IQEI: ro(3, 0), ITESID: ro(47, 32), ICESID: ro(63, 48) })

export const IRTA = register(0xb8, 64, 'IRTA', { S: rw(3, 0), EIME: rw(11), IRTA: rw(63, 12) })

export const PQH = register(0xc0, 64, 'PQH', { PQH: rw(18, 5) })
export const PQT = register(0xc8, 64, 'PQT', { PQT: rw(18, 5) })
export const PQA = register(0xd0, 64, 'PQA', { PQS: rw(2, 0), PQA: rw(63, 12) })
export const PRS = register(0xdc, 32, 'PRS', { PPR: rw1c(0), PRO: rw1c(1) })
export const PECTL = register(0xe0, 32, 'PECTL', { IP: ro(30), IM: rw(31) })
export const PEDATA = register(0xe4, 32, 'PEDATA', { IMD: rw(15, 0) })
export const PEADDR = register(0xe8, 32, 'PEADDR', { MA: rw(31, 2) })
export const PEUADDR = register(0xec, 32, 'PEUADDR', { MUA: rw(31, 0) })

export const MTRRCAP = register(0x100, 64, 'MTRRCAP', { VCNT: ro(7, 0), FIX: ro(8), WC: ro(10) })
export const MTRRDEF = register(0x108, 64, 'MTRRDEF', { TYPE: rw(7, 0), FE: rw(10), E: rw(11) })

const fixedRange = (offset: number, name: string): Register =>
  register(offset, 64, name, {
    R0: rw(7, 0),
    R1: rw(15, 8),
    R2: rw(23, 16),
    R3: rw(31, 24),
    R4: rw(39, 32),
    R5: rw(47, 40),
    R6: rw(55, 48),
    R7: rw(63, 56),
  })

/** "MTRR" registers; there are none without memory type support (`ECAP.MTS`). */
export const MTRR_REGISTERS: readonly Register[] = [
  MTRRCAP,
  MTRRDEF,
  fixedRange(0x120, 'MTRR_FIX64K_00000'),
  fixedRange(0x128, 'MTRR_FIX16K_80000'),
  fixedRange(0x130, 'MTRR_FIX16K_A0000'),
  ...[0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0, 0xf8].map((base, i) =>
    fixedRange(0x138 + 8 * i, `MTRR_FIX4K_${base.toString(16).toUpperCase()}000`),
  ),
  ...Array.from({ length: 10 }, (_, n) => [
    register(0x180 + 16 * n, 64, `MTRR_PHYSBASE${n}`, { TYPE: rw(7, 0), BASE: rw(63, 12) }),
    register(0x188 + 16 * n, 64, `MTRR_PHYSMASK${n}`, { V: rw(11), MASK: rw(63, 12) }),
  ]).flat(),
]

/** "Invalidate Address Register": first of the IOTLB registers, at `ECAP.IRO` * 16. */
export const ivaRegister = (iro: number) =>
  register(iro * 16, 64, 'IVA', { AM: wo(5, 0), IH: wo(6), ADDR: wo(63, 12) })

/** "IOTLB Invalidate Register", at `ECAP.IRO` * 16 + 8. */
export const iotlbRegister = (iro: number) =>
  register(iro * 16 + 8, 64, 'IOTLB', {
    DID: rw(47, 32),
    DW: rw(48),
    DR: rw(49),
    IAIG: ro(58, 57),
    IIRG: rw(61, 60),
    IVT: rw(63),
  })

/** "Fault Recording Registers": number `n` of `CAP.NFR` + 1, at `CAP.FRO` * 16 + 16 n. */
export const faultRecordingRegister = (fro: number, n: number) =>
  register(fro * 16 + 16 * n, 128, `FRCD${n}`, {
    FI: ro(63, 12),
    SID: ro(79, 64),
    T2: ro(92),
    PRIV: ro(93),
    EXE: ro(94),
    PP: ro(95),
    FR: ro(103, 96),
    PV: ro(123, 104),
    AT: ro(125, 124),
    T1: ro(126),
    F: rw1c(127),
  })

/** Granularity asked for and reported by `CCMD` and `IOTLB` (`CIRG`, `CAIG`, `IIRG`, `IAIG`). */
export const GRANULARITY = { none: 0, global: 1, domain: 2, device: 3, page: 3 } as const

/** `RTADDR.TTM` */
export const TRANSLATION_TABLE_MODE = { legacy: 0, scalable: 1, reserved: 2, abort: 3 } as const

/** `IQERCD.IQEI`: why the invalidation queue stopped. */
export const INVALIDATION_QUEUE_ERROR = {
  none: 0,
  invalidTail: 1,
  fetchError: 2,
  invalidType: 3,
  reservedField: 4,
  invalidDescriptorWidth: 5,
  tailMisaligned: 6,
  invalidTranslationTableMode: 7,
} as const
