/** Registers of the 82599 for virtual functions and pools ("Virtualization PF Registers"). */
import { declare, I82599_POOLS } from './i82599-declarations.ts'
import { bits } from './register.ts'

export const VT_CTL = declare(0x51b0, 'VT_CTL', 'RW', {
  bits: { VT_ENA: bits(0), POOL: bits(12, 7), DIS_DEFPL: bits(29), REPLEN: bits(30) },
})
export const VFRE = declare(0x51e0, 'VFRE', 'RW', { count: 2 })
export const VFTE = declare(0x8110, 'VFTE', 'RW', { count: 2 })
export const VMTXSW = declare(0x5180, 'VMTXSW', 'RW', { count: 2 })
export const VMECM = declare(0x8790, 'VMECM', 'RW', { count: 2 })
export const VMOLR = declare(0xf000, 'VMOLR', 'RW', {
  count: I82599_POOLS,
  bits: { AUPE: bits(24), ROMPE: bits(25), ROPE: bits(26), BAM: bits(27), MPE: bits(28) },
})
export const VLVF = declare(0xf100, 'VLVF', 'RW', {
  count: 64,
  bits: { VLAN_ID: bits(11, 0), VI_EN: bits(31) },
})
/** Pools of VLVF n: 31:0 in number 2n, 63:32 in number 2n + 1. */
export const VLVFB = declare(0xf200, 'VLVFB', 'RW', { count: 128 })
export const VMVIR = declare(0x8000, 'VMVIR', 'RW', {
  count: I82599_POOLS,
  bits: { PORT_VLAN: bits(15, 0), DEFAULT: bits(30), NEVER: bits(31) },
})
export const MRCTL = declare(0xf600, 'MRCTL', 'RW', {
  count: 4,
  bits: { VPME: bits(0), UPME: bits(1), DPME: bits(2), VLME: bits(3), MP: bits(13, 8) },
})
export const VMRVLAN = declare(0xf610, 'VMRVLAN', 'RW', { count: 8 })
export const VMRVM = declare(0xf630, 'VMRVM', 'RW', { count: 8 })
export const QDE = declare(0x2f04, 'QDE', 'RW', {
  bits: { ENABLE: bits(0), HIDE_VLAN: bits(1), IDX: bits(14, 8), WRITE: bits(16), READ: bits(17) },
})
/** Bytes of 8 pools each: MAC anti-spoofing 7:0, VLAN anti-spoofing 15:8. */
export const PFVFSPOOF = declare(0x8200, 'PFVFSPOOF', 'RW', {
  count: 8,
  bits: { MACAS: bits(7, 0), VLANAS: bits(15, 8) },
})
export const PFDTXGSWC = declare(0x8220, 'PFDTXGSWC', 'RW', { bits: { LBE: bits(0) } })
export const PFMBMEM = declare(0x1_3000, 'PFMBMEM', 'RW', { count: 64 * 16 })
export const PFMAILBOX = declare(0x4b00, 'PFMAILBOX', 'RW', {
  count: I82599_POOLS,
  bits: { STS: bits(0), ACK: bits(1), VFU: bits(2), PFU: bits(3), RVFU: bits(4) },
})
/** 16 virtual functions each: requests 15:0, acknowledgements 31:16. */
export const PFMBICR = declare(0x0710, 'PFMBICR', 'RW1C', { count: 4 })
export const PFMBIMR = declare(0x0720, 'PFMBIMR', 'RW', { count: 4, reset: 0xffff_ffff })
/** Virtual functions 31:0 that were reset, and 63:32; cleared through PFVFLREC. */
export const PFVFLRE_LOW = declare(0x0600, 'PFVFLRE0', 'RO')
export const PFVFLRE_HIGH = declare(0x01c0, 'PFVFLRE1', 'RO')
export const PFVFLREC = declare(0x0700, 'PFVFLREC', 'WO', { count: 2 })
export const GCR_EXT = declare(0x1_1050, 'GCR_EXT', 'RW', {
  bits: { VT_MODE: bits(1, 0), BUFFERS_CLEAR: bits(30), MSIX_EN: bits(31) },
})
export const GCR = declare(0x1_1000, 'GCR', 'RW')

/** What virtual function n sees at the places of its own window. */
const VF = { count: I82599_POOLS } as const
export const PVFCTRL = declare(0x0300, 'PVFCTRL', 'WO', { ...VF, bits: { RST: bits(26) } })
export const PVFMAILBOX = declare(0x4c00, 'PVFMAILBOX', 'RW', VF)
export const PVTEICR = declare(0x0b00, 'PVTEICR', 'RW1C', { ...VF, writable: 7 })
export const PVTEICS = declare(0x0c00, 'PVTEICS', 'WO', VF)
export const PVTEIMS = declare(0x0d00, 'PVTEIMS', 'RW', VF)
export const PVTEIMC = declare(0x0e00, 'PVTEIMC', 'WO', VF)
export const PVTEIAC = declare(0x0f00, 'PVTEIAC', 'RW', { ...VF, writable: 7 })
export const PVTEIAM = declare(0x4d00, 'PVTEIAM', 'RW', { ...VF, writable: 7 })
/** Of a virtual function with q queues q / 2 registers in a row. */
export const PVTIVAR = declare(0x1_2500, 'PVTIVAR', 'RW', {
  count: 64,
  bits: { ALLOC: bits(1, 0), VALID: bits(7) },
})
export const PVTIVAR_MISC = declare(0x4e00, 'PVTIVAR_MISC', 'RW', VF)
export const PVFGPRC = declare(0x0_101c, 'PVFGPRC', 'RO', { count: 64, stride: 0x40 })
export const PVFGPTC = declare(0x8300, 'PVFGPTC', 'RO', VF)
