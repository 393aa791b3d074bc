/**
 * Registers and descriptors of the Intel 82540EM as far as the emulated adapter has them ("Register Descriptions",
 * PCI/PCI-X Family of Gigabit Ethernet Controllers). Offsets in BAR 0.
 */

export const E1000_ID = { vendorId: 0x8086, deviceId: 0x100e, revision: 3 } as const
export const E1000_WINDOW = 0x2_0000

export const E1000 = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  EECD: 0x0010,
  EERD: 0x0014,
  MDIC: 0x0020,
  ICR: 0x00c0,
  ICS: 0x00c8,
  IMS: 0x00d0,
  IMC: 0x00d8,
  RCTL: 0x0100,
  TCTL: 0x0400,
  TIPG: 0x0410,
  RDBAL: 0x2800,
  RDBAH: 0x2804,
  RDLEN: 0x2808,
  RDH: 0x2810,
  RDT: 0x2818,
  TDBAL: 0x3800,
  TDBAH: 0x3804,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  /** Statistics: cleared when read. */
  MPC: 0x4010,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORCL: 0x4088,
  GOTCL: 0x4090,
  TPR: 0x40d0,
  TPT: 0x40d4,
  MTA: 0x5200,
  RAL: 0x5400,
  RAH: 0x5404,
  VFTA: 0x5600,
} as const

export const RECEIVE_ADDRESSES = 16
export const MULTICAST_WORDS = 128

export const E1000_CTRL = { FD: 1 << 0, SLU: 1 << 6, RST: 1 << 26 } as const
export const E1000_STATUS = { FD: 1 << 0, LU: 1 << 1, SPEED_1000: 1 << 7 } as const
/** "EEPROM Read Register" of the 82540: the address is in bits 15:8, DONE is bit 4. */
export const E1000_EERD = { START: 1 << 0, DONE: 1 << 4, ADDRESS_SHIFT: 8, DATA_SHIFT: 16 } as const
export const E1000_MDIC = { REGISTER_SHIFT: 16, OP_READ: 1 << 27, READY: 1 << 28, ERROR: 1 << 30 } as const
export const E1000_INTERRUPT = {
  TXDW: 1 << 0,
  LSC: 1 << 2,
  RXDMT0: 1 << 4,
  RXO: 1 << 6,
  RXT0: 1 << 7,
} as const
export const E1000_RCTL = {
  EN: 1 << 1,
  UPE: 1 << 3,
  MPE: 1 << 4,
  LPE: 1 << 5,
  MO_SHIFT: 12,
  BAM: 1 << 15,
  BSIZE_SHIFT: 16,
  VFE: 1 << 18,
  BSEX: 1 << 25,
  SECRC: 1 << 26,
} as const
export const E1000_TCTL = { EN: 1 << 1, PSP: 1 << 3 } as const
export const E1000_RAH = { ADDRESS: 0xffff, AV: 0x8000_0000 } as const

/** "Legacy Receive and Transmit Descriptor Format": 16 bytes. */
export const E1000_DESCRIPTOR = { size: 16, address: 0, length: 8 } as const
export const E1000_RX = { checksum: 10, status: 12, errors: 13, special: 14, DD: 1, EOP: 2 } as const
export const E1000_TX = {
  checksumOffset: 10,
  command: 11,
  status: 12,
  checksumStart: 13,
  EOP: 1,
  IFCS: 2,
  IC: 4,
  RS: 8,
  DEXT: 32,
  DD: 1,
} as const
