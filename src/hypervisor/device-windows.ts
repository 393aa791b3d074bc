/** Guest-physical ranges in use by base address registers: inside the windows of the board, none over another. */
import { DEVICE_WINDOW_32, DEVICE_WINDOW_64 } from './formats/virtual-board.ts'

export type SavedWindows = readonly (readonly [base: number, size: number])[]

export class DeviceWindows {
  #claims: readonly { readonly base: number; readonly size: number }[] = []

  /** False, with nothing claimed, outside the windows and over another range. */
  claim(base: number, size: number): boolean {
    const inWindow = [DEVICE_WINDOW_32, DEVICE_WINDOW_64].some(
      window => base >= window.base && base + size <= window.base + window.size,
    )
    const inUse = this.#claims.some(other => base < other.base + other.size && other.base < base + size)
    if (!inWindow || inUse) return false
    this.#claims = [...this.#claims, { base, size }]
    return true
  }

  release(base: number): void {
    this.#claims = this.#claims.filter(claim => claim.base !== base)
  }

  save(): SavedWindows {
    return this.#claims.map(({ base, size }) => [base, size] as const)
  }

  load(saved: SavedWindows): void {
    this.#claims = saved.map(([base, size]) => ({ base, size }))
  }
}
