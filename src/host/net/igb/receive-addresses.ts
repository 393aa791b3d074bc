/** "Receive Address": exact addresses and the pools that hear them. Entry 0 is the host's own. */
import type { Saved } from '../../../core/index.ts'
import { setReceiveAddress } from './probe.ts'
import type { IgbRegisters } from './registers.ts'

const ENTRIES = 24

export class ReceiveAddresses {
  readonly #registers: IgbRegisters
  readonly #taken: ({ readonly pool: number; readonly mac: Uint8Array } | undefined)[] = []

  constructor(registers: IgbRegisters) {
    this.#registers = registers
  }

  /** From the last entry down, as Linux's igb does for virtual functions; -1 if none is free. */
  get free(): number {
    for (let entry = ENTRIES - 1; entry > 0; entry--) if (this.#taken[entry] === undefined) return entry
    return -1
  }

  setOwn(mac: Uint8Array, pool: number): void {
    setReceiveAddress(this.#registers, 0, mac, 1 << pool)
  }

  /** False if there is no entry left. */
  add(pool: number, mac: Uint8Array): boolean {
    const entry = this.free
    if (entry < 0) return false
    this.#taken[entry] = { pool, mac }
    setReceiveAddress(this.#registers, entry, mac, 1 << pool)
    return true
  }

  removePool(pool: number): void {
    for (const [entry, taken] of this.#taken.entries()) {
      if (taken?.pool !== pool) continue
      this.#taken[entry] = undefined
      setReceiveAddress(this.#registers, entry, undefined, 0)
    }
  }

  /** Forgets everything, after a reset of the port has. */
  clear(): void {
    this.#taken.length = 0
  }

  save(): Saved {
    return [...this.#taken].map(one => (one === undefined ? null : { pool: one.pool, mac: one.mac }))
  }
}
