/**
 * Serial ATA AHCI 1.3.1: registers in ABAR and structures in memory, as host and controller agree on them; ATA commands
 * of ATA8-ACS. Offsets in bytes.
 */
export const AHCI_IDENTITY = { vendorId: 0x8086, deviceId: 0x2922, classCode: 0x01_06_01 } as const
/** BAR of the registers. */
export const ABAR = 5
export const ABAR_SIZE = 0x1000

/** §3.1 "Generic Host Control" */
export const HBA = {
  capabilities: 0x00,
  control: 0x04,
  interrupts: 0x08,
  ports: 0x0c,
  version: 0x10,
} as const
/** GHC: HR reset, IE interrupt enable, AE AHCI enable. */
export const CONTROL = { reset: 1, interrupts: 2, ahci: 0x8000_0000 } as const
/** CAP: S64A, SAM (AHCI only), one port, 32 command slots. */
export const CAPABILITIES = 0x8004_1f00
export const AHCI_VERSION = 0x0001_0301

/** §3.3 "Port Registers": port 0 begins here. */
export const PORT = 0x100
export const PORT_REGISTER = {
  commandList: 0x00,
  commandListUpper: 0x04,
  receivedFis: 0x08,
  receivedFisUpper: 0x0c,
  interruptStatus: 0x10,
  interruptEnable: 0x14,
  command: 0x18,
  taskFile: 0x20,
  signature: 0x24,
  status: 0x28,
  control: 0x2c,
  error: 0x30,
  active: 0x34,
  issue: 0x38,
  size: 0x40,
} as const
/** PxCMD; bits 12:8 (CCS) name the slot whose command is, or was last, being done. */
export const PORT_COMMAND = {
  start: 1,
  receiveFis: 1 << 4,
  currentSlot: 8,
  fisRunning: 1 << 14,
  listRunning: 1 << 15,
} as const
/** PxIS: D2H register FIS, PIO setup FIS, host bus fatal error, task file error. */
export const PORT_INTERRUPT = {
  deviceToHost: 1,
  pioSetup: 2,
  hostBusFatal: 1 << 29,
  taskFileError: 1 << 30,
} as const
/** PxSSTS: device present, 3 Gb/s, active. PxSIG: a disk. */
export const LINK_UP = 0x123
export const DISK_SIGNATURE = 0x0000_0101

/** §4.2.2 command header, of 32 bytes: length of the FIS 4:0, write 6, entries of the PRDT 31:16. */
export const COMMAND_SLOTS = 32
export const HEADER = {
  size: 32,
  transferred: 4,
  table: 8,
  fisLength: 0x1f,
  write: 1 << 6,
  entries: 16,
} as const
/** §4.2.3 command table: the FIS, then the physical region descriptor table. */
export const COMMAND_TABLE = { fis: 0, regions: 0x80 } as const
/** Byte count is 0's based in bits 21:0; data is whole words. */
export const REGION = { size: 16, count: 12, countMask: 0x3f_ffff } as const
/** §4.2.1 received FIS structure. */
export const RECEIVED = { pioSetup: 0x20, deviceToHost: 0x40 } as const

/** Serial ATA frame information structures. */
export const FIS = {
  hostToDevice: 0x27,
  deviceToHost: 0x34,
  pioSetup: 0x5f,
  command: 0x80,
  size: 20,
} as const

export const ATA = {
  readDmaExt: 0x25,
  writeDmaExt: 0x35,
  flushCacheExt: 0xea,
  identify: 0xec,
} as const
/** Status: ERR, DRDY. Error: ABRT, IDNF. */
export const ATA_STATUS = { error: 0x01, ready: 0x40 } as const
export const ATA_ERROR = { aborted: 0x04, notFound: 0x10 } as const
/** Words of IDENTIFY DEVICE. */
export const ATA_IDENTITY = { model: 27, capabilities: 49, commandSets: 83, sectors48: 100 } as const
