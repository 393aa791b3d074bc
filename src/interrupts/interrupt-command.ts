/** "Issuing Interprocessor Interrupts": from a write of the ICR to the message it sends. */
import { BROADCAST_8, BROADCAST_32 } from './destination.ts'
import { ESR, ICR, ICR_SHORTHAND } from './formats/local-apic.ts'
import { DELIVERY_MODE } from './formats/message.ts'
import type { InterprocessorBus, MessageSender } from './interprocessor-bus.ts'
import { InterruptMessage } from './message.ts'

const LOWEST_LEGAL_VECTOR = 16
/** 011B is reserved, and ExtINT is not for processors to send. */
const SENDABLE =
  (1 << DELIVERY_MODE.fixed) |
  (1 << DELIVERY_MODE.lowestPriority) |
  (1 << DELIVERY_MODE.smi) |
  (1 << DELIVERY_MODE.nmi) |
  (1 << DELIVERY_MODE.init) |
  (1 << DELIVERY_MODE.startUp)

export class InterruptCommand {
  readonly #apic: MessageSender
  readonly #bus: InterprocessorBus
  /** Reused per command. */
  readonly #message = new InterruptMessage()

  constructor(apic: MessageSender, bus: InterprocessorBus) {
    this.#apic = apic
    this.#bus = bus
  }

  /** The SELF IPI register: a fixed interrupt to the sender. */
  self(vector: number): void {
    this.send((ICR_SHORTHAND.self << 18) | vector, 0)
  }

  /** `command` is the low dword of the ICR; `destination` has 8 bits in xAPIC mode, 32 in x2APIC mode. */
  send(command: number, destination: number): void {
    const message = this.#message
    const apic = this.#apic
    message.vector = command & 0xff
    message.deliveryMode = (command >>> 8) & 7
    message.logical = (command & ICR.logical) !== 0
    message.redirectionHint = false
    // The trigger mode is used for INIT level de-assert only.
    message.levelTriggered = false
    message.extended = apic.x2apic
    message.destination = destination
    if ((SENDABLE & (1 << message.deliveryMode)) === 0) return
    if (
      message.deliveryMode === DELIVERY_MODE.init &&
      (command & ICR.level) !== 0 &&
      (command & ICR.assert) === 0
    ) {
      return // INIT level de-assert only synchronizes arbitration identifiers, which no longer exist.
    }
    const vectored =
      message.deliveryMode === DELIVERY_MODE.fixed || message.deliveryMode === DELIVERY_MODE.lowestPriority
    if (vectored && message.vector < LOWEST_LEGAL_VECTOR) {
      apic.error(ESR.sendIllegalVector)
      return
    }
    const shorthand = (command >>> 18) & 3
    if (shorthand === ICR_SHORTHAND.none) this.#bus.deliver(message)
    else if (shorthand === ICR_SHORTHAND.self) apic.accept(message)
    else {
      message.destination = message.extended ? BROADCAST_32 : BROADCAST_8
      message.logical = false
      this.#bus.deliverExcept(message, shorthand === ICR_SHORTHAND.allExcludingSelf ? apic : undefined)
    }
  }
}
