/**
 * The receive filters of a network controller with pools, in the form that frames are judged by: taken from the registers
 * again after they were written. Pools are bits of two words, so that 64 of them need no number above 32 bits.
 */

/** A set of pools; reused, so that choosing pools allocates nothing. */
export class PoolSet {
  low = 0
  high = 0

  clear(): void {
    this.low = 0
    this.high = 0
  }

  set(low: number, high: number): void {
    this.low = low
    this.high = high
  }

  add(pool: number): void {
    if (pool < 32) this.low |= 1 << pool
    else this.high |= 1 << (pool - 32)
  }

  remove(pool: number): void {
    if (pool < 32) this.low &= ~(1 << pool)
    else this.high &= ~(1 << (pool - 32))
  }

  has(pool: number): boolean {
    return ((pool < 32 ? this.low >>> pool : this.high >>> (pool - 32)) & 1) !== 0
  }

  get empty(): boolean {
    return (this.low | this.high) === 0
  }

  /** Whether there are two or more. */
  get several(): boolean {
    const { low, high } = this
    return (low !== 0 && high !== 0) || (low & (low - 1)) !== 0 || (high & (high - 1)) !== 0
  }

  /** The lowest pool; -1 of an empty set. */
  get first(): number {
    if (this.low !== 0) return 31 - Math.clz32(this.low & -this.low)
    return this.high === 0 ? -1 : 63 - Math.clz32(this.high & -this.high)
  }
}

/** A traffic mirroring rule: what it copies, and to which pool. */
export interface MirrorRule {
  /** Frames received by a pool of the set, all from the wire, all to the wire, of the VLANs of the entries. */
  pool: boolean
  uplink: boolean
  downlink: boolean
  vlan: boolean
  readonly pools: PoolSet
  /** VLAN filter entries, as bits by number. */
  readonly entries: PoolSet
  target: number
}

export const MIRROR_RULES = 4

export class FilterTables {
  /** Exact MAC addresses as in `formats/mac-address.ts`, with the pools they belong to. */
  readonly macLow: Uint32Array
  readonly macHigh: Uint16Array
  readonly macPoolsLow: Int32Array
  readonly macPoolsHigh: Int32Array
  macs = 0
  /** VLANs with the pools that are members, and which filter entry it is. */
  readonly vlan: Uint16Array
  readonly vlanPoolsLow: Int32Array
  readonly vlanPoolsHigh: Int32Array
  readonly vlanEntry: Uint8Array
  vlans = 0
  /** One bit per VLAN; frames of others are dropped before pools are chosen, if `vlanFilter`. */
  vlanTable: Uint32Array = NOTHING
  /** One bit per hash value, for group addresses and for single ones; empty while not in use. */
  multicastTable: Uint32Array = NOTHING
  unicastTable: Uint32Array = NOTHING
  /** Bits to shift bytes 4 and 5 of an address to the right for its hash. */
  hashShift = 4
  vlanFilter = false
  /** Without pools: what is accepted besides exact matches and hashes. */
  acceptBroadcast = false
  unicastPromiscuous = false
  multicastPromiscuous = false
  /** Whether frames are sorted into pools. */
  pooling = false
  /** Whether group frames are copied to all pools that want them. */
  replication = false
  /** Whether exact matches count when pools are chosen: else VLANs alone decide. */
  matchMac = true
  /** Pool for single addresses that nobody claims; -1 for none. */
  defaultPool = -1
  /** Pool that switches by software: it gets every frame, whoever wants it; -1 for none. */
  manager = -1
  /** Of all pools: which accept broadcast, group and single addresses by hash, all group addresses, untagged frames. */
  readonly broadcast = new PoolSet()
  readonly multicastHash = new PoolSet()
  readonly unicastHash = new PoolSet()
  readonly multicastAll = new PoolSet()
  readonly untagged = new PoolSet()
  /** Which receive at all. */
  readonly enabled = new PoolSet()
  readonly mirrors: readonly MirrorRule[] = Array.from({ length: MIRROR_RULES }, () => ({
    pool: false,
    uplink: false,
    downlink: false,
    vlan: false,
    pools: new PoolSet(),
    entries: new PoolSet(),
    target: 0,
  }))
  mirroring = false

  constructor(macs: number, vlans: number) {
    this.macLow = new Uint32Array(macs)
    this.macHigh = new Uint16Array(macs)
    this.macPoolsLow = new Int32Array(macs)
    this.macPoolsHigh = new Int32Array(macs)
    this.vlan = new Uint16Array(vlans)
    this.vlanPoolsLow = new Int32Array(vlans)
    this.vlanPoolsHigh = new Int32Array(vlans)
    this.vlanEntry = new Uint8Array(vlans)
  }

  addMac(low: number, high: number, poolsLow: number, poolsHigh: number): void {
    const at = this.macs++
    this.macLow[at] = low
    this.macHigh[at] = high
    this.macPoolsLow[at] = poolsLow
    this.macPoolsHigh[at] = poolsHigh
  }

  addVlan(entry: number, vlan: number, poolsLow: number, poolsHigh: number): void {
    const at = this.vlans++
    this.vlan[at] = vlan
    this.vlanPoolsLow[at] = poolsLow
    this.vlanPoolsHigh[at] = poolsHigh
    this.vlanEntry[at] = entry
  }

  /** Bit of a hash table that an address is sorted to, by its last two bytes. */
  hashOf(high: number): number {
    return (high >>> this.hashShift) & 0xfff
  }
}

export const hashHit = (table: Uint32Array, hash: number): boolean =>
  ((table[hash >>> 5] ?? 0) & (1 << (hash & 31))) !== 0

const NOTHING = new Uint32Array(0)
