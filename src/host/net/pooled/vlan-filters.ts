/**
 * "VLAN Pool Filter" and "VLAN Filter Table": which pools hear a VLAN. Tagged frames are always filtered, as Linux does
 * once there are virtual functions: a pool hears the VLANs that it was made a member of, and no others.
 */
import type { PooledPort } from './port.ts'

const FREE = 0xffff
const ALL = 0xffff_ffff

export type SavedVlanFilters = { readonly vlan: Uint16Array; readonly pools: Uint32Array }

export class VlanFilters {
  readonly #port: PooledPort
  /** By entry: the VLAN, or that it is free; two words with a bit for each pool that hears it. */
  readonly #vlan: Uint16Array
  readonly #pools: Uint32Array
  /** The pool that hears every VLAN that anybody hears, and by being the default pool those of nobody; -1 for none. */
  #curious = -1

  constructor(port: PooledPort) {
    this.#port = port
    this.#vlan = new Uint16Array(port.vlanEntries).fill(FREE)
    this.#pools = new Uint32Array(2 * port.vlanEntries)
  }

  /** VLANs that a pool hears. */
  of(pool: number): number[] {
    return [...this.#vlan]
      .filter((vlan, entry) => vlan !== FREE && (this.#pools[wordOf(entry, pool)]! & bitOf(pool)) !== 0)
      .sort((a, b) => a - b)
  }

  /** Whether there is an entry for a VLAN. */
  takes(vlan: number): boolean {
    return this.#entryFor(vlan) >= 0
  }

  #entryFor(vlan: number): number {
    const used = this.#vlan.indexOf(vlan)
    return used >= 0 ? used : this.#vlan.indexOf(FREE)
  }

  /** False if every entry is in use by other VLANs. */
  add(vlan: number, pool: number): boolean {
    const entry = this.#entryFor(vlan)
    if (entry < 0) return false
    this.#vlan[entry] = vlan
    this.#pools[wordOf(entry, pool)]! |= bitOf(pool)
    this.#write(entry, vlan)
    return true
  }

  remove(vlan: number, pool: number): void {
    const entry = this.#vlan.indexOf(vlan)
    if (entry < 0) return
    this.#pools[wordOf(entry, pool)]! &= ~bitOf(pool)
    if ((this.#pools[2 * entry]! | this.#pools[2 * entry + 1]!) === 0) this.#vlan[entry] = FREE
    this.#write(entry, vlan)
  }

  removePool(pool: number): void {
    for (const vlan of this.of(pool)) this.remove(vlan, pool)
  }

  /** Forgets everything, after a reset of the port has. */
  clear(): void {
    this.#vlan.fill(FREE)
    this.#pools.fill(0)
    this.#curious = -1
  }

  /** Every VLAN passes for one pool's sake; -1: no more. */
  setCurious(pool: number): void {
    if (pool === this.#curious) return
    this.#curious = pool
    for (const [entry, vlan] of this.#vlan.entries()) if (vlan !== FREE) this.#writeEntry(entry, vlan)
    this.#writeTable()
  }

  #write(entry: number, vlan: number): void {
    this.#writeEntry(entry, vlan)
    if (this.#curious < 0) this.#writeTable(vlan >>> 5, vlan >>> 5)
  }

  #writeEntry(entry: number, vlan: number): void {
    const pools = [this.#pools[2 * entry]!, this.#pools[2 * entry + 1]!] as [number, number]
    if (this.#curious >= 0 && this.#vlan[entry] !== FREE) pools[this.#curious >>> 5]! |= bitOf(this.#curious)
    this.#port.setVlan(entry, vlan, pools[0], pools[1])
  }

  #writeTable(first = 0, last = this.#port.vlanTable.count - 1): void {
    const { registers, vlanTable } = this.#port
    for (let word = first; word <= last; word++) {
      let bits = this.#curious < 0 ? 0 : ALL
      for (const vlan of this.#vlan) if (vlan >>> 5 === word) bits |= 1 << (vlan & 31)
      registers.write(vlanTable, bits, word)
    }
  }

  save(): SavedVlanFilters {
    return { vlan: this.#vlan.slice(), pools: this.#pools.slice() }
  }

  /** The registers say the same already. */
  load({ vlan, pools }: SavedVlanFilters, curious: number): void {
    this.#vlan.set(vlan)
    this.#pools.set(pools)
    this.#curious = curious
  }
}

/** Which word has a pool's bit, and which bit it is. */
const wordOf = (entry: number, pool: number): number => 2 * entry + (pool >>> 5)
const bitOf = (pool: number): number => 1 << (pool & 31)
