/**
 * What a driver of a virtual function of the 82576 uses: offsets in its BAR 0 ("Virtual Function Device Registers"). The
 * fields are those of the physical function's registers of the same names.
 */

export const I82576_VF = {
  CTRL: 0x0000,
  STATUS: 0x0008,
  VMBMEM: 0x0800,
  V2PMAILBOX: 0x0c40,
  EICS: 0x1520,
  EIMS: 0x1524,
  EIMC: 0x1528,
  EIAC: 0x152c,
  EIAM: 0x1530,
  EICR: 0x1580,
  EITR: 0x1680,
  /** Bytes: receive queue 0, transmit queue 0, receive queue 1, transmit queue 1. */
  IVAR: 0x1700,
  /** Byte 0: the mailbox. */
  IVAR_MISC: 0x1740,
} as const

/** Registers of queue 0; those of queue 1 are 100h higher. */
export const I82576_VF_RX = {
  RDBAL: 0x2800,
  RDBAH: 0x2804,
  RDLEN: 0x2808,
  SRRCTL: 0x280c,
  RDH: 0x2810,
  RDT: 0x2818,
  RXDCTL: 0x2828,
} as const
export const I82576_VF_TX = {
  TDBAL: 0x3800,
  TDBAH: 0x3804,
  TDLEN: 0x3808,
  TDH: 0x3810,
  TDT: 0x3818,
  TXDCTL: 0x3828,
} as const
