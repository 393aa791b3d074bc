/** An interrupt as it travels on the system interconnect, after any remapping, to the local APICs. */
import type { DeliveryMode } from './formats/message.ts'

/** One message. A reused record: a receiver copies what it keeps. */
export class InterruptMessage {
  /** 8-bit xAPIC or 32-bit x2APIC destination, unsigned. */
  destination = 0
  /** Destination mode: false physical, true logical. */
  logical = false
  redirectionHint = false
  deliveryMode: DeliveryMode = 0
  vector = 0
  levelTriggered = false
  /** Whether the destination is to be read as a 32-bit x2APIC identifier (EIME), else as 8 bits. */
  extended = false

  copyFrom(other: InterruptMessage): void {
    this.destination = other.destination
    this.logical = other.logical
    this.redirectionHint = other.redirectionHint
    this.deliveryMode = other.deliveryMode
    this.vector = other.vector
    this.levelTriggered = other.levelTriggered
    this.extended = other.extended
  }
}

/** Where interrupt messages go: the local APICs of a platform. */
export interface InterruptSink {
  /** Delivers a message. Returns the number of the logical processor that accepted it, or -1 if none did. */
  deliver(message: InterruptMessage): number
}

/**
 * "Message Address Register Format", "Message Data Register Format": an interrupt request in compatibility format, as
 * it arrives where it is not remapped. Address bits 31:20 have been seen to be 0xFEE by whoever routed it here.
 */
export function decodeCompatibility(addressLow: number, data: number, message: InterruptMessage): void {
  message.destination = (addressLow >>> 12) & 0xff
  message.redirectionHint = (addressLow & 8) !== 0
  message.logical = (addressLow & 4) !== 0
  message.deliveryMode = (data >>> 8) & 7
  message.vector = data & 0xff
  message.levelTriggered = (data & 0x8000) !== 0
  message.extended = false
}
