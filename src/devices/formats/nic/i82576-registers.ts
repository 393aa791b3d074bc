/**
 * Registers of the Intel 82576, physical function ("Programming Interface" of its data sheet). Offsets and bits agree
 * with the register headers of Linux (igb) and DPDK (e1000 base code). Names are the data sheet's.
 */
import { declare, declared, I82576_QUEUES, I82576_VECTORS } from './i82576-declarations.ts'
import { bits, type NicRegisterFile } from './register.ts'

export { I82576_POOLS, I82576_QUEUES, I82576_VECTORS, I82576_VF_VECTORS } from './i82576-declarations.ts'
export * from './i82576-queue-filters.ts'
export * from './i82576-statistics.ts'
export * from './i82576-virtualization.ts'

// General

export const CTRL = declare(0x0000, 'CTRL', 'RW', {
  reset: 0x0000_0241,
  bits: {
    FD: bits(0),
    GIO_MASTER_DISABLE: bits(2),
    ASDE: bits(5),
    SLU: bits(6),
    SPEED: bits(9, 8),
    FRCSPD: bits(11),
    FRCDPLX: bits(12),
    RST: bits(26),
    RFCE: bits(27),
    TFCE: bits(28),
    VME: bits(30),
    PHY_RST: bits(31),
  },
})
export const STATUS = declare(0x0008, 'STATUS', 'RO', {
  bits: {
    FD: bits(0),
    LU: bits(1),
    LAN_ID: bits(3, 2),
    TXOFF: bits(4),
    SPEED: bits(7, 6),
    PHYRA: bits(10),
    NUM_VFS: bits(17, 14),
    IOV_MODE: bits(18),
    GIO_MASTER_ENABLE: bits(19),
  },
})
export const EECD = declare(0x0010, 'EECD', 'RW', {
  bits: {
    REQ: bits(6),
    GNT: bits(7),
    PRES: bits(8),
    AUTO_RD: bits(9),
    ADDR_BITS: bits(10),
    SIZE: bits(14, 11),
  },
})
export const EERD = declare(0x0014, 'EERD', 'RW', {
  bits: { START: bits(0), DONE: bits(1), ADDR: bits(15, 2), DATA: bits(31, 16) },
})
export const CTRL_EXT = declare(0x0018, 'CTRL_EXT', 'RW', {
  bits: {
    NSICR: bits(0),
    EE_RST: bits(13),
    PFRSTD: bits(14),
    LINK_MODE: bits(23, 22),
    EIAME: bits(24),
    IAME: bits(27),
    DRV_LOAD: bits(28),
  },
})
export const MDIC = declare(0x0020, 'MDIC', 'RW', {
  bits: {
    DATA: bits(15, 0),
    REGADD: bits(20, 16),
    PHYADD: bits(25, 21),
    OP: bits(27, 26),
    R: bits(28),
    I: bits(29),
    E: bits(30),
    DESTINATION: bits(31),
  },
})
export const SERDESCTL = declare(0x0024, 'SERDESCTL', 'RW', { reset: 0x8000_0000 })
export const FCAL = declare(0x0028, 'FCAL', 'RW', { reset: 0x00c2_8001 })
export const FCAH = declare(0x002c, 'FCAH', 'RW', { reset: 0x0000_0100 })
export const FCT = declare(0x0030, 'FCT', 'RW', { reset: 0x8808 })
export const CONNSW = declare(0x0034, 'CONNSW', 'RW')
export const VET = declare(0x0038, 'VET', 'RW', {
  reset: 0x8100_8100,
  bits: { VET: bits(15, 0), VET_EXT: bits(31, 16) },
})
export const LEDCTL = declare(0x0e00, 'LEDCTL', 'RW', { reset: 0x0784_0602 })
export const PBA_ECC = declare(0x1100, 'PBA_ECC', 'RW')
export const EEMNGCTL = declare(0x1010, 'EEMNGCTL', 'RO', {
  reset: 0x000c_0000,
  bits: { CFG_DONE_PORT_0: bits(18), CFG_DONE_PORT_1: bits(19) },
})
export const EEARBC = declare(0x1024, 'EEARBC', 'RW')
export const I2CCMD = declare(0x1028, 'I2CCMD', 'RW', { reset: 0x2000_0000 })
export const I2CPARAMS = declare(0x102c, 'I2CPARAMS', 'RW')
export const WDSTP = declare(0x1040, 'WDSTP', 'RW')
export const SWDSTS = declare(0x1044, 'SWDSTS', 'RW')
export const FRTIMER = declare(0x1048, 'FRTIMER', 'RO')
export const TCPTIMER = declare(0x104c, 'TCPTIMER', 'RW')

// Interrupts

export const ICR_BIT = {
  TXDW: bits(0),
  LSC: bits(2),
  RXDMT0: bits(4),
  RXO: bits(6),
  RXDW: bits(7),
  VMMB: bits(8),
  MDAC: bits(9),
  FER: bits(22),
  DOUTSYNC: bits(28),
  DRSTA: bits(30),
  INTA: bits(31),
} as const
export const ICR = declare(0x1500, 'ICR', 'RW1C', {
  bits: ICR_BIT,
  alias: { offset: 0x00c0, stride: 4, count: 1 },
})
export const ICS = declare(0x1504, 'ICS', 'WO', {
  bits: ICR_BIT,
  alias: { offset: 0x00c8, stride: 4, count: 1 },
})
export const IMS = declare(0x1508, 'IMS', 'RW', {
  bits: ICR_BIT,
  alias: { offset: 0x00d0, stride: 4, count: 1 },
})
export const IMC = declare(0x150c, 'IMC', 'WO', {
  bits: ICR_BIT,
  alias: { offset: 0x00d8, stride: 4, count: 1 },
})
export const IAM = declare(0x1510, 'IAM', 'RW', { alias: { offset: 0x00e0, stride: 4, count: 1 } })
export const GPIE = declare(0x1514, 'GPIE', 'RW', {
  bits: { NSICR: bits(0), MULTIPLE_MSIX: bits(4), LL_INTERVAL: bits(11, 7), EIAME: bits(30), PBA: bits(31) },
})
export const EICS = declare(0x1520, 'EICS', 'WO')
export const EIMS = declare(0x1524, 'EIMS', 'RW')
export const EIMC = declare(0x1528, 'EIMC', 'WO')
export const EIAC = declare(0x152c, 'EIAC', 'RW')
export const EIAM = declare(0x1530, 'EIAM', 'RW')
export const EICR = declare(0x1580, 'EICR', 'RW1C', {
  bits: { RTXQ: bits(15, 0), TCP_TIMER: bits(30), OTHER: bits(31) },
})
export const EITR = declare(0x1680, 'EITR', 'RW', {
  count: I82576_VECTORS,
  bits: {
    INTERVAL: bits(14, 2),
    LLI: bits(15),
    LL_COUNTER: bits(20, 16),
    COUNTER: bits(30, 21),
    CNT_IGNR: bits(31),
  },
})
/** Bytes: receive queue n, transmit queue n, receive queue n + 8, transmit queue n + 8. */
export const IVAR = declare(0x1700, 'IVAR', 'RW', {
  count: 8,
  bits: { INT_ALLOC: bits(4, 0), VALID: bits(7) },
})
/** Bytes: TCP timer, other causes. */
export const IVAR_MISC = declare(0x1740, 'IVAR_MISC', 'RW')
export const PBACL = declare(0x5b68, 'PBACL', 'RW1C')

// Receive

export const RCTL = declare(0x0100, 'RCTL', 'RW', {
  bits: {
    RXEN: bits(1),
    SBP: bits(2),
    UPE: bits(3),
    MPE: bits(4),
    LPE: bits(5),
    LBM: bits(7, 6),
    MO: bits(13, 12),
    BAM: bits(15),
    BSIZE: bits(17, 16),
    VFE: bits(18),
    DPF: bits(22),
    PMCF: bits(23),
    SECRC: bits(26),
  },
})
export const FCTTV = declare(0x0170, 'FCTTV', 'RW')
export const FCRTL = declare(0x2160, 'FCRTL', 'RW')
export const FCRTH = declare(0x2168, 'FCRTH', 'RW')
export const FCRTV = declare(0x2460, 'FCRTV', 'RW')
export const RXPBS = declare(0x2404, 'RXPBS', 'RW', { reset: 0x40, bits: { SIZE: bits(6, 0) } })
export const QDE = declare(0x2408, 'QDE', 'RW', { reset: 0, writable: 0xffff })
export const RXCSUM = declare(0x5000, 'RXCSUM', 'RW', {
  reset: 0x300,
  bits: {
    PCSS: bits(7, 0),
    IPOFLD: bits(8),
    TUOFLD: bits(9),
    CRCOFL: bits(11),
    IPPCSE: bits(12),
    PCSD: bits(13),
  },
})
export const RLPML = declare(0x5004, 'RLPML', 'RW', { reset: 0x2600, bits: { RLPML: bits(13, 0) } })
export const RFCTL = declare(0x5008, 'RFCTL', 'RW', {
  bits: { IPV6_DIS: bits(10), IPV6_XSUM_DIS: bits(11), LEF: bits(18), SYNQFP: bits(19) },
})
export const MTA = declare(0x5200, 'MTA', 'RW', { count: 128 })
export const RAL = declare(0x5400, 'RAL', 'RW', { count: 16, stride: 8 })
export const RAH_BIT = { RAH: bits(15, 0), ASEL: bits(17, 16), POOLSEL: bits(25, 18), AV: bits(31) } as const
export const RAH = declare(0x5404, 'RAH', 'RW', { count: 16, stride: 8, bits: RAH_BIT })
/** Receive addresses 16 to 23. */
export const RAL_UPPER = declare(0x54e0, 'RAL16', 'RW', { count: 8, stride: 8 })
export const RAH_UPPER = declare(0x54e4, 'RAH16', 'RW', { count: 8, stride: 8, bits: RAH_BIT })
export const PSRTYPE = declare(0x5480, 'PSRTYPE', 'RW', { count: 8 })
export const VFTA = declare(0x5600, 'VFTA', 'RW', { count: 128 })
export const MRQC = declare(0x5818, 'MRQC', 'RW', {
  bits: {
    ENABLE: bits(2, 0),
    DEF_Q: bits(5, 3),
    RSS_TCPIPV4: bits(16),
    RSS_IPV4: bits(17),
    RSS_TCPIPV6EX: bits(18),
    RSS_IPV6EX: bits(19),
    RSS_IPV6: bits(20),
    RSS_TCPIPV6: bits(21),
    RSS_UDPIPV4: bits(22),
    RSS_UDPIPV6: bits(23),
    RSS_UDPIPV6EX: bits(24),
  },
})
/** Values of `MRQC.ENABLE`. */
export const MRQC_MODE = { none: 0, rss: 2, vmdq: 3, vmdqRss: 5 } as const
export const VT_CTL = declare(0x581c, 'VT_CTL', 'RW', {
  bits: { DEF_PL: bits(9, 7), IGN_MAC: bits(28), DIS_DEF_POOL: bits(29), RPL_EN: bits(30) },
})
export const RETA = declare(0x5c00, 'RETA', 'RW', { count: 32 })
export const RSSRK = declare(0x5c80, 'RSSRK', 'RW', { count: 10 })
export const UTA = declare(0xa000, 'UTA', 'RW', { count: 128 })
export const VLANPQF = declare(0x55b0, 'VLANPQF', 'RW')

/** A receive queue's registers, and where the first four answer as well. */
const RX = { count: I82576_QUEUES, stride: 0x40 } as const
const rxAlias = (offset: number) => ({ alias: { offset, stride: 0x100, count: 4 } })
export const RDBAL = declare(0xc000, 'RDBAL', 'RW', { ...RX, ...rxAlias(0x2800), writable: 0xffff_ff80 })
export const RDBAH = declare(0xc004, 'RDBAH', 'RW', { ...RX, ...rxAlias(0x2804) })
export const RDLEN = declare(0xc008, 'RDLEN', 'RW', { ...RX, ...rxAlias(0x2808), writable: 0x000f_ff80 })
export const SRRCTL = declare(0xc00c, 'SRRCTL', 'RW', {
  ...RX,
  ...rxAlias(0x280c),
  reset: 0x0000_0400,
  bits: {
    BSIZEPACKET: bits(6, 0),
    BSIZEHEADER: bits(13, 8),
    RDMTS: bits(24, 20),
    DESCTYPE: bits(27, 25),
    TIMESTAMP: bits(30),
    DROP_EN: bits(31),
  },
})
export const RDH = declare(0xc010, 'RDH', 'RW', { ...RX, ...rxAlias(0x2810), writable: 0xffff })
export const DCA_RXCTRL = declare(0xc014, 'DCA_RXCTRL', 'RW', { ...RX, ...rxAlias(0x2814) })
export const RDT = declare(0xc018, 'RDT', 'RW', { ...RX, ...rxAlias(0x2818), writable: 0xffff })
export const RXDCTL = declare(0xc028, 'RXDCTL', 'RW', {
  ...RX,
  ...rxAlias(0x2828),
  reset: 0x0001_0000,
  bits: {
    PTHRESH: bits(4, 0),
    HTHRESH: bits(12, 8),
    WTHRESH: bits(20, 16),
    ENABLE: bits(25),
    SWFLUSH: bits(26),
  },
})
export const RQDPC = declare(0xc030, 'RQDPC', 'RC', { ...RX, ...rxAlias(0x2830) })

// Transmit

export const TCTL = declare(0x0400, 'TCTL', 'RW', {
  bits: { EN: bits(1), PSP: bits(3), CT: bits(11, 4), BST: bits(21, 12), SWXOFF: bits(22), RTLC: bits(24) },
})
export const TCTL_EXT = declare(0x0404, 'TCTL_EXT', 'RW', { reset: 0x0001_0840 })
export const TIPG = declare(0x0410, 'TIPG', 'RW', { reset: 0x0060_2008 })
export const TXPBS = declare(0x3404, 'TXPBS', 'RW', { reset: 0x28 })
export const DTXTCPFLGL = declare(0x359c, 'DTXTCPFLGL', 'RW', {
  reset: 0x0ff6_0ff6,
  bits: { FIRST: bits(11, 0), MIDDLE: bits(27, 16) },
})
export const DTXTCPFLGH = declare(0x35a0, 'DTXTCPFLGH', 'RW', { reset: 0xf7f, bits: { LAST: bits(11, 0) } })
export const DTXMXSZRQ = declare(0x3540, 'DTXMXSZRQ', 'RW', { reset: 0x10 })
export const DTXCTL = declare(0x3590, 'DTXCTL', 'RW', {
  reset: 0x4,
  bits: {
    ENABLE_802_3_LL: bits(2),
    VLAN_ADDED: bits(3),
    OOS_ENABLE: bits(4),
    MDP_EN: bits(5),
    SPOOF_INT: bits(6),
  },
})
export const RTTDCS = declare(0x3600, 'RTTDCS', 'RW')
export const RTTDQSEL = declare(0x3604, 'RTTDQSEL', 'RW', { writable: 0xf })
export const RTTBCNRM = declare(0x3690, 'RTTBCNRM', 'RW')
/** Of the queue that `RTTDQSEL` selects: share of the link is 1 / (RF_INT + RF_DEC / 2^14). */
export const RTTBCNRC = declare(0x36b0, 'RTTBCNRC', 'RW', {
  bits: { RF_DEC: bits(13, 0), RF_INT: bits(23, 14), RS_ENA: bits(31) },
})

const TX = { count: I82576_QUEUES, stride: 0x40 } as const
const txAlias = (offset: number) => ({ alias: { offset, stride: 0x100, count: 4 } })
export const TDBAL = declare(0xe000, 'TDBAL', 'RW', { ...TX, ...txAlias(0x3800), writable: 0xffff_ff80 })
export const TDBAH = declare(0xe004, 'TDBAH', 'RW', { ...TX, ...txAlias(0x3804) })
export const TDLEN = declare(0xe008, 'TDLEN', 'RW', { ...TX, ...txAlias(0x3808), writable: 0x000f_ff80 })
export const TDH = declare(0xe010, 'TDH', 'RW', { ...TX, ...txAlias(0x3810), writable: 0xffff })
export const DCA_TXCTRL = declare(0xe014, 'DCA_TXCTRL', 'RW', { ...TX, ...txAlias(0x3814) })
export const TDT = declare(0xe018, 'TDT', 'RW', { ...TX, ...txAlias(0x3818), writable: 0xffff })
export const TXDCTL = declare(0xe028, 'TXDCTL', 'RW', {
  ...TX,
  ...txAlias(0x3828),
  bits: {
    PTHRESH: bits(4, 0),
    HTHRESH: bits(12, 8),
    WTHRESH: bits(20, 16),
    ENABLE: bits(25),
    SWFLUSH: bits(26),
    PRIORITY: bits(27),
  },
})
export const TDWBAL = declare(0xe038, 'TDWBAL', 'RW', {
  ...TX,
  ...txAlias(0x3838),
  bits: { HEAD_WB_EN: bits(0), ADDRESS: bits(31, 2) },
})
export const TDWBAH = declare(0xe03c, 'TDWBAH', 'RW', { ...TX, ...txAlias(0x383c) })

// Semaphores, PCIe, management, power

export const SWSM = declare(0x5b50, 'SWSM', 'RW', {
  bits: { SMBI: bits(0), SWESMBI: bits(1), DRV_LOAD: bits(3) },
})
export const FWSM = declare(0x5b54, 'FWSM', 'RO', { bits: { MODE: bits(3, 1) } })
export const SW_FW_SYNC = declare(0x5b5c, 'SW_FW_SYNC', 'RW')
export const GCR = declare(0x5b00, 'GCR', 'RW')
export const FACTPS = declare(0x5b30, 'FACTPS', 'RO')
export const DCA_ID = declare(0x5b70, 'DCA_ID', 'RO')
export const DCA_CTRL = declare(0x5b74, 'DCA_CTRL', 'RW')
export const MANC = declare(0x5820, 'MANC', 'RW')
export const WUC = declare(0x5800, 'WUC', 'RW')
export const WUFC = declare(0x5808, 'WUFC', 'RW')
export const WUS = declare(0x5810, 'WUS', 'RW1C')
export const WUPL = declare(0x5900, 'WUPL', 'RO')
export const PCS_CFG0 = declare(0x4200, 'PCS_CFG', 'RW')
export const PCS_LCTL = declare(0x4208, 'PCS_LCTL', 'RW')
export const PCS_LSTAT = declare(0x420c, 'PCS_LSTS', 'RO')
export const PCS_ANADV = declare(0x4218, 'PCS_ANADV', 'RW')
export const PCS_LPAB = declare(0x421c, 'PCS_LPAB', 'RO')
export const TSYNCRXCTL = declare(0xb620, 'TSYNCRXCTL', 'RW')
export const TSYNCTXCTL = declare(0xb614, 'TSYNCTXCTL', 'RW')
export const TSYNCRXCFG = declare(0x5f50, 'TSYNCRXCFG', 'RW')
export const SYSTIML = declare(0xb600, 'SYSTIML', 'RW')
export const SYSTIMH = declare(0xb604, 'SYSTIMH', 'RW')
export const TIMINCA = declare(0xb608, 'TIMINCA', 'RW')

export const I82576_REGISTERS: NicRegisterFile = { size: 0x2_0000, registers: declared }
