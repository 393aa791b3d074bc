/** What a driver of a virtual function of the 82599 uses: offsets in its BAR 0 ("Device Registers - VF"). */

export const I82599_VF = {
  VFCTRL: 0x0000,
  VFSTATUS: 0x0008,
  VFLINKS: 0x0010,
  VFFRTIMER: 0x0048,
  VFMBMEM: 0x0200,
  VFMAILBOX: 0x02fc,
  VTEICR: 0x0100,
  VTEICS: 0x0104,
  VTEIMS: 0x0108,
  VTEIMC: 0x010c,
  VTEIAC: 0x0110,
  VTEIAM: 0x0114,
  VTEITR: 0x0820,
  /** Register n, bytes: receive and transmit queue 2n, receive and transmit queue 2n + 1. */
  VTIVAR: 0x0120,
  VTIVAR_MISC: 0x0140,
  VFPSRTYPE: 0x0300,
  VFGPRC: 0x101c,
  VFGPTC: 0x201c,
} as const

/** Registers of queue 0; each further queue is 40h higher. */
export const I82599_VF_RX = {
  VFRDBAL: 0x1000,
  VFRDBAH: 0x1004,
  VFRDLEN: 0x1008,
  VFDCA_RXCTRL: 0x100c,
  VFRDH: 0x1010,
  VFSRRCTL: 0x1014,
  VFRDT: 0x1018,
  VFRXDCTL: 0x1028,
} as const

export const I82599_VF_TX = {
  VFTDBAL: 0x2000,
  VFTDBAH: 0x2004,
  VFTDLEN: 0x2008,
  VFDCA_TXCTRL: 0x200c,
  VFTDH: 0x2010,
  VFTDT: 0x2018,
  VFTXDCTL: 0x2028,
  VFTDWBAL: 0x2038,
  VFTDWBAH: 0x203c,
} as const
