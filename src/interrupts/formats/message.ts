/** "Interrupt request formats": the address and data of a message-signalled interrupt on x86. */

/** Delivery mode of a message, an RTE or an IRTE. */
export const DELIVERY_MODE = {
  fixed: 0,
  lowestPriority: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  /** Only by the interrupt command register of a local APIC. */
  startUp: 6,
  extInt: 7,
} as const
export type DeliveryMode = number

/** Address bits 31:20 of an interrupt request. The range is 0xFEE0_0000 to 0xFEEF_FFFF. */
export const INTERRUPT_RANGE_BASE = 0xfee0_0000
export const INTERRUPT_RANGE_END = 0xfeef_ffff
/** First and last 4-KiB page of the interrupt range. */
export const INTERRUPT_FIRST_PAGE = 0xfee00
export const INTERRUPT_LAST_PAGE = 0xfeeff

/** Low dword of a compatibility-format message address: physical or logical 8-bit destination. */
export const compatibilityAddress = (destination: number, logical = false, redirectionHint = false): number =>
  (INTERRUPT_RANGE_BASE | ((destination & 0xff) << 12) | (redirectionHint ? 8 : 0) | (logical ? 4 : 0)) >>> 0

/** Low dword of a remappable-format message address: handle, and whether the data carries a subhandle (SHV). */
export const remappableAddress = (handle: number, subhandleValid: boolean): number =>
  (INTERRUPT_RANGE_BASE |
    ((handle & 0x7fff) << 5) |
    0x10 |
    (subhandleValid ? 8 : 0) |
    ((handle >>> 15) << 2)) >>>
  0
