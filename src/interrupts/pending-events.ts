/** Messages that bypass IRR and wait for the processor: NMI, SMI, INIT, start-up, ExtINT. */
import type { Saved } from '../core/index.ts'
import { DELIVERY_MODE } from './formats/message.ts'

const KNOWN =
  (1 << DELIVERY_MODE.smi) |
  (1 << DELIVERY_MODE.nmi) |
  (1 << DELIVERY_MODE.init) |
  (1 << DELIVERY_MODE.startUp) |
  (1 << DELIVERY_MODE.extInt)

export class PendingEvents {
  /** Bit d: an event of delivery mode d waits. A second one of the same mode merges with it. */
  #modes = 0
  /** Vector of the start-up message that came last: where the processor begins. */
  startUpVector = 0
  /** What the external controller behind an ExtINT message answers to INTA: the message's own vector. */
  externalVector = 0

  /** False for a reserved delivery mode. */
  accept(mode: number, vector: number): boolean {
    if ((KNOWN & (1 << mode)) === 0) return false
    this.#modes |= 1 << mode
    if (mode === DELIVERY_MODE.startUp) this.startUpVector = vector
    else if (mode === DELIVERY_MODE.extInt) this.externalVector = vector
    return true
  }

  has(mode: number): boolean {
    return (this.#modes & (1 << mode)) !== 0
  }

  get any(): boolean {
    return this.#modes !== 0
  }

  take(mode: number): void {
    this.#modes &= ~(1 << mode)
  }

  clear(): void {
    this.#modes = 0
    this.startUpVector = 0
    this.externalVector = 0
  }

  save(): Saved {
    return {
      version: 1,
      modes: this.#modes,
      startUpVector: this.startUpVector,
      externalVector: this.externalVector,
    }
  }

  load(saved: Saved): void {
    const state = saved as { modes: number; startUpVector: number; externalVector: number }
    this.#modes = state.modes
    this.startUpVector = state.startUpVector
    this.externalVector = state.externalVector
  }
}
