/** "Receive Address": exact addresses and the pools that hear them. Entry 0 is the host's own. */
import type { PooledPort } from './port.ts'

type Taken = { readonly pool: number; readonly mac: Uint8Array }
/** Entries that are taken, ascending. */
export type SavedReceiveAddresses = readonly (Taken & { readonly entry: number })[]

export class ReceiveAddresses {
  readonly #port: PooledPort
  readonly #taken = new Map<number, Taken>()

  constructor(port: PooledPort) {
    this.#port = port
  }

  /** Whether there is an entry for a pool's only address. */
  takes(pool: number): boolean {
    return (
      this.#taken.size < this.#port.addressEntries.length ||
      [...this.#taken.values()].some(one => one.pool === pool)
    )
  }

  setOwn(mac: Uint8Array, pool: number): void {
    this.#port.setReceiveAddress(0, mac, pool)
  }

  /** False if there is no entry left. */
  add(pool: number, mac: Uint8Array): boolean {
    const entry = this.#port.addressEntries.find(one => !this.#taken.has(one))
    if (entry === undefined) return false
    this.#taken.set(entry, { pool, mac: mac.slice() })
    this.#port.setReceiveAddress(entry, mac, pool)
    return true
  }

  removePool(pool: number): void {
    for (const [entry, taken] of this.#taken) {
      if (taken.pool !== pool) continue
      this.#taken.delete(entry)
      this.#port.setReceiveAddress(entry, undefined, 0)
    }
  }

  /** Forgets everything, after a reset of the port has. */
  clear(): void {
    this.#taken.clear()
  }

  save(): SavedReceiveAddresses {
    return [...this.#taken]
      .map(([entry, { pool, mac }]) => ({ entry, pool, mac: mac.slice() }))
      .sort((a, b) => a.entry - b.entry)
  }

  /** The registers say the same already. */
  load(saved: SavedReceiveAddresses): void {
    for (const { entry, pool, mac } of saved) this.#taken.set(entry, { pool, mac: mac.slice() })
  }
}
