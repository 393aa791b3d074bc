/**
 * A root port or downstream port as the near end of a link: whether the link is up, and what software and the outside
 * world do to it. While it is down nothing below answers or sends, and what is below has been reset.
 */
import { get, type Saved } from '../core/index.ts'
import { Containment } from './containment.ts'
import { rootErrorsWritten } from './error-messages.ts'
import { reportUncorrectable, UNCORRECTABLE } from './error-reporting.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import { type LinkLimit, showLink, train, UNLIMITED } from './link.ts'
import type { FunctionNode, PortNode } from './parts.ts'
import { STATUS, type Status } from './request.ts'
import { SLOT_EVENT, Slot } from './slot.ts'

const { LINK_CAPABILITIES, LINK_CONTROL } = EXPRESS

/** The function that a port is. */
export interface PortFunction extends FunctionNode {
  /** After the link went up or down. */
  linkChanged(): void
  /** Resets everything behind it. */
  resetSecondary(kind: 'hot' | 'fundamental'): void
}

export class Port implements PortNode {
  readonly slot: Slot | undefined
  readonly #containment: Containment | undefined
  readonly #function: PortFunction
  /** Offset of the PCI Express capability, 0 without. */
  readonly #express: number
  /** Stimulus: the link is broken, or its wires are bad. */
  #severed = false
  #limit: LinkLimit = UNLIMITED
  #up = false
  #inserting = false

  constructor(fn: PortFunction) {
    this.#function = fn
    this.#express = fn.layout.find(CAPABILITY.EXPRESS)
    this.slot = Slot.of(fn)
    this.#containment = Containment.of(fn)
  }

  /** That of a root port or downstream port; nothing else has one. */
  static of(fn: PortFunction): Port | undefined {
    return fn.kind === 'rootPort' || fn.kind === 'downstreamPort' ? new Port(fn) : undefined
  }

  get linkUp(): boolean {
    return this.#up
  }

  get refusal(): Status {
    const { active, refusesAsUnsupported } = this.#containment ?? NOT_CONTAINED
    return active && !refusesAsUnsupported ? STATUS.completerAbort : STATUS.unsupportedRequest
  }

  get occupied(): boolean {
    return this.#function.secondary!.functions.length > 0
  }

  contain(reason: number, sourceId: number, fatal: boolean): boolean {
    if (this.#containment?.trigger(reason, sourceId, fatal) !== true) return false
    this.#update('hot')
    return true
  }

  /** After a reset of the port, and when the machine is built: nothing is told to software. */
  settle(): void {
    this.slot?.reset(this.occupied)
    this.#up = this.#mayBeUp()
    showLink(this.#function, this.#up, false)
    this.retrain()
    this.#function.linkChanged()
  }

  /** A function was built below: the link comes up with the first one. */
  plugged(fn: FunctionNode): void {
    if (this.#inserting) return
    if (this.#up) train(this.#function, [fn], this.#limit)
    else this.settle()
  }

  /** Trains the link anew if it is up: after a reset of the far end, or a change of what the wires allow. */
  retrain(): void {
    if (this.#up) train(this.#function, this.#function.secondary!.functions, this.#limit)
  }

  #mayBeUp(): boolean {
    const control = this.#function.words[(this.#express + LINK_CONTROL.offset) >>> 2]!
    const disabled = this.#express > 0 && (control & LINK_CONTROL.f.LINK_DISABLE.mask) !== 0
    const contained = this.#containment?.active === true
    return this.occupied && !this.#severed && !disabled && !contained && (this.slot?.powered ?? true)
  }

  /** Takes the link up or down as conditions say now. */
  #update(reset: 'hot' | 'fundamental'): void {
    const up = this.#mayBeUp()
    if (up === this.#up) return
    this.#up = up
    if (!up) this.#function.resetSecondary(reset)
    showLink(this.#function, up, false)
    this.retrain()
    this.#function.linkChanged()
    if (this.#reportsLinkState) this.slot?.raise(SLOT_EVENT.linkStateChanged)
  }

  get #linkCapabilities(): number {
    return this.#express === 0 ? 0 : this.#function.words[(this.#express + LINK_CAPABILITIES.offset) >>> 2]!
  }

  get #reportsLinkState(): boolean {
    return (this.#linkCapabilities & LINK_CAPABILITIES.f.DLL_ACTIVE_REPORTING.mask) !== 0
  }

  // Registers

  /** After a write to one of its registers, the dword at `at`; `lanes` are the bits that the access carried. */
  written(at: number, before: number, lanes: number): void {
    const register = at - (this.#express >>> 2)
    if (this.#express > 0 && (register === LINK_CONTROL.at || register === EXPRESS.LINK_CONTROL_2.at)) {
      this.#linkControlWritten(at)
    } else if (this.#express > 0 && register === EXPRESS.SLOT_CONTROL.at) {
      this.slot?.written(lanes)
      this.#update('fundamental')
    } else {
      this.#containment?.written()
      this.#update('hot')
      if (this.#function.kind === 'rootPort') rootErrorsWritten(this.#function, at, before)
    }
  }

  /** "Link Disable" and "Retrain Link", which reads 0. */
  #linkControlWritten(at: number): void {
    const { words } = this.#function
    const { RETRAIN } = LINK_CONTROL.f
    const retrain = at === (this.#express + LINK_CONTROL.offset) >>> 2 && (words[at]! & RETRAIN.mask) !== 0
    if (retrain) words[at]! &= ~RETRAIN.mask
    this.#update('hot')
    if (retrain && this.#up) {
      this.retrain()
      showLink(this.#function, true, true)
    }
  }

  // Stimulus

  /** A card is put into the slot: between these two calls its functions are put on the bus. */
  beginInsertion(): void {
    this.#inserting = true
  }

  endInsertion(): void {
    this.#inserting = false
    this.#presenceChanged()
  }

  /** The card was pulled out: its functions are gone from the bus. */
  removed(): void {
    const wasUp = this.#up
    this.#presenceChanged()
    if (wasUp) this.#surpriseDown()
  }

  #presenceChanged(): void {
    this.slot?.showPresence(this.occupied)
    this.#update('hot')
    this.slot?.raise(SLOT_EVENT.presenceChanged)
  }

  pressAttentionButton(): void {
    this.slot?.raise(SLOT_EVENT.attentionButton)
  }

  /** Breaks the link, or makes it whole. */
  sever(severed: boolean): void {
    const wasUp = this.#up
    this.#severed = severed
    this.#update('hot')
    if (wasUp && !this.#up) this.#surpriseDown()
  }

  get severed(): boolean {
    return this.#severed
  }

  /** Bad wires: the link comes up with less than both ends can. */
  limit(limit: LinkLimit): void {
    this.#limit = limit
    this.retrain()
    if (this.#up) showLink(this.#function, true, true)
  }

  /** "Surprise Down Error": not where cards may be pulled without notice. */
  #surpriseDown(): void {
    const reports = this.#linkCapabilities & LINK_CAPABILITIES.f.SURPRISE_DOWN.mask
    if (!reports || this.slot?.surprise === true) return
    reportUncorrectable(this.#function, UNCORRECTABLE.surpriseDown, undefined, false)
  }

  /** Negotiated speed code and width. */
  get trained(): LinkLimit {
    const at = (this.#express + LINK_CONTROL.offset) >>> 2
    const { words } = this.#function
    return { speed: get(LINK_CONTROL.f.SPEED, words, at), width: get(LINK_CONTROL.f.WIDTH, words, at) }
  }

  save(): Saved {
    return {
      up: this.#up,
      severed: this.#severed,
      limit: { ...this.#limit },
      slot: this.slot?.save() ?? [],
    }
  }

  load(saved: Saved): void {
    const { up, severed, limit, slot } = saved as unknown as {
      up: boolean
      severed: boolean
      limit: LinkLimit
      slot: Saved
    }
    this.#up = up
    this.#severed = severed
    this.#limit = limit
    this.slot?.load(slot)
  }
}

const NOT_CONTAINED = { active: false, refusesAsUnsupported: true } as const
