/**
 * What a processor remembers of APIC virtualization between two operations of a guest: whether a pending virtual
 * interrupt has been recognized, and a VM exit that its last operation caused like a trap. RVI and SVI are no part of
 * it: they are the guest interrupt status.
 */
import type { Saved } from '../core/index.ts'

const RECOGNIZED = 0
const TRAP = 1
const QUALIFICATION = 2

export class VirtualApicState {
  readonly #words = new Uint32Array(3)

  /** "Evaluation of Pending Virtual Interrupts" found one that may be delivered. */
  get recognized(): boolean {
    return this.#words[RECOGNIZED] !== 0
  }

  set recognized(value: boolean) {
    this.#words[RECOGNIZED] = value ? 1 : 0
  }

  /** Basic exit reason of the trap-like exit that comes before the next operation; 0 if none does. */
  get trap(): number {
    return this.#words[TRAP]!
  }

  get trapQualification(): number {
    return this.#words[QUALIFICATION]!
  }

  setTrap(reason: number, qualification: number): void {
    this.#words[TRAP] = reason
    this.#words[QUALIFICATION] = qualification
  }

  reset(): void {
    this.#words.fill(0)
  }

  save(): Saved {
    return { version: 1, words: this.#words.slice() }
  }

  load(saved: Saved): void {
    this.#words.set((saved as { words: Uint32Array }).words)
  }
}
