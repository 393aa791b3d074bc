/**
 * The virtual board: where a guest finds memory, devices and registers. Hypervisor and guest both read it here, as
 * a board's maker and its firmware share a schematic.
 */

/** Guest memory lies from 0 up to the hole, and continues at 4 GiB. */
export const LOW_MEMORY_END = 0xc000_0000
export const HIGH_MEMORY_BASE = 0x1_0000_0000

/** Windows in which the guest places base address registers. Bytes; both fit a 39-bit guest-physical address. */
export const DEVICE_WINDOW_32 = { base: 0xc000_0000, size: 0x3000_0000 } as const
export const DEVICE_WINDOW_64 = { base: 0x40_0000_0000, size: 0x40_0000_0000 } as const

/** Most guest memory that lies below the 64-bit device window. */
export const MAXIMUM_MEMORY_MIB = (DEVICE_WINDOW_64.base - (HIGH_MEMORY_BASE - LOW_MEMORY_END)) / 2 ** 20

/** PCI configuration mechanism #1. */
export const CONFIG_ADDRESS = 0xcf8
export const CONFIG_DATA = 0xcfc

/** Device numbers of the one virtual bus. Device 0 is the host bridge. */
export const SLOTS = 32
export const HOST_BRIDGE = { vendorId: 0x8086, deviceId: 0x1237, classCode: 0x06_00_00 } as const

/**
 * The slot controller: dword ports with one bit per device number. CHANGED: another function, or none, is in the slot
 * now; cleared when read. REMOVING: the function shall be let go; cleared when its bit is written to EJECT, or when the
 * guest says to STATUS that it will not: a device number in bits 7:0, and in bits 15:8 why. Each new bit raises
 * SLOT_EVENT_VECTOR on virtual processor 0.
 */
export const SLOT_PORT = { changed: 0xae00, removing: 0xae04, eject: 0xae08, status: 0xae0c } as const
export const SLOT_EVENT_VECTOR = 0x30

/** Why a guest keeps a function: values of ACPI's "_OST (OSPM Status Indication)" for ejections. */
export const EJECTION_STATUS = { notSupported: 0x80, inUse: 0x81, busy: 0x82 } as const

/**
 * The error controller: dword ports with one bit per device number, cleared when read. REPORTED: the function has
 * reported an error and goes on. RESET: after an error the function was reset; it is as after power-on. Each new bit
 * raises ERROR_EVENT_VECTOR on virtual processor 0.
 */
export const ERROR_PORT = { reported: 0xae10, reset: 0xae14 } as const
export const ERROR_EVENT_VECTOR = 0x31

/** First vector of device interrupts. */
export const FIRST_DEVICE_VECTOR = 0x40

/** Guest memory in which the guest kernel counts interrupts: 256 dwords per virtual processor. */
export const INTERRUPT_COUNTS_BASE = 0x9_0000
export const INTERRUPT_COUNTS_SIZE = 0x400

/** Guest memory in which the guest kernel counts turns of computing: 8 bytes per virtual processor. */
export const TURN_COUNTS_BASE = 0xa_0000

export const MAXIMUM_VCPUS = 64

/** CPUID leaf 4000_0000H: the hypervisor's signature in EBX, ECX, EDX. */
export const HYPERVISOR_LEAF = 0x4000_0000
export const HYPERVISOR_SIGNATURE = 'Northbridge '

/** Hypercall numbers (VMCALL). An unknown number returns all ones. */
export const HYPERCALL = {
  /** Does nothing. Returns 0. */
  nop: 0,
  /** Returns the number of the calling virtual processor. */
  vcpuNumber: 1,
  /** Returns its argument. */
  echo: 2,
  /** Returns the MiB of memory that the machine was made with. */
  memorySize: 3,
} as const
