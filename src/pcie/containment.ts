/** "Downstream Port Containment": a port takes its link down when an error comes from below, until software releases it. */
import { get, set } from '../core/index.ts'
import { DPC_REASON } from './containment-reasons.ts'
import { ERROR_MESSAGE, sendErrorMessage } from './error-messages.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY, EXTENDED_CAPABILITY } from './formats/capability-ids.ts'
import { DPC } from './formats/extended-capabilities.ts'
import type { FunctionNode } from './parts.ts'

const { TRIGGER, COMPLETION, INTERRUPT_ENABLE, ERR_COR, SOFTWARE, SOFTWARE_CAPABLE, MESSAGE } =
  DPC.CAPABILITY_CONTROL.f
const { TRIGGERED, REASON, INTERRUPT, EXTENSION, SOURCE } = DPC.STATUS.f

/** "DPC Trigger Enable". */
const ENABLED = { never: 0, fatal: 1, nonFatal: 2 } as const
/** "DPC Trigger Reason Extension". */
const BY_SOFTWARE = 1

export class Containment {
  readonly #port: FunctionNode
  readonly #words: Uint32Array
  readonly #at: number

  private constructor(port: FunctionNode, offset: number) {
    this.#port = port
    this.#words = port.words
    this.#at = offset >>> 2
  }

  /** That of a port which has the capability. */
  static of(port: FunctionNode): Containment | undefined {
    const offset = port.layout.findExtended(EXTENDED_CAPABILITY.DPC)
    return offset === 0 ? undefined : new Containment(port, offset)
  }

  get #control(): number {
    return this.#at + DPC.CAPABILITY_CONTROL.at
  }

  get #status(): number {
    return this.#at + DPC.STATUS.at
  }

  get active(): boolean {
    return (this.#words[this.#status]! & TRIGGERED.mask) !== 0
  }

  /** Whether requests from above are refused as unsupported; else as aborted. */
  get refusesAsUnsupported(): boolean {
    return (this.#words[this.#control]! & COMPLETION.mask) !== 0
  }

  /** Contains an error. False if this kind is not to be contained, or one already is. */
  trigger(reason: number, sourceId: number, fatal: boolean): boolean {
    const enabled = get(TRIGGER, this.#words, this.#control)
    if (this.active || enabled === ENABLED.never || (enabled === ENABLED.fatal && !fatal)) return false
    this.#take(reason, reason === DPC_REASON.unmaskedError ? 0 : sourceId, 0)
    return true
  }

  #take(reason: number, sourceId: number, extension: number): void {
    const words = this.#words
    const control = words[this.#control]!
    set(REASON, words, reason, this.#status)
    set(EXTENSION, words, extension, this.#status)
    set(SOURCE, words, sourceId, this.#status)
    words[this.#status]! |= TRIGGERED.mask
    if (control & INTERRUPT_ENABLE.mask) {
      words[this.#status]! |= INTERRUPT.mask
      this.#port.bus.host.messages.signal(this.#port, get(MESSAGE, words, this.#control))
    }
    const express = this.#port.layout.find(CAPABILITY.EXPRESS)
    const { CERE } = EXPRESS.DEVICE_CONTROL.f
    const device = words[(express + EXPRESS.DEVICE_CONTROL.offset) >>> 2]!
    if (control & ERR_COR.mask && device & CERE.mask) sendErrorMessage(this.#port, ERROR_MESSAGE.correctable)
  }

  /** After a write to its control register: "DPC Software Trigger" reads 0. */
  written(): void {
    const control = this.#words[this.#control]!
    if (!(control & SOFTWARE.mask)) return
    this.#words[this.#control] = control & ~SOFTWARE.mask
    const enabled = get(TRIGGER, this.#words, this.#control) !== ENABLED.never
    if (control & SOFTWARE_CAPABLE.mask && enabled && !this.active) {
      this.#take(DPC_REASON.extended, 0, BY_SOFTWARE)
    }
  }
}
