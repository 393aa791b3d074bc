/** Registers of the 82576 for virtual functions and pools ("Virtualization Registers"). */
import { declare, I82576_POOLS } from './i82576-declarations.ts'
import { bits } from './register.ts'

export const VMBMEM = declare(0x0800, 'VMBMEM', 'RW', { count: 8 * 16 })
export const P2VMAILBOX = declare(0x0c00, 'P2VMAILBOX', 'RW', {
  count: I82576_POOLS,
  bits: { STS: bits(0), ACK: bits(1), VFU: bits(2), PFU: bits(3), RVFU: bits(4) },
})
export const V2PMAILBOX = declare(0x0c40, 'V2PMAILBOX', 'RW', { count: I82576_POOLS })
export const MBVFICR = declare(0x0c80, 'MBVFICR', 'RW1C', {
  bits: { VFREQ: bits(7, 0), VFACK: bits(23, 16) },
})
export const MBVFIMR = declare(0x0c84, 'MBVFIMR', 'RW', { reset: 0xff })
export const VFLRE = declare(0x0c88, 'VFLRE', 'RW1C', { writable: 0xff })
export const VFRE = declare(0x0c8c, 'VFRE', 'RW', { reset: 0xff, writable: 0xff })
export const VFTE = declare(0x0c90, 'VFTE', 'RW', { reset: 0xff, writable: 0xff })
export const DTXSWC = declare(0x3500, 'DTXSWC', 'RW', {
  bits: { MACAS: bits(7, 0), VLANAS: bits(15, 8), LLE: bits(23, 16), LOOPBACK_EN: bits(31) },
})
export const WVBR = declare(0x3554, 'WVBR', 'RC')
export const LVMMC = declare(0x3548, 'LVMMC', 'RC')
export const VMVIR = declare(0x3700, 'VMVIR', 'RW', {
  count: I82576_POOLS,
  bits: { PORT_VLAN: bits(15, 0), DEFAULT: bits(30), NEVER: bits(31) },
})
export const VMOLR = declare(0x5ad0, 'VMOLR', 'RW', {
  count: I82576_POOLS,
  reset: 0x8000_2600,
  bits: {
    RLPML: bits(13, 0),
    LPE: bits(16),
    RSSE: bits(17),
    AUPE: bits(24),
    ROMPE: bits(25),
    ROPE: bits(26),
    BAM: bits(27),
    MPE: bits(28),
    STRVLAN: bits(30),
    STRCRC: bits(31),
  },
})
export const RPLOLR = declare(0x5af0, 'RPLOLR', 'RW', {
  reset: 0x8000_0000,
  bits: { STRVLAN: bits(30), STRCRC: bits(31) },
})
export const VLVF = declare(0x5d00, 'VLVF', 'RW', {
  count: 32,
  bits: { VLAN_ID: bits(11, 0), POOLSEL: bits(19, 12), LVLAN: bits(20), VI_EN: bits(31) },
})
export const VMRCTL = declare(0x5d80, 'VMRCTL', 'RW', {
  count: 4,
  bits: { VPME: bits(0), UPME: bits(1), DPME: bits(2), VLME: bits(3), MP: bits(10, 8) },
})
export const VMRVLAN = declare(0x5d90, 'VMRVLAN', 'RW', { count: 4 })
export const VMRVM = declare(0x5da0, 'VMRVM', 'RW', { count: 4, writable: 0xff })
export const IOVCTL = declare(0x5bbc, 'IOVCTL', 'RW', { bits: { REUSE_VFQ: bits(0) } })

/** What a virtual function sees at 0 and at 1520h to 1580h of its window, 100h bytes for each. */
const VF = { count: I82576_POOLS, stride: 0x100 } as const
export const PVTCTRL = declare(0x1_0000, 'PVTCTRL', 'WO', { ...VF, bits: { RST: bits(26) } })
export const PVTEICS = declare(0x1_0020, 'PVTEICS', 'WO', VF)
export const PVTEIMS = declare(0x1_0024, 'PVTEIMS', 'RW', VF)
export const PVTEIMC = declare(0x1_0028, 'PVTEIMC', 'WO', VF)
export const PVTEIAC = declare(0x1_002c, 'PVTEIAC', 'RW', VF)
export const PVTEIAM = declare(0x1_0030, 'PVTEIAM', 'RW', VF)
export const PVTEICR = declare(0x1_0080, 'PVTEICR', 'RW1C', VF)
export const PVFGPRC = declare(0x1_0010, 'PVFGPRC', 'RO', VF)
export const PVFGPTC = declare(0x1_0014, 'PVFGPTC', 'RO', VF)
export const PVFGORC = declare(0x1_0018, 'PVFGORC', 'RO', VF)
export const PVFGOTC = declare(0x1_0034, 'PVFGOTC', 'RO', VF)
export const PVFMPRC = declare(0x1_0038, 'PVFMPRC', 'RO', VF)
export const PVFGPRLBC = declare(0x1_0040, 'PVFGPRLBC', 'RO', VF)
export const PVFGPTLBC = declare(0x1_0044, 'PVFGPTLBC', 'RO', VF)
export const PVFGORLBC = declare(0x1_0048, 'PVFGORLBC', 'RO', VF)
export const PVFGOTLBC = declare(0x1_0050, 'PVFGOTLBC', 'RO', VF)
/** Bytes: receive queue 0, transmit queue 0, receive queue 1, transmit queue 1 of the virtual function. */
export const VTIVAR = declare(0x1_1700, 'VTIVAR', 'RW', {
  count: I82576_POOLS,
  bits: { INT_ALLOC: bits(1, 0), VALID: bits(7) },
})
/** Byte 0: the mailbox. */
export const VTIVAR_MISC = declare(0x1_1720, 'VTIVAR_MISC', 'RW', { count: I82576_POOLS })
