/**
 * "Local APIC Register Address Map": registers by their offset in the xAPIC page. In x2APIC mode the MSR is
 * 0x800 + offset / 16.
 */

/** Physical address of the xAPIC page after reset. */
export const XAPIC_BASE = 0xfee0_0000

export const LOCAL_APIC = {
  ID: 0x020,
  VERSION: 0x030,
  TPR: 0x080,
  PPR: 0x0a0,
  EOI: 0x0b0,
  LDR: 0x0d0,
  DFR: 0x0e0,
  SVR: 0x0f0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  CMCI: 0x2f0,
  ICR_LOW: 0x300,
  ICR_HIGH: 0x310,
  LVT_TIMER: 0x320,
  LVT_THERMAL: 0x330,
  LVT_PERFORMANCE: 0x340,
  LVT_LINT0: 0x350,
  LVT_LINT1: 0x360,
  LVT_ERROR: 0x370,
  TIMER_INITIAL: 0x380,
  TIMER_CURRENT: 0x390,
  TIMER_DIVIDE: 0x3e0,
  SELF_IPI: 0x3f0,
} as const

/** MSR of a register in x2APIC mode. */
export const x2apicMsr = (offset: number): number => 0x800 + (offset >>> 4)

/** IA32_APIC_BASE. */
export const APIC_BASE = { BSP: 1 << 8, EXTD: 1 << 10, EN: 1 << 11 } as const

/** IA32_TSC_DEADLINE. */
export const TSC_DEADLINE_MSR = 0x6e0

/** Spurious-Interrupt Vector Register. */
export const SVR = { enable: 1 << 8, suppressEoiBroadcast: 1 << 12 } as const

/** Error Status Register. */
export const ESR = {
  /** A lowest-priority command, where the local APIC cannot send one. */
  redirectableIpi: 1 << 4,
  sendIllegalVector: 1 << 5,
  receiveIllegalVector: 1 << 6,
  illegalRegister: 1 << 7,
} as const

/** "Local Vector Table": bits 7:0 are the vector and, but for timer and error, bits 10:8 the delivery mode. */
export const LVT = {
  /** Delivery status, read-only: nothing here is ever held back on its way to the processor. */
  sendPending: 1 << 12,
  /** LINT0 and LINT1: the pin is active low. */
  activeLow: 1 << 13,
  /** LINT0 and LINT1, fixed and level-triggered: accepted, and no EOI yet. */
  remoteIrr: 1 << 14,
  level: 1 << 15,
  masked: 1 << 16,
} as const
/** Mask bit of every LVT entry. */
export const LVT_MASKED = LVT.masked

/** LVT timer bits 18:17. */
export const TIMER_MODE = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const

/** Interrupt Command Register, low dword. */
export const ICR = { logical: 1 << 11, deliveryStatus: 1 << 12, assert: 1 << 14, level: 1 << 15 } as const
/** ICR bits 19:18. */
export const ICR_SHORTHAND = { none: 0, self: 1, allIncludingSelf: 2, allExcludingSelf: 3 } as const
