/**
 * "Interrupt Posting": an interrupt for a virtual processor is entered into its descriptor in memory, and its physical
 * processor is notified unless it has been already, or wishes not to be.
 */
import { get } from '../core/index.ts'
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import type { InterruptMessage } from '../interrupts/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { FAULT } from './formats/fault-codes.ts'
import {
  POSTED_INTERRUPT_DESCRIPTOR,
  POSTED_INTERRUPT_DESCRIPTOR_WORDS,
  POSTED_IRTE,
} from './formats/posted-interrupts.ts'

const { ON, SN, NV, NDST } = POSTED_INTERRUPT_DESCRIPTOR
const STATUS_WORD = ON.word
const DESTINATION_WORD = NDST.word
const STATUS_RESERVED = ~(ON.mask | SN.mask | NV.mask)
const XAPIC_DESTINATION = 0xff00

export class PostedInterrupts {
  readonly #memory: PhysicalMemory
  /** Whether the last interrupt posted was to be announced. */
  notify = false
  /** Whether SN alone kept it from being announced. */
  suppressed = false

  constructor(memory: PhysicalMemory) {
    this.#memory = memory
  }

  /** Whether the descriptor of an entry can be posted to: 0 or a reason code. `at` is the entry's first word. */
  check(entry: Uint32Array, at: number, extended: boolean): number {
    const words = this.descriptorPage(entry, at)
    if (words === undefined) return FAULT.postedDescriptorAccess
    const base = (entry[at + 1]! & 0xfc0) >>> 2
    let reserved = words[base + STATUS_WORD]! & STATUS_RESERVED
    if (!extended) reserved |= words[base + DESTINATION_WORD]! & ~XAPIC_DESTINATION
    for (let word = DESTINATION_WORD + 1; word < POSTED_INTERRUPT_DESCRIPTOR_WORDS; word++) {
      reserved |= words[base + word]!
    }
    return reserved === 0 ? 0 : FAULT.postedDescriptorReserved
  }

  /**
   * Posts, in one atomic update of the descriptor. Sets `notify`, and with it fills the notification. Returns 0 or a
   * reason code; with one, nothing has changed.
   */
  post(entry: Uint32Array, at: number, extended: boolean, message: InterruptMessage): number {
    this.notify = false
    this.suppressed = false
    const reason = this.check(entry, at, extended)
    if (reason !== 0) return reason
    const words = this.#memory.pageForWrite(frameOf(entry, at))!.words
    const base = (entry[at + 1]! & 0xfc0) >>> 2
    const vector = get(POSTED_IRTE.V, entry, at)
    words[base + (vector >>> 5)]! |= 1 << (vector & 31)
    const status = words[base + STATUS_WORD]!
    const urgent = (entry[at]! & POSTED_IRTE.URG.mask) !== 0
    if ((status & ON.mask) !== 0) return 0
    this.suppressed = !urgent && (status & SN.mask) !== 0
    if (this.suppressed) return 0
    words[base + STATUS_WORD] = status | ON.mask
    this.notify = true
    const destination = words[base + DESTINATION_WORD]!
    message.extended = extended
    message.destination = extended ? destination : (destination >>> 8) & 0xff
    message.logical = false
    message.redirectionHint = false
    message.levelTriggered = false
    message.deliveryMode = DELIVERY_MODE.fixed
    message.vector = (status & NV.mask) >>> NV.shift
    return 0
  }

  /** The words of the page that holds an entry's descriptor; undefined if there is no memory. */
  descriptorPage(entry: Uint32Array, at: number): Uint32Array | undefined {
    return this.#memory.page(frameOf(entry, at))?.words
  }
}

const frameOf = (entry: Uint32Array, at: number): number =>
  entry[at + 3]! * 0x10_0000 + (entry[at + 1]! >>> 12)
