/**
 * "Configuration Space Header": the registers that type 0 and type 1 functions begin with. Declared as dwords, so that
 * Command and Status are one register; access attributes are those of a PCI Express function.
 */
import { register, ro, rw, rw1c } from '../../core/index.ts'

/** Bytes of the header that every function begins with. */
export const HEADER_SIZE = 64
/** Bytes of configuration space of a conventional and of a PCI Express function. */
export const CONVENTIONAL_CONFIG_SIZE = 256
export const EXPRESS_CONFIG_SIZE = 4096

export const ID = register(0x00, 32, 'Vendor ID, Device ID', { VENDOR: ro(15, 0), DEVICE: ro(31, 16) })

export const COMMAND_STATUS = register(0x04, 32, 'Command, Status', {
  IOSE: rw(0), // I/O Space Enable
  MSE: rw(1), // Memory Space Enable
  BME: rw(2), // Bus Master Enable
  PER: rw(6), // Parity Error Response
  SERR: rw(8), // SERR# Enable
  INTD: rw(10), // Interrupt Disable
  INTS: ro(19), // Interrupt Status
  CAP: ro(20), // Capabilities List
  MDPE: rw1c(24), // Master Data Parity Error
  STA: rw1c(27), // Signaled Target Abort
  RTA: rw1c(28), // Received Target Abort
  RMA: rw1c(29), // Received Master Abort
  SSE: rw1c(30), // Signaled System Error
  DPE: rw1c(31), // Detected Parity Error
})

export const CLASS = register(0x08, 32, 'Revision ID, Class Code', {
  REVISION: ro(7, 0),
  INTERFACE: ro(15, 8),
  SUBCLASS: ro(23, 16),
  BASE: ro(31, 24),
  /** Base class, sub-class and programming interface together. */
  CODE: ro(31, 8),
})

export const HEADER = register(0x0c, 32, 'Cache Line Size, Latency Timer, Header Type, BIST', {
  CLS: rw(7, 0), // Cache Line Size: no effect in PCI Express
  LATENCY: ro(15, 8),
  LAYOUT: ro(22, 16), // 0 endpoint, 1 bridge
  MF: ro(23), // Multi-Function Device
  BIST: ro(31, 24),
})

/** Offset of BAR `index`: 0 to 5 in a type 0 header, 0 and 1 in a type 1 header. */
export const barOffset = (index: number): number => 0x10 + 4 * index
export const BAR_COUNT = { type0: 6, type1: 2 } as const

/** "Base Address Registers": the read-only bits below the address. */
export const BAR = {
  IO: 0x1,
  /** Bits 2:1 of a memory BAR: the next BAR holds address bits 63:32. */
  MEMORY_64: 0x4,
  TYPE: 0x6,
  PREFETCHABLE: 0x8,
  /** Address bits of the low dword. */
  MEMORY_ADDRESS: 0xffff_fff0,
  IO_ADDRESS: 0xffff_fffc,
} as const

export const CARDBUS_CIS = 0x28
export const SUBSYSTEM = register(0x2c, 32, 'Subsystem Vendor ID, Subsystem ID', {
  VENDOR: ro(15, 0),
  ID: ro(31, 16),
})
/** "Expansion ROM Base Address Register". */
export const ROM_OFFSET = { type0: 0x30, type1: 0x38 } as const
export const ROM = { ENABLE: 0x1, ADDRESS: 0xffff_f800 } as const
export const CAPABILITIES_POINTER = 0x34
export const INTERRUPT = register(0x3c, 32, 'Interrupt Line, Interrupt Pin', {
  LINE: rw(7, 0),
  PIN: ro(15, 8), // 0 none, 1 to 4 INTA# to INTD#
})

// "Type 1 Configuration Space Header"

export const BUS_NUMBERS = register(0x18, 32, 'Bus numbers', {
  PRIMARY: rw(7, 0),
  SECONDARY: rw(15, 8),
  SUBORDINATE: rw(23, 16),
  LATENCY: ro(31, 24),
})

export const IO_WINDOW = register(0x1c, 32, 'I/O Base, I/O Limit, Secondary Status', {
  BASE_WIDTH: ro(3, 0), // 0: 16-bit, 1: 32-bit I/O addressing
  BASE: rw(7, 4), // address bits 15:12
  LIMIT_WIDTH: ro(11, 8),
  LIMIT: rw(15, 12),
  MDPE: rw1c(24),
  STA: rw1c(27),
  RTA: rw1c(28),
  RMA: rw1c(29),
  RSE: rw1c(30), // Received System Error
  DPE: rw1c(31),
})

export const MEMORY_WINDOW = register(0x20, 32, 'Memory Base, Memory Limit', {
  BASE: rw(15, 4), // address bits 31:20
  LIMIT: rw(31, 20),
})

export const PREFETCHABLE_WINDOW = register(0x24, 32, 'Prefetchable Memory Base and Limit', {
  BASE_WIDTH: ro(3, 0), // 0: 32-bit, 1: 64-bit addressing
  BASE: rw(15, 4),
  LIMIT_WIDTH: ro(19, 16),
  LIMIT: rw(31, 20),
})
export const PREFETCHABLE_BASE_UPPER = register(0x28, 32, 'Prefetchable Base Upper 32 Bits', {
  BASE: rw(31, 0),
})
export const PREFETCHABLE_LIMIT_UPPER = register(0x2c, 32, 'Prefetchable Limit Upper 32 Bits', {
  LIMIT: rw(31, 0),
})
export const IO_UPPER = register(0x30, 32, 'I/O Base and Limit Upper 16 Bits', {
  BASE: rw(15, 0),
  LIMIT: rw(31, 16),
})

export const BRIDGE_CONTROL = register(0x3c, 32, 'Interrupt Line, Interrupt Pin, Bridge Control', {
  LINE: rw(7, 0),
  PIN: ro(15, 8),
  PER: rw(16), // Parity Error Response Enable
  SERR: rw(17), // SERR# Enable
  ISA: rw(18), // ISA Enable
  VGA: rw(19), // VGA Enable
  VGA16: rw(20), // VGA 16-bit Decode
  SBR: rw(22), // Secondary Bus Reset
})
