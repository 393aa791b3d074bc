/**
 * The mailbox between physical and virtual functions: who holds the shared buffer, and who has been told what. Both chips
 * have it, at different places ("PF to VF Mailbox", "VF to PF Mailbox").
 */
import type { Saved } from '../../../core/index.ts'

/** Bits of the virtual function's register. The physical function's has STS and ACK at 1:0, then the same. */
export const MAILBOX = {
  REQ: 1 << 0,
  ACK: 1 << 1,
  VFU: 1 << 2,
  PFU: 1 << 3,
  PFSTS: 1 << 4,
  PFACK: 1 << 5,
  RSTI: 1 << 6,
  RSTD: 1 << 7,
} as const
/** "Reset VFU" of the physical function's register. */
const RVFU = 1 << 4
const READ_CLEAR = MAILBOX.PFSTS | MAILBOX.PFACK | MAILBOX.RSTD

export interface MailboxEvents {
  /** The virtual function asks the physical one to look, or has taken its message. */
  requested(virtualFunction: number): void
  acknowledged(virtualFunction: number): void
  /** The physical function gave the buffer back to itself: what the virtual one asked for is forgotten. */
  withdrawn(virtualFunction: number): void
  /** The virtual function has a reason for an interrupt. */
  notified(virtualFunction: number): void
}

export class Mailbox {
  readonly #state: Uint8Array
  readonly #events: MailboxEvents

  constructor(virtualFunctions: number, events: MailboxEvents) {
    this.#state = new Uint8Array(virtualFunctions)
    this.#events = events
  }

  /** The virtual function reads its register: status bits of the physical one are told once. */
  readVirtual(vf: number): number {
    const value = this.#state[vf]!
    this.#state[vf] = value & ~READ_CLEAR
    return value
  }

  writeVirtual(vf: number, value: number): void {
    this.#own(vf, value, MAILBOX.VFU, MAILBOX.PFU)
    if (value & MAILBOX.REQ) this.#events.requested(vf)
    if (value & MAILBOX.ACK) this.#events.acknowledged(vf)
  }

  readPhysical(vf: number): number {
    return this.#state[vf]! & (MAILBOX.VFU | MAILBOX.PFU)
  }

  writePhysical(vf: number, value: number): void {
    if (value & RVFU) {
      this.#state[vf]! &= ~MAILBOX.VFU
      this.#events.withdrawn(vf)
    }
    this.#own(vf, value, MAILBOX.PFU, MAILBOX.VFU)
    if (value & MAILBOX.REQ) this.#notify(vf, MAILBOX.PFSTS)
    if (value & MAILBOX.ACK) this.#notify(vf, MAILBOX.PFACK)
  }

  /** Ownership is given only while the other side has none. */
  #own(vf: number, value: number, mine: number, others: number): void {
    if (!(value & mine)) this.#state[vf]! &= ~mine
    else if (!(this.#state[vf]! & others)) this.#state[vf]! |= mine
  }

  #notify(vf: number, bit: number): void {
    this.#state[vf]! |= bit
    this.#events.notified(vf)
  }

  /** The physical function's port is in reset: every virtual function sees it until {@link resetDone}. */
  resetBegun(): void {
    this.#state.fill(MAILBOX.RSTI)
  }

  /** "PF Reset Done". */
  resetDone(): void {
    for (let vf = 0; vf < this.#state.length; vf++) {
      this.#state[vf] = (this.#state[vf]! & ~MAILBOX.RSTI) | MAILBOX.RSTD
    }
  }

  /** A virtual function was reset alone: its side of the mailbox is free again. */
  resetVirtual(vf: number, physicalReady: boolean): void {
    this.#state[vf] = physicalReady ? MAILBOX.RSTD : MAILBOX.RSTI
  }

  save(): Saved {
    return this.#state.slice()
  }

  load(saved: Saved): void {
    this.#state.set(saved as Uint8Array)
  }
}
