/** "VLAN Pool Filter" and "VLAN Filter Table": which pools hear a VLAN. */
import type { Saved } from '../../../core/index.ts'
import { RCTL, VFTA, VLVF } from '../../../devices/formats/nic/i82576-registers.ts'
import { inField } from '../../../devices/formats/nic/register.ts'
import type { IgbRegisters } from './registers.ts'

export class VlanFilters {
  readonly #registers: IgbRegisters
  /** By entry of VLVF: the VLAN, 0 if it is free, and the pools that hear it. */
  readonly #vlan = new Uint16Array(VLVF.count)
  readonly #pools = new Uint8Array(VLVF.count)

  constructor(registers: IgbRegisters) {
    this.#registers = registers
  }

  /** VLANs that a pool hears. */
  of(pool: number): number[] {
    return [...this.#vlan]
      .filter((vlan, i) => vlan !== 0 && (this.#pools[i]! >>> pool) & 1)
      .sort((a, b) => a - b)
  }

  /** False if every entry is in use by other VLANs. */
  add(vlan: number, pool: number): boolean {
    const used = this.#vlan.indexOf(vlan)
    const entry = used >= 0 ? used : this.#vlan.indexOf(0)
    if (entry < 0) return false
    this.#vlan[entry] = vlan
    this.#pools[entry]! |= 1 << pool
    this.#write(entry)
    return true
  }

  remove(vlan: number, pool: number): void {
    const entry = vlan === 0 ? -1 : this.#vlan.indexOf(vlan)
    if (entry < 0) return
    this.#pools[entry]! &= ~(1 << pool)
    if (this.#pools[entry] === 0) this.#forget(entry)
    this.#write(entry)
  }

  removePool(pool: number): void {
    for (const vlan of this.of(pool)) this.remove(vlan, pool)
  }

  /** Forgets everything, after a reset of the port has. */
  clear(): void {
    this.#vlan.fill(0)
    this.#pools.fill(0)
  }

  #forget(entry: number): void {
    const vlan = this.#vlan[entry]!
    this.#registers.clear(VFTA, 1 << (vlan & 31), vlan >>> 5)
    this.#vlan[entry] = 0
  }

  #write(entry: number): void {
    const registers = this.#registers
    const vlan = this.#vlan[entry]!
    const { VLAN_ID, POOLSEL, VI_EN } = VLVF.bits
    const value = vlan === 0 ? 0 : VI_EN | inField(POOLSEL, this.#pools[entry]!) | inField(VLAN_ID, vlan)
    registers.write(VLVF, value, entry)
    if (vlan !== 0) registers.set(VFTA, 1 << (vlan & 31), vlan >>> 5)
    // Without any VLAN to tell apart, every tag is welcome: the switch above sorts them.
    if (this.#vlan.some(used => used !== 0)) registers.set(RCTL, RCTL.bits.VFE)
    else registers.clear(RCTL, RCTL.bits.VFE)
  }

  save(): Saved {
    return { vlan: this.#vlan.slice(), pools: this.#pools.slice() }
  }
}
