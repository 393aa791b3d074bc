/**
 * Which pools of a network controller get a frame: the order of decisions that the data sheets of 82576 and 82599 give
 * ("Packets switching", "Filtering"; Rx and Tx differ where `fromInside` is asked).
 */
import { type FilterTables, hashHit, PoolSet } from './filter-tables.ts'
import type { FrameHeaders } from './formats/headers.ts'
import { isBroadcast, isGroupAddress } from './formats/mac-address.ts'

/** Why nobody gets the frame; `none` if somebody does. */
export const VERDICT = {
  none: 0,
  /** Neither an exact filter, nor a hash, nor a promiscuous mode. */
  address: 1,
  /** Its VLAN is not in the table. */
  vlanTable: 2,
  /** Pools that want the address, but none that is a member of the VLAN or takes untagged frames; or no pool at all. */
  noPool: 3,
  /** Only pools that are disabled. */
  poolDisabled: 4,
  /** Only the pool that it came from. */
  ownPool: 5,
} as const

export class Classifier {
  /** The pools that get the frame; empty without pooling. */
  readonly pools = new PoolSet()
  /** Whether the frame is to a single address of a local pool: it need not leave by the wire. */
  localUnicast = false
  /** Whether it passed by an exact filter; by hash or mode it is a candidate that software checks. */
  exact = false
  verdict: number = VERDICT.none

  readonly #tables: FilterTables

  constructor(tables: FilterTables) {
    this.#tables = tables
  }

  /**
   * Judges a frame.
   * @param source pool that it was sent by, -1 if it came from the wire. @param toItself whether that pool may get it.
   * @param instead pool that an EtherType filter names for frames that somebody wants, -1 for none.
   */
  classify(headers: FrameHeaders, source: number, toItself: boolean, instead = -1): void {
    const tables = this.#tables
    this.pools.clear()
    this.exact = false
    this.localUnicast = false
    this.verdict = VERDICT.none
    if (tables.vlanFilter && headers.tagged && !hashHit(tables.vlanTable, headers.vlan)) {
      this.verdict = VERDICT.vlanTable
    } else if (tables.pooling) this.#choosePools(headers, source, toItself, instead)
    else if (!this.#accept(headers)) this.verdict = VERDICT.address
  }

  /** To one pool, whatever the filters say. */
  direct(pool: number): void {
    const { pools } = this
    pools.clear()
    this.exact = false
    this.localUnicast = true
    this.verdict = this.#tables.enabled.has(pool) ? VERDICT.none : VERDICT.poolDisabled
    if (this.verdict === VERDICT.none) pools.add(pool)
  }

  /** Without pools: whether the controller takes the frame. */
  #accept({ destinationLow, destinationHigh }: FrameHeaders): boolean {
    const tables = this.#tables
    if (isBroadcast(destinationLow, destinationHigh)) {
      return tables.acceptBroadcast || tables.multicastPromiscuous
    }
    this.exact = this.#matchMac(destinationLow, destinationHigh)
    this.pools.clear()
    if (this.exact) return true
    const hash = tables.hashOf(destinationHigh)
    if (isGroupAddress(destinationLow)) {
      return tables.multicastPromiscuous || hashHit(tables.multicastTable, hash)
    }
    return tables.unicastPromiscuous || hashHit(tables.unicastTable, hash)
  }

  #choosePools(headers: FrameHeaders, source: number, toItself: boolean, instead: number): void {
    const tables = this.#tables
    const { pools } = this
    const { destinationLow: low, destinationHigh: high } = headers
    const broadcast = isBroadcast(low, high)
    const group = isGroupAddress(low)
    this.exact = tables.matchMac ? this.#matchMac(low, high) : this.#all()
    if (broadcast) {
      pools.low |= tables.broadcast.low
      pools.high |= tables.broadcast.high
    } else if (group) {
      if (pools.empty && hashHit(tables.multicastTable, tables.hashOf(high))) {
        pools.set(tables.multicastHash.low, tables.multicastHash.high)
      }
      pools.low |= tables.multicastAll.low
      pools.high |= tables.multicastAll.high
    } else if (pools.empty && hashHit(tables.unicastTable, tables.hashOf(high))) {
      pools.set(tables.unicastHash.low, tables.unicastHash.high)
    }
    const wanted = !pools.empty
    if (tables.vlanFilter) this.#keepMembers(headers)
    this.localUnicast = !group && this.exact && tables.matchMac && !pools.empty
    if (!tables.replication && group) this.#withoutReplication()
    if (pools.empty && !group && source < 0 && tables.defaultPool >= 0) pools.add(tables.defaultPool)
    if (pools.empty) {
      this.verdict = wanted || group || source >= 0 ? VERDICT.noPool : VERDICT.address
      return
    }
    if (instead >= 0) {
      pools.clear()
      pools.add(instead)
    }
    pools.low &= tables.enabled.low
    pools.high &= tables.enabled.high
    if (pools.empty) this.verdict = VERDICT.poolDisabled
    else if (source >= 0 && !toItself) {
      pools.remove(source)
      if (pools.empty) this.verdict = VERDICT.ownPool
    }
    if (tables.mirroring) this.#mirror(headers, source)
  }

  /** Adds the pools of every exact filter for an address; whether there is one. */
  #matchMac(low: number, high: number): boolean {
    const { macs, macLow, macHigh, macPoolsLow, macPoolsHigh } = this.#tables
    let found = false
    for (let i = 0; i < macs; i++) {
      if (macLow[i] !== low || macHigh[i] !== high) continue
      found = true
      this.pools.low |= macPoolsLow[i]!
      this.pools.high |= macPoolsHigh[i]!
    }
    return found
  }

  /** "Ignore MAC": every pool is a candidate. */
  #all(): boolean {
    this.pools.set(-1, -1)
    return false
  }

  #keepMembers({ tagged, vlan }: FrameHeaders): void {
    const tables = this.#tables
    const { pools } = this
    if (!tagged) {
      pools.low &= tables.untagged.low
      pools.high &= tables.untagged.high
      return
    }
    let low = 0
    let high = 0
    for (let i = 0; i < tables.vlans; i++) {
      if (tables.vlan[i] !== vlan) continue
      low |= tables.vlanPoolsLow[i]!
      high |= tables.vlanPoolsHigh[i]!
    }
    pools.low &= low
    pools.high &= high
  }

  /** A group frame goes to one pool: the lowest that matches exactly, else the default pool. */
  #withoutReplication(): void {
    const { pools } = this
    const one = this.exact ? pools.first : this.#tables.defaultPool
    pools.clear()
    if (one >= 0) pools.add(one)
  }

  /** "Mirroring support": copies go to a pool of their own, whatever the frame's address and VLAN. */
  #mirror(headers: FrameHeaders, source: number): void {
    const tables = this.#tables
    const { pools } = this
    const { low, high } = pools
    for (const rule of tables.mirrors) {
      const mirrored =
        (rule.pool && ((low & rule.pools.low) | (high & rule.pools.high)) !== 0) ||
        (rule.uplink && source < 0) ||
        (rule.downlink && source >= 0 && !this.localUnicast) ||
        (rule.vlan && headers.tagged && this.#inEntries(headers.vlan, rule.entries))
      if (mirrored && tables.enabled.has(rule.target)) pools.add(rule.target)
    }
    if (!pools.empty) this.verdict = VERDICT.none
  }

  #inEntries(vlan: number, entries: PoolSet): boolean {
    const { vlans, vlan: ids, vlanEntry } = this.#tables
    for (let i = 0; i < vlans; i++) if (ids[i] === vlan && entries.has(vlanEntry[i]!)) return true
    return false
  }

  /** "MAC anti-spoofing": whether a pool may send from an address. */
  ownsAddress(pool: number, low: number, high: number): boolean {
    const { macs, macLow, macHigh, macPoolsLow, macPoolsHigh } = this.#tables
    for (let i = 0; i < macs; i++) {
      if (macLow[i] !== low || macHigh[i] !== high) continue
      if (((pool < 32 ? macPoolsLow[i]! >>> pool : macPoolsHigh[i]! >>> (pool - 32)) & 1) !== 0) return true
    }
    return false
  }

  /** "VLAN anti-spoofing": whether a pool is a member of a VLAN. */
  inVlan(pool: number, vlan: number): boolean {
    const { vlans, vlan: ids, vlanPoolsLow, vlanPoolsHigh } = this.#tables
    for (let i = 0; i < vlans; i++) {
      if (ids[i] !== vlan) continue
      if (((pool < 32 ? vlanPoolsLow[i]! >>> pool : vlanPoolsHigh[i]! >>> (pool - 32)) & 1) !== 0) return true
    }
    return false
  }
}
