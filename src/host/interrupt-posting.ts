/**
 * The host's part in interrupt posting: the vectors that every processor keeps for it, and the interprocessor
 * interrupts that the hypervisor needs. Linux has the same two vectors for KVM.
 */
import type { HostInterrupts } from './interrupts.ts'

/** A posted interrupt waits for a virtual processor that runs. Usually ends in the processor, seen by nobody. */
const NOTIFICATION_VECTOR = 0xf2
/** One waits for a virtual processor that is blocked. */
const WAKEUP_VECTOR = 0xf1
/** Ends a guest's turn on a processor. */
const RESCHEDULE_VECTOR = 0xfd

export class InterruptPosting {
  readonly notificationVector = NOTIFICATION_VECTOR
  readonly wakeupVector = WAKEUP_VECTOR
  readonly #interrupts: HostInterrupts
  #wake: (processor: number) => void = () => undefined

  constructor(interrupts: HostInterrupts) {
    this.#interrupts = interrupts
    // Meant for the processor itself; it reaches software only where no guest runs, and then nothing is to be done:
    // what was posted is looked for before the next VM entry.
    interrupts.reserve(NOTIFICATION_VECTOR, 'posted-interrupt notification', () => undefined)
    interrupts.reserve(WAKEUP_VECTOR, 'posted-interrupt wakeup', processor => this.#wake(processor))
    interrupts.reserve(RESCHEDULE_VECTOR, 'reschedule', () => undefined)
  }

  /** Whether destinations are 32-bit x2APIC identifiers: how NDST of a descriptor is to be written. */
  get extended(): boolean {
    return this.#interrupts.x2apic
  }

  apicId(processor: number): number {
    return this.#interrupts.apicId(processor)
  }

  /** `handler` runs when the wakeup vector arrives at a processor. */
  onWakeup(handler: (processor: number) => void): void {
    this.#wake = handler
  }

  /** Ends the guest's turn on a processor, by a message from another one, which must be in root operation. */
  reschedule(from: number, to: number): void {
    this.#interrupts.send(from, to, RESCHEDULE_VECTOR)
  }
}
