/**
 * Where things are in the memory of the guests that run operation streams. Linear addresses are guest-physical ones, but
 * for two windows: the local APIC, and a page at the very top of the linear address space.
 */

/** Word size of a guest: 32-bit protected mode with two-level paging, or 64-bit mode with four levels. */
export type Bits = 32 | 64

export const PAGE = 4096
/** Pages of guest-physical memory. */
export const GUEST_PAGES = 512
export const PROCESSES = 4

export const AT = {
  gdt: 0x1000,
  idt: 0x2000,
  tss: 0x3000,
  ldt: 0x4000,
  kernelStack: 0x5000,
  userStack: 0x6000,
  kernelCode: 0x1_0000,
  userCode: 0x2_0000,
  kernelData: 0x3_0000,
  userData: 0x4_0000,
  /** Paging structures: four pages for each process, then the tables of the top window. */
  tables: 0x8_0000,
  topTables: 0xa_0000,
  /** Not mapped at first: touched by streams, mapped by the page-fault handler. */
  lazy: 0x10_0000,
  apicWindow: 0x1f_f000,
} as const
export const LAZY_PAGES = 128
export const CODE_PAGES = 8
export const DATA_PAGES = 8
export const KERNEL_STACK_TOP = AT.kernelStack + PAGE
export const USER_STACK_TOP = AT.userStack + PAGE
export const APIC = 0xfee0_0000

/** The page where a hypervisor that shares the linear address space would sit. */
export const TOP = {
  32: { low: 0xffc0_1000, high: 0 },
  64: { low: 0x1000, high: 0xffff_ff80 },
} as const

/** Selectors. SYSENTER and SYSEXIT fix the distances. */
export const SELECTOR = {
  kernelCode: 0x08,
  kernelData: 0x10,
  userCode: { 32: 0x1b, 64: 0x2b },
  userData: { 32: 0x23, 64: 0x33 },
  task: 0x38,
  ldt: 0x48,
} as const

export const VECTOR = { pageFault: 14, generalProtection: 13, systemCall: 0x80 } as const
/** Vectors of devices. */
export const FIRST_DEVICE_VECTOR = 0x50

export const wordBytes = (bits: Bits): number => bits / 8

/** Root of a process's paging structures. */
export const rootOf = (process: number): number => AT.tables + process * 4 * PAGE
/** The page table of the lowest 2 MiB (4 MiB) of a process. */
export const leafTableOf = (bits: Bits, process: number): number =>
  rootOf(process) + (bits === 64 ? 3 : 1) * PAGE
/** Address of the last-level entry that maps a linear address below 2 MiB. */
export const entryAddress = (bits: Bits, process: number, linear: number): number =>
  leafTableOf(bits, process) + (linear / PAGE) * wordBytes(bits)
/** Address of the entry that maps the page in the top window. */
export const topEntryAddress = (bits: Bits): number =>
  bits === 64 ? AT.topTables + 2 * PAGE + 8 : AT.topTables + 4
