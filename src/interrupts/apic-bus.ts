/**
 * The interconnect on which local APICs hear interrupt messages: selection of the destination, arbitration of lowest
 * priority, and the EOI messages that go back to the I/O APICs.
 */
import { DELIVERY_MODE } from './formats/message.ts'
import type { MessageSender } from './interprocessor-bus.ts'
import type { LocalApic } from './local-apic.ts'
import type { InterruptMessage, InterruptSink } from './message.ts'

/** Who wants to hear that a level-triggered vector was completed. */
export interface EndOfInterruptListener {
  endOfInterrupt(vector: number): void
}

export class ApicBus implements InterruptSink {
  readonly #apics: LocalApic[] = []
  readonly #listeners: EndOfInterruptListener[] = []

  get apics(): readonly LocalApic[] {
    return this.#apics
  }

  add(apic: LocalApic): void {
    this.#apics.push(apic)
  }

  /** Connects an I/O APIC to the EOI messages of the local APICs. */
  addListener(listener: EndOfInterruptListener): void {
    this.#listeners.push(listener)
  }

  /** Delivers to every local APIC that the destination names; returns the first that accepted, or -1. */
  deliver(message: InterruptMessage): number {
    return this.deliverExcept(message, undefined)
  }

  /** The same, leaving one local APIC out. */
  deliverExcept(message: InterruptMessage, excluded: MessageSender | undefined): number {
    if (isArbitrated(message)) return this.#deliverLowest(message, excluded)
    const apics = this.#apics
    let first = -1
    for (let i = 0; i < apics.length; i++) {
      const apic = apics[i]!
      if (apic !== excluded && apic.matches(message) && apic.accept(message) && first < 0)
        first = apic.processor
    }
    return first
  }

  /**
   * "Lowest Priority Delivery Mode": the enabled candidate with the lowest processor priority. Which of equals is
   * chosen is the chipset's choice; here the first by number, so that the same run gives the same trace.
   */
  #deliverLowest(message: InterruptMessage, excluded: MessageSender | undefined): number {
    let chosen: LocalApic | undefined
    for (const apic of this.#apics) {
      if (apic === excluded || !apic.enabled || !apic.matches(message)) continue
      if (chosen === undefined || apic.processorPriority < chosen.processorPriority) chosen = apic
    }
    return chosen?.accept(message) ? chosen.processor : -1
  }

  endOfInterrupt(vector: number): void {
    for (const listener of this.#listeners) listener.endOfInterrupt(vector)
  }
}

/** A redirection hint lets one of a logical destination's processors be chosen, as lowest priority does. */
const isArbitrated = ({ deliveryMode, redirectionHint, logical }: InterruptMessage): boolean =>
  deliveryMode === DELIVERY_MODE.lowestPriority ||
  (redirectionHint && logical && deliveryMode === DELIVERY_MODE.fixed)
