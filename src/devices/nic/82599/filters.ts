/** Fills the filter tables from the registers of the 82599. */
import { FilterTables } from '../../../net/index.ts'
import {
  FCTRL,
  I82599_POOLS,
  MCSTCTRL,
  MPSAR_HI,
  MPSAR_LO,
  MRCTL,
  MRQC,
  MTA,
  RAH,
  RAL,
  UTA,
  VFRE,
  VFTA,
  VLNCTRL,
  VLVF,
  VLVFB,
  VMOLR,
  VMRVLAN,
  VMRVM,
  VT_CTL,
} from '../../formats/nic/i82599-registers.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'
import { isPooling } from './pools.ts'

export const RECEIVE_ADDRESSES = 128
/** `MCSTCTRL.MO`: by how much bytes 4 and 5 of an address are shifted for its hash. */
const HASH_SHIFTS = [4, 3, 2, 0] as const

/** Registers whose writing changes the tables; the VLAN table is read where it is. */
export const FILTER_REGISTERS: readonly NicRegister[] = [
  RAL,
  RAH,
  MPSAR_LO,
  MPSAR_HI,
  FCTRL,
  VLNCTRL,
  MCSTCTRL,
  MRQC,
  VT_CTL,
  VMOLR,
  VLVF,
  VLVFB,
  VFRE,
  MRCTL,
  VMRVLAN,
  VMRVM,
]

const table = (words: Uint32Array, { offset, count }: NicRegister) =>
  words.subarray(offset >>> 2, (offset >>> 2) + count)
const EMPTY = new Uint32Array(0)

export function makeFilters(words: Uint32Array): FilterTables {
  const tables = new FilterTables(RECEIVE_ADDRESSES, VLVF.count)
  tables.vlanTable = table(words, VFTA)
  return tables
}

export function loadFilters(words: Uint32Array, tables: FilterTables): void {
  const fctrl = words[FCTRL.offset >>> 2]!
  const mcstctrl = words[MCSTCTRL.offset >>> 2]!
  const vtControl = words[VT_CTL.offset >>> 2]!
  const at = ({ offset }: NicRegister, index: number): number => words[(offset >>> 2) + index]!
  tables.macs = 0
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    const high = at(RAH, 2 * i)
    if (!(high & RAH.bits.AV)) continue
    tables.addMac(at(RAL, 2 * i), high & RAH.bits.RAH, at(MPSAR_LO, 2 * i), at(MPSAR_LO, 2 * i + 1))
  }
  tables.vlans = 0
  for (let i = 0; i < VLVF.count; i++) {
    const entry = at(VLVF, i)
    if (entry & VLVF.bits.VI_EN) {
      tables.addVlan(i, entry & VLVF.bits.VLAN_ID, at(VLVFB, 2 * i), at(VLVFB, 2 * i + 1))
    }
  }
  tables.pooling = isPooling(words)
  tables.vlanFilter = (words[VLNCTRL.offset >>> 2]! & VLNCTRL.bits.VFE) !== 0
  tables.hashShift = HASH_SHIFTS[mcstctrl & MCSTCTRL.bits.MO]!
  tables.multicastTable = mcstctrl & MCSTCTRL.bits.MFE ? table(words, MTA) : EMPTY
  tables.unicastTable = table(words, UTA)
  tables.acceptBroadcast = (fctrl & FCTRL.bits.BAM) !== 0
  tables.unicastPromiscuous = (fctrl & FCTRL.bits.UPE) !== 0
  tables.multicastPromiscuous = (fctrl & FCTRL.bits.MPE) !== 0
  tables.replication = (vtControl & VT_CTL.bits.REPLEN) !== 0
  tables.defaultPool = vtControl & VT_CTL.bits.DIS_DEFPL ? -1 : fieldOf(vtControl, VT_CTL.bits.POOL)
  tables.enabled.set(at(VFRE, 0), at(VFRE, 1))
  loadPools(words, tables)
  loadMirrors(words, tables)
}

function loadPools(words: Uint32Array, tables: FilterTables): void {
  const { AUPE, ROMPE, ROPE, BAM, MPE } = VMOLR.bits
  const { untagged, multicastHash, unicastHash, broadcast, multicastAll } = tables
  for (const set of [untagged, multicastHash, unicastHash, broadcast, multicastAll]) set.clear()
  for (let pool = 0; pool < I82599_POOLS; pool++) {
    const vmolr = words[(VMOLR.offset >>> 2) + pool]!
    if (vmolr & AUPE) untagged.add(pool)
    if (vmolr & ROMPE) multicastHash.add(pool)
    if (vmolr & ROPE) unicastHash.add(pool)
    if (vmolr & BAM) broadcast.add(pool)
    if (vmolr & MPE) multicastAll.add(pool)
  }
}

function loadMirrors(words: Uint32Array, tables: FilterTables): void {
  tables.mirroring = false
  const at = ({ offset }: NicRegister, index: number): number => words[(offset >>> 2) + index]!
  for (const [i, rule] of tables.mirrors.entries()) {
    const control = at(MRCTL, i)
    rule.pool = (control & MRCTL.bits.VPME) !== 0
    rule.uplink = (control & MRCTL.bits.UPME) !== 0
    rule.downlink = (control & MRCTL.bits.DPME) !== 0
    rule.vlan = (control & MRCTL.bits.VLME) !== 0
    rule.target = fieldOf(control, MRCTL.bits.MP)
    rule.pools.set(at(VMRVM, i), at(VMRVM, i + 4))
    rule.entries.set(at(VMRVLAN, i), at(VMRVLAN, i + 4))
    if (rule.pool || rule.uplink || rule.downlink || rule.vlan) tables.mirroring = true
  }
}
