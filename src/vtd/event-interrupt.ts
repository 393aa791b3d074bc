/**
 * "Fault Event", "Invalidation Completion Event": the four registers by which a unit interrupts software about itself.
 * Such messages are not subject to interrupt remapping.
 */
import type { Register, RegisterFile } from '../core/index.ts'
import { InterruptMessage, type InterruptSink } from '../interrupts/index.ts'
import { FEADDR, FECTL, FEDATA } from './formats/registers.ts'

const IP = FECTL.f.IP.mask
const IM = FECTL.f.IM.mask

/** Words of the data, address and upper address registers behind the control register. */
const DATA = FEDATA.at - FECTL.at
const ADDRESS = FEADDR.at - FECTL.at
const UPPER_ADDRESS = ADDRESS + 1

export class EventInterrupt {
  readonly #words: Uint32Array
  readonly #control: number
  readonly #sink: InterruptSink
  readonly #extended: () => boolean
  readonly #message = new InterruptMessage()

  /** @param extended whether destinations are 32 bits wide (extended interrupt mode enabled). */
  constructor(file: RegisterFile, control: Register, sink: InterruptSink, extended: () => boolean) {
    this.#words = file.words
    this.#control = control.at
    this.#sink = sink
    this.#extended = extended
  }

  /** An interrupt condition arose: sends the message, or keeps it pending while masked. */
  raise(): void {
    this.#words[this.#control]! |= IP
    this.release()
  }

  /** After a write to the control register: unmasking sends what is pending. */
  release(): void {
    const words = this.#words
    const control = words[this.#control]!
    if ((control & IP) === 0 || (control & IM) !== 0) return
    words[this.#control]! &= ~IP
    const data = words[this.#control + DATA]!
    const address = words[this.#control + ADDRESS]!
    const message = this.#message
    message.extended = this.#extended()
    message.destination = (address >>> 12) & 0xff
    if (message.extended) {
      message.destination += (words[this.#control + UPPER_ADDRESS]! & 0xffff_ff00) >>> 0
    }
    message.logical = (address & 4) !== 0
    message.redirectionHint = (address & 8) !== 0
    message.deliveryMode = (data >>> 8) & 7
    message.vector = data & 0xff
    message.levelTriggered = false
    this.#sink.deliver(message)
  }

  /** Software has serviced every condition: nothing is pending any more. */
  withdraw(): void {
    this.#words[this.#control]! &= ~IP
  }
}
