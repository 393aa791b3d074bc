/** What a local APIC sees of the interconnect on which it sends, and what that sees of it. */
import type { InterruptMessage } from './message.ts'

/** A local APIC in so far as it sends. */
export interface MessageSender {
  readonly x2apic: boolean
  /** Takes a message meant for this local APIC. False if it is not accepted. */
  accept(message: InterruptMessage): boolean
  /** Records errors, bits of ESR. */
  error(errors: number): void
}

/** Where interprocessor interrupts and EOI messages go. */
export interface InterprocessorBus {
  deliver(message: InterruptMessage): number
  deliverExcept(message: InterruptMessage, excluded: MessageSender | undefined): number
  endOfInterrupt(vector: number): void
}
