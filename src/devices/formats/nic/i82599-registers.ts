/**
 * Registers of the Intel 82599, physical function ("Programming Interface" of its data sheet). Offsets and bits agree with
 * the register headers of Linux (ixgbe) and DPDK (ixgbe base code). Names are the data sheet's, without the prefix PF
 * where Linux leaves it out.
 */
import { declare, declared, I82599_QUEUES } from './i82599-declarations.ts'
import { bits, type NicRegisterFile } from './register.ts'

export { I82599_POOLS, I82599_QUEUES, I82599_VECTORS } from './i82599-declarations.ts'
export * from './i82599-queue-filters.ts'
export * from './i82599-statistics.ts'
export * from './i82599-virtualization.ts'

// General

export const CTRL = declare(0x0000, 'CTRL', 'RW', {
  bits: { GIO_DIS: bits(2), LRST: bits(3), RST: bits(26) },
  alias: { offset: 0x0004, stride: 4, count: 1 },
})
export const STATUS = declare(0x0008, 'STATUS', 'RO', {
  bits: { LAN_ID: bits(3, 2), LINK_UP: bits(7), NUM_VFS: bits(16, 10), IOV_ACTIVE: bits(18), GIO: bits(19) },
})
export const CTRL_EXT = declare(0x0018, 'CTRL_EXT', 'RW', {
  bits: { PFRSTD: bits(14), NS_DIS: bits(16), RO_DIS: bits(17), DRV_LOAD: bits(28) },
})
/** "Extended SDP Control": pin 2 tells whether there is a module in the cage. */
export const ESDP = declare(0x0020, 'ESDP', 'RW', { bits: { SDP2_DATA: bits(2), SDP2_IODIR: bits(10) } })
/** The two-wire bus to the module: lines as they are, and what software does to them. */
export const I2CCTL = declare(0x0028, 'I2CCTL', 'RW', {
  reset: 0xf,
  writable: 0xa,
  bits: { CLK_IN: bits(0), CLK_OUT: bits(1), DATA_IN: bits(2), DATA_OUT: bits(3) },
})
export const FRTIMER = declare(0x0048, 'FRTIMER', 'RO')
export const TCPTIMER = declare(0x004c, 'TCPTIMER', 'RW')
export const LEDCTL = declare(0x0200, 'LEDCTL', 'RW', { reset: 0x8484_0100 })

// EEPROM and flash

export const EEC = declare(0x1_0010, 'EEC', 'RW', {
  bits: {
    REQ: bits(6),
    GNT: bits(7),
    PRES: bits(8),
    AUTO_RD: bits(9),
    ADDR_SIZE: bits(10),
    SIZE: bits(14, 11),
  },
})
export const EERD = declare(0x1_0014, 'EERD', 'RW', {
  bits: { START: bits(0), DONE: bits(1), ADDR: bits(15, 2), DATA: bits(31, 16) },
})
export const EEMNGCTL = declare(0x1_0110, 'EEMNGCTL', 'RO', { reset: 0x000c_0000 })
export const GRC = declare(0x1_0200, 'GRC', 'RW')
export const SWSM = declare(0x1_0140, 'SWSM', 'RW', { bits: { SMBI: bits(0), SWESMBI: bits(1) } })
export const FWSM = declare(0x1_0148, 'FWSM', 'RO', { bits: { MODE: bits(3, 1), FW_VALID: bits(15) } })
export const SW_FW_SYNC = declare(0x1_0160, 'SW_FW_SYNC', 'RW')
export const FACTPS = declare(0x1_0150, 'FACTPS', 'RO')

// Interrupts

export const EICR = declare(0x0800, 'EICR', 'RW1C', {
  bits: {
    RTXQ: bits(15, 0),
    FLOW_DIRECTOR: bits(16),
    RX_MISS: bits(17),
    PCI_EXCEPTION: bits(18),
    MAILBOX: bits(19),
    LSC: bits(20),
    LINKSEC: bits(21),
    MNG: bits(22),
    ECC: bits(28),
    TCP_TIMER: bits(30),
    OTHER: bits(31),
  },
})
export const EICS = declare(0x0808, 'EICS', 'RW')
export const EIMS = declare(0x0880, 'EIMS', 'RW')
export const EIMC = declare(0x0888, 'EIMC', 'WO')
export const EIAC = declare(0x0810, 'EIAC', 'RW')
export const EIAM = declare(0x0890, 'EIAM', 'RW')
/** One bit per MSI-X vector; the lower 16 are those of EICS, EIMS, EIMC and EIAM. */
export const EICS_EX = declare(0x0a90, 'EICS_EX', 'WO', { count: 2 })
export const EIMS_EX = declare(0x0aa0, 'EIMS_EX', 'RW', { count: 2 })
export const EIMC_EX = declare(0x0ab0, 'EIMC_EX', 'WO', { count: 2 })
export const EIAM_EX = declare(0x0ad0, 'EIAM_EX', 'RW', { count: 2 })
export const EITRSEL = declare(0x0894, 'EITRSEL', 'RW')
export const GPIE = declare(0x0898, 'GPIE', 'RW', {
  bits: {
    MSIX_MODE: bits(4),
    OCD: bits(5),
    EIMEN: bits(6),
    VT_MODE: bits(15, 14),
    EIAME: bits(30),
    PBA: bits(31),
  },
})
const EITR_BIT = { INTERVAL: bits(11, 3), LLI_MOD: bits(15), CNT_WDIS: bits(31) } as const
export const EITR = declare(0x0820, 'EITR', 'RW', { count: 24, bits: EITR_BIT })
/** Vectors 24 to 128. */
export const EITR_UPPER = declare(0x1_2300, 'EITR24', 'RW', { count: 105, bits: EITR_BIT })
/** Bytes: receive and transmit queue 2n, receive and transmit queue 2n + 1. */
export const IVAR = declare(0x0900, 'IVAR', 'RW', { count: 64, bits: { ALLOC: bits(5, 0), VALID: bits(7) } })
/** Bytes: TCP timer, other causes. */
export const IVAR_MISC = declare(0x0a00, 'IVAR_MISC', 'RW')
export const PBACL = declare(0x1_1068, 'PBACL', 'RW1C')

// Receive

export const FCTRL = declare(0x5080, 'FCTRL', 'RW', {
  bits: {
    SBP: bits(1),
    TPE: bits(7),
    MPE: bits(8),
    UPE: bits(9),
    BAM: bits(10),
    PMCF: bits(12),
    DPF: bits(13),
  },
})
export const VLNCTRL = declare(0x5088, 'VLNCTRL', 'RW', {
  reset: 0x8100,
  bits: { VET: bits(15, 0), CFIEN: bits(29), VFE: bits(30) },
})
export const MCSTCTRL = declare(0x5090, 'MCSTCTRL', 'RW', { bits: { MO: bits(1, 0), MFE: bits(2) } })
export const RXCTRL = declare(0x3000, 'RXCTRL', 'RW', { bits: { RXEN: bits(0), DMBYPS: bits(1) } })
export const RDRXCTL = declare(0x2f00, 'RDRXCTL', 'RW', {
  reset: 0x0880_0008,
  writable: 0xffff_fff7,
  bits: { CRCSTRIP: bits(1), DMAIDONE: bits(3), AGGDIS: bits(16), RSCFRSTSIZE: bits(21, 17) },
})
export const RXCSUM = declare(0x5000, 'RXCSUM', 'RW', { bits: { IPPCSE: bits(12), PCSD: bits(13) } })
export const RFCTL = declare(0x5008, 'RFCTL', 'RW', { bits: { RSC_DIS: bits(5), NFSW_DIS: bits(6) } })
export const RXPBSIZE = declare(0x3c00, 'RXPBSIZE', 'RW', {
  count: 8,
  reset: 0x0008_0000,
  writable: 0x000f_fc00,
})
export const DROPEN = declare(0x3d04, 'DROPEN', 'RW')
export const MTA = declare(0x5200, 'MTA', 'RW', { count: 128 })
const RAH_BIT = { RAH: bits(15, 0), AV: bits(31) } as const
export const RAL = declare(0xa200, 'RAL', 'RW', {
  count: 128,
  stride: 8,
  alias: { offset: 0x5400, stride: 8, count: 16 },
})
export const RAH = declare(0xa204, 'RAH', 'RW', {
  count: 128,
  stride: 8,
  bits: RAH_BIT,
  alias: { offset: 0x5404, stride: 8, count: 16 },
})
export const MPSAR_LO = declare(0xa600, 'MPSAR_LO', 'RW', { count: 128, stride: 8 })
export const MPSAR_HI = declare(0xa604, 'MPSAR_HI', 'RW', { count: 128, stride: 8 })
export const PSRTYPE = declare(0xea00, 'PSRTYPE', 'RW', {
  count: 64,
  bits: { TCP: bits(4), UDP: bits(5), IPV4: bits(8), IPV6: bits(9), L2: bits(12), RQPL: bits(31, 29) },
  alias: { offset: 0x5480, stride: 4, count: 16 },
})
export const VFTA = declare(0xa000, 'VFTA', 'RW', { count: 128 })
export const UTA = declare(0xf400, 'UTA', 'RW', { count: 128 })
export const MRQC = declare(0x5818, 'MRQC', 'RW', { bits: { MRQE: bits(3, 0) } })
/** Values of `MRQC.MRQE`. */
export const MRQC_MODE = {
  none: 0,
  rss: 1,
  vmdq64: 8,
  vmdqRss32: 0xa,
  vmdqRss64: 0xb,
  vmdq16Tc8: 0xc,
  vmdq32Tc4: 0xd,
} as const
export const RETA = declare(0x5c00, 'RETA', 'RW', { count: 32 })
export const RSSRK = declare(0x5c80, 'RSSRK', 'RW', { count: 10 })
export const RTRUP2TC = declare(0x3020, 'RTRUP2TC', 'RW')
export const FDIRCTRL = declare(0xee00, 'FDIRCTRL', 'RW')
export const FDIRHKEY = declare(0xee68, 'FDIRHKEY', 'RW')
export const FDIRSKEY = declare(0xee6c, 'FDIRSKEY', 'RW')
export const SECRXCTRL = declare(0x8d00, 'SECRXCTRL', 'RW', { bits: { SECRX_DIS: bits(0), RX_DIS: bits(1) } })
export const SECRXSTAT = declare(0x8d04, 'SECRXSTAT', 'RO', { reset: 1, bits: { SECRX_RDY: bits(0) } })
export const RTRPCS = declare(0x2430, 'RTRPCS', 'RW')

/** Receive queues 0 to 63, and 64 to 127 at a second place: the same registers. */
const RX = { count: 64, stride: 0x40 } as const
const queueRegisters = (base: number, suffix: string) => ({
  RDBAL: declare(base + 0x00, `RDBAL${suffix}`, 'RW', { ...RX, writable: 0xffff_ff80 }),
  RDBAH: declare(base + 0x04, `RDBAH${suffix}`, 'RW', RX),
  RDLEN: declare(base + 0x08, `RDLEN${suffix}`, 'RW', { ...RX, writable: 0x000f_ff80 }),
  DCA_RXCTRL: declare(base + 0x0c, `DCA_RXCTRL${suffix}`, 'RW', {
    ...RX,
    ...(suffix === '' && { alias: { offset: 0x2200, stride: 4, count: 16 } }),
  }),
  RDH: declare(base + 0x10, `RDH${suffix}`, 'RW', { ...RX, writable: 0xffff }),
  SRRCTL: declare(base + 0x14, `SRRCTL${suffix}`, 'RW', {
    ...RX,
    reset: 0x0400,
    bits: {
      BSIZEPACKET: bits(4, 0),
      BSIZEHEADER: bits(13, 8),
      RDMTS: bits(24, 22),
      DESCTYPE: bits(27, 25),
      DROP_EN: bits(28),
    },
    ...(suffix === '' && { alias: { offset: 0x2100, stride: 4, count: 16 } }),
  }),
  RDT: declare(base + 0x18, `RDT${suffix}`, 'RW', { ...RX, writable: 0xffff }),
  RXDCTL: declare(base + 0x28, `RXDCTL${suffix}`, 'RW', {
    ...RX,
    bits: { RLPML: bits(13, 0), RLPML_EN: bits(15), ENABLE: bits(25), VME: bits(30) },
  }),
  RSCCTL: declare(base + 0x2c, `RSCCTL${suffix}`, 'RW', RX),
})
export const RX_LOWER = queueRegisters(0x1000, '')
export const RX_UPPER = queueRegisters(0xd000, '64')

// Transmit

export const DMATXCTL = declare(0x4a80, 'DMATXCTL', 'RW', {
  reset: 0x8100_0000,
  bits: { TE: bits(0), GDV: bits(3), VT: bits(31, 16) },
})
export const DTXTCPFLGL = declare(0x4a88, 'DTXTCPFLGL', 'RW', {
  reset: 0x0ff6_0ff6,
  bits: { FIRST: bits(11, 0), MIDDLE: bits(27, 16) },
})
export const DTXTCPFLGH = declare(0x4a8c, 'DTXTCPFLGH', 'RW', { reset: 0xf7f, bits: { LAST: bits(11, 0) } })
export const DTXMXSZRQ = declare(0x8100, 'DTXMXSZRQ', 'RW', { reset: 0x10 })
export const TXPBSIZE = declare(0xcc00, 'TXPBSIZE', 'RW', { count: 8, reset: 0x0002_8000 })
export const TXPBTHRESH = declare(0x4950, 'TXPBTHRESH', 'RW', { count: 8, reset: 0x96 })
export const MTQC = declare(0x8120, 'MTQC', 'RW', {
  bits: { RT_ENA: bits(0), VT_ENA: bits(1), NUM_TC_OR_Q: bits(3, 2) },
})
export const RTTDCS = declare(0x4900, 'RTTDCS', 'RW', { bits: { ARBDIS: bits(6) } })
export const RTTDQSEL = declare(0x4904, 'RTTDQSEL', 'RW', { writable: 0x7f })
export const RTTBCNRM = declare(0x4980, 'RTTBCNRM', 'RW')
/** Of the queue that `RTTDQSEL` selects: share of the link is 1 / (RF_INT + RF_DEC / 2^14). */
export const RTTBCNRC = declare(0x4984, 'RTTBCNRC', 'RW', {
  bits: { RF_DEC: bits(13, 0), RF_INT: bits(27, 14), RS_ENA: bits(31) },
})
export const SECTXCTRL = declare(0x8800, 'SECTXCTRL', 'RW')
export const SECTXSTAT = declare(0x8804, 'SECTXSTAT', 'RO', { reset: 1 })
export const SECTXMINIFG = declare(0x8810, 'SECTXMINIFG', 'RW', { reset: 1 })

const TX = { count: I82599_QUEUES, stride: 0x40 } as const
export const TDBAL = declare(0x6000, 'TDBAL', 'RW', { ...TX, writable: 0xffff_ff80 })
export const TDBAH = declare(0x6004, 'TDBAH', 'RW', TX)
export const TDLEN = declare(0x6008, 'TDLEN', 'RW', { ...TX, writable: 0x000f_ff80 })
export const DCA_TXCTRL = declare(0x600c, 'DCA_TXCTRL', 'RW', TX)
export const TDH = declare(0x6010, 'TDH', 'RW', { ...TX, writable: 0xffff })
export const TDT = declare(0x6018, 'TDT', 'RW', { ...TX, writable: 0xffff })
export const TXDCTL = declare(0x6028, 'TXDCTL', 'RW', { ...TX, bits: { ENABLE: bits(25), SWFLSH: bits(26) } })
export const TDWBAL = declare(0x6038, 'TDWBAL', 'RW', { ...TX, bits: { HEAD_WB_EN: bits(0) } })
export const TDWBAH = declare(0x603c, 'TDWBAH', 'RW', TX)

// MAC and link

export const HLREG0 = declare(0x4240, 'HLREG0', 'RW', {
  reset: 0x0000_0c03,
  bits: { TXCRCEN: bits(0), RXCRCSTRP: bits(1), JUMBOEN: bits(2), TXPADEN: bits(10), LPBK: bits(15) },
})
export const MAXFRS = declare(0x4268, 'MAXFRS', 'RW', { reset: 0x05ee_0000, bits: { MFS: bits(31, 16) } })
export const PAP = declare(0x4248, 'PAP', 'RW')
export const MFLCN = declare(0x4294, 'MFLCN', 'RW')
export const FCCFG = declare(0x3d00, 'FCCFG', 'RW')
export const FCTTV = declare(0x3200, 'FCTTV', 'RW', { count: 4 })
export const FCRTL = declare(0x3220, 'FCRTL', 'RW', { count: 8 })
export const FCRTH = declare(0x3260, 'FCRTH', 'RW', { count: 8 })
export const FCRTV = declare(0x32a0, 'FCRTV', 'RW')
export const AUTOC = declare(0x42a0, 'AUTOC', 'RW', {
  reset: 0xc09c_6004,
  bits: { FLU: bits(0), RESTART_AN: bits(12), LMS: bits(15, 13) },
})
export const LINKS = declare(0x42a4, 'LINKS', 'RO', {
  bits: { UP: bits(30), SPEED: bits(29, 28) },
  alias: { offset: 0x4324, stride: 4, count: 1 },
})
export const AUTOC2 = declare(0x42a8, 'AUTOC2', 'RW', { reset: 0x0008_0000 })
export const MSCA = declare(0x425c, 'MSCA', 'RW', {
  bits: {
    ADDRESS: bits(15, 0),
    DEVICE: bits(20, 16),
    PHY: bits(25, 21),
    OP: bits(27, 26),
    MDI_CMD: bits(30),
  },
})
export const MSRWD = declare(0x4260, 'MSRWD', 'RW', {
  bits: { WRITE: bits(15, 0), READ: bits(31, 16) },
  writable: 0xffff,
})
export const CORECTL = declare(0x1_4f00, 'CORECTL', 'RW')
export const WUC = declare(0x5800, 'WUC', 'RW')
export const WUFC = declare(0x5808, 'WUFC', 'RW')
export const WUS = declare(0x5810, 'WUS', 'RW1C')

export const I82599_REGISTERS: NicRegisterFile = { size: 0x2_0000, registers: declared }
