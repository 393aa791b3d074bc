/** Fills the filter tables from the registers of the 82576. */
import { FilterTables } from '../../../net/index.ts'
import {
  I82576_POOLS,
  MRQC,
  MRQC_MODE,
  MTA,
  RAH,
  RAH_BIT,
  RAH_UPPER,
  RAL,
  RAL_UPPER,
  RCTL,
  UTA,
  VFRE,
  VFTA,
  VLVF,
  VMOLR,
  VMRCTL,
  VMRVLAN,
  VMRVM,
  VT_CTL,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf, type NicRegister } from '../../formats/nic/register.ts'
import { ESWMODE } from '../../formats/nic/synthetic-eswitch-registers.ts'

export const RECEIVE_ADDRESSES = 24
/** `RCTL.MO`: by how much bytes 4 and 5 of an address are shifted for its hash. */
const HASH_SHIFTS = [4, 3, 2, 0] as const

/** Registers whose writing changes the tables; the bit tables are read where they are. */
export const FILTER_REGISTERS: readonly NicRegister[] = [
  RAL,
  RAH,
  RAL_UPPER,
  RAH_UPPER,
  RCTL,
  MRQC,
  VT_CTL,
  VMOLR,
  VLVF,
  VFRE,
  VMRCTL,
  VMRVLAN,
  VMRVM,
  ESWMODE,
]

export const isPooling = (words: Uint32Array): boolean => {
  const mode = words[MRQC.offset >>> 2]! & MRQC.bits.ENABLE
  return mode === MRQC_MODE.vmdq || mode === MRQC_MODE.vmdqRss
}

export function makeFilters(words: Uint32Array): FilterTables {
  const tables = new FilterTables(RECEIVE_ADDRESSES, VLVF.count)
  const table = ({ offset, count }: NicRegister) => words.subarray(offset >>> 2, (offset >>> 2) + count)
  tables.multicastTable = table(MTA)
  tables.unicastTable = table(UTA)
  tables.vlanTable = table(VFTA)
  return tables
}

export function loadFilters(words: Uint32Array, tables: FilterTables): void {
  const rctl = words[RCTL.offset >>> 2]!
  const vtControl = words[VT_CTL.offset >>> 2]!
  tables.macs = 0
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) loadAddress(words, i, tables)
  tables.vlans = 0
  for (let i = 0; i < VLVF.count; i++) {
    const entry = words[(VLVF.offset >>> 2) + i]!
    if (entry & VLVF.bits.VI_EN) {
      tables.addVlan(i, entry & VLVF.bits.VLAN_ID, fieldOf(entry, VLVF.bits.POOLSEL), 0)
    }
  }
  tables.pooling = isPooling(words)
  tables.vlanFilter = (rctl & RCTL.bits.VFE) !== 0
  tables.hashShift = HASH_SHIFTS[fieldOf(rctl, RCTL.bits.MO)]!
  tables.acceptBroadcast = (rctl & RCTL.bits.BAM) !== 0
  tables.unicastPromiscuous = (rctl & RCTL.bits.UPE) !== 0
  tables.multicastPromiscuous = (rctl & RCTL.bits.MPE) !== 0
  tables.replication = (vtControl & VT_CTL.bits.RPL_EN) !== 0
  tables.matchMac = (vtControl & VT_CTL.bits.IGN_MAC) === 0
  tables.defaultPool = vtControl & VT_CTL.bits.DIS_DEF_POOL ? -1 : fieldOf(vtControl, VT_CTL.bits.DEF_PL)
  // 0 where there is no such register.
  const diverts = (words[ESWMODE.offset >>> 2]! & ESWMODE.bits.SWITCHDEV) !== 0
  tables.manager = tables.pooling && diverts ? tables.defaultPool : -1
  tables.enabled.set(words[VFRE.offset >>> 2]!, 0)
  loadPools(words, tables)
  loadMirrors(words, tables)
}

function loadAddress(words: Uint32Array, index: number, tables: FilterTables): void {
  const upper = index >= RAL.count
  const at = upper ? (RAL_UPPER.offset >>> 2) + (index - RAL.count) * 2 : (RAL.offset >>> 2) + index * 2
  const high = words[at + 1]!
  // Address select: 0 compares the destination.
  if (!(high & RAH_BIT.AV) || high & RAH_BIT.ASEL) return
  tables.addMac(words[at]!, high & RAH_BIT.RAH, fieldOf(high, RAH_BIT.POOLSEL), 0)
}

function loadPools(words: Uint32Array, tables: FilterTables): void {
  const { AUPE, ROMPE, ROPE, BAM, MPE } = VMOLR.bits
  const { untagged, multicastHash, unicastHash, broadcast, multicastAll } = tables
  for (const set of [untagged, multicastHash, unicastHash, broadcast, multicastAll]) set.clear()
  for (let pool = 0; pool < I82576_POOLS; pool++) {
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
  for (const [i, rule] of tables.mirrors.entries()) {
    const control = words[(VMRCTL.offset >>> 2) + i]!
    rule.pool = (control & VMRCTL.bits.VPME) !== 0
    rule.uplink = (control & VMRCTL.bits.UPME) !== 0
    rule.downlink = (control & VMRCTL.bits.DPME) !== 0
    rule.vlan = (control & VMRCTL.bits.VLME) !== 0
    rule.target = fieldOf(control, VMRCTL.bits.MP)
    rule.pools.set(words[(VMRVM.offset >>> 2) + i]!, 0)
    rule.entries.set(words[(VMRVLAN.offset >>> 2) + i]!, 0)
    if (rule.pool || rule.uplink || rule.downlink || rule.vlan) tables.mirroring = true
  }
}
