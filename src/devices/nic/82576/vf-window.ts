/**
 * What a virtual function of the 82576 sees in its BAR 0: 16 KiB in which its own part of the register file answers at the
 * places where the physical function has its first one ("Virtual Function Device Registers").
 */
import {
  DCA_RXCTRL,
  DCA_TXCTRL,
  EITR,
  FRTIMER,
  I82576_VF_VECTORS,
  PSRTYPE,
  PVFGORC,
  PVFGORLBC,
  PVFGOTC,
  PVFGOTLBC,
  PVFGPRC,
  PVFGPRLBC,
  PVFGPTC,
  PVFGPTLBC,
  PVFMPRC,
  PVTCTRL,
  PVTEIAC,
  PVTEIAM,
  PVTEICR,
  PVTEICS,
  PVTEIMC,
  PVTEIMS,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RXDCTL,
  SRRCTL,
  STATUS,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TDWBAH,
  TDWBAL,
  TXDCTL,
  V2PMAILBOX,
  VMBMEM,
  VTIVAR,
  VTIVAR_MISC,
} from '../../formats/nic/i82576-registers.ts'
import type { NicRegister } from '../../formats/nic/register.ts'
import { firstVectorOf } from './interrupts.ts'

const WINDOW_SIZE = 0x4000
/** Dword of the register file behind each dword of virtual function 0's window, -1 for none, and the step to the next. */
const base = new Int32Array(WINDOW_SIZE >>> 2).fill(-1)
const step = new Int32Array(WINDOW_SIZE >>> 2)

function map(offset: number, register: NicRegister, index = 0, perFunction = register.stride): void {
  base[offset >>> 2] = (register.offset + index * register.stride) >>> 2
  step[offset >>> 2] = perFunction >> 2
}

map(0x0000, PVTCTRL)
map(0x0008, STATUS, 0, 0)
map(0x1048, FRTIMER, 0, 0)
for (let i = 0; i < 16; i++) map(0x0800 + i * 4, VMBMEM, i, 16 * 4)
map(0x0c40, V2PMAILBOX)
map(0x0f0c, PSRTYPE)
map(0x0f10, PVFGPRC)
map(0x0f14, PVFGPTC)
map(0x0f18, PVFGORC)
map(0x0f34, PVFGOTC)
map(0x0f3c, PVFMPRC)
map(0x0f40, PVFGPRLBC)
map(0x0f44, PVFGPTLBC)
map(0x0f48, PVFGORLBC)
map(0x0f50, PVFGOTLBC)
map(0x1520, PVTEICS)
map(0x1524, PVTEIMS)
map(0x1528, PVTEIMC)
map(0x152c, PVTEIAC)
map(0x1530, PVTEIAM)
map(0x1580, PVTEICR)
for (let i = 0; i < I82576_VF_VECTORS; i++) {
  map(0x1680 + i * 4, EITR, firstVectorOf(0) + i, -I82576_VF_VECTORS * 4)
}
map(0x1700, VTIVAR)
map(0x1740, VTIVAR_MISC)
for (const [queue, first] of [0, 8].entries()) {
  const receive = { 0: RDBAL, 4: RDBAH, 8: RDLEN, 12: SRRCTL, 16: RDH, 20: DCA_RXCTRL, 24: RDT }
  const transmit = { 0: TDBAL, 4: TDBAH, 8: TDLEN, 16: TDH, 20: DCA_TXCTRL, 24: TDT, 40: TXDCTL }
  const more = { 40: RXDCTL }
  for (const [offset, register] of Object.entries({ ...receive, ...more })) {
    map(0x2800 + queue * 0x100 + Number(offset), register, first)
  }
  for (const [offset, register] of Object.entries({ ...transmit, 56: TDWBAL, 60: TDWBAH })) {
    map(0x3800 + queue * 0x100 + Number(offset), register, first)
  }
}

/** The dword of the register file that a virtual function's access reaches, -1 for none. */
export function physicalDword(virtualFunction: number, offset: number): number {
  const at = offset >>> 2
  const first = base[at] ?? -1
  return first < 0 ? -1 : first + virtualFunction * step[at]!
}
