/**
 * "Slot Control" and "Slot Status": what a hot-plug slot tells software, and the interrupt that goes with it. Commands
 * complete at once.
 */
import { get, type Saved } from '../core/index.ts'
import { EXPRESS } from './formats/capabilities.ts'
import { CAPABILITY } from './formats/capability-ids.ts'
import type { FunctionNode } from './parts.ts'
import { pinnedBits, presetBits } from './pinned-bits.ts'

const { SLOT_CAPABILITIES, SLOT_CONTROL } = EXPRESS
const { ABPE, PFDE, MRLSCE, PDCE, CCIE, HPIE, DLLSCE, PIC, PCC, EIC, PDS, EIS } = SLOT_CONTROL.f

/** Events of a slot: bits of Slot Status. */
export const SLOT_EVENT = {
  attentionButton: SLOT_CONTROL.f.ABP.mask,
  powerFault: SLOT_CONTROL.f.PFD.mask,
  presenceChanged: SLOT_CONTROL.f.PDC.mask,
  commandCompleted: SLOT_CONTROL.f.CC.mask,
  linkStateChanged: SLOT_CONTROL.f.DLLSC.mask,
} as const

/** Each event with the bit of Slot Control that lets it interrupt. */
const ENABLE_OF: readonly (readonly [event: number, enable: number])[] = [
  [SLOT_CONTROL.f.ABP.mask, ABPE.mask],
  [SLOT_CONTROL.f.PFD.mask, PFDE.mask],
  [SLOT_CONTROL.f.MRLSC.mask, MRLSCE.mask],
  [SLOT_CONTROL.f.PDC.mask, PDCE.mask],
  [SLOT_CONTROL.f.CC.mask, CCIE.mask],
  [SLOT_CONTROL.f.DLLSC.mask, DLLSCE.mask],
]

/** Power Indicator Control: on, off. */
const INDICATOR = { on: 1 << PIC.shift, off: 3 << PIC.shift } as const
const CONTROL_LANES = 0xffff

export class Slot {
  readonly #port: FunctionNode
  readonly #words: Uint32Array
  readonly #express: number
  readonly #control: number
  readonly #capabilities: number
  /** Bits that stay as they are, always or after a reset. */
  readonly #pinned: number
  readonly #preset: number
  /** An enabled event is shown: the interrupt is sent when this becomes true. */
  #asserted = false

  private constructor(port: FunctionNode, express: number) {
    this.#port = port
    this.#words = port.words
    this.#express = express >>> 2
    this.#control = (express + SLOT_CONTROL.offset) >>> 2
    this.#capabilities = port.words[(express + SLOT_CAPABILITIES.offset) >>> 2]!
    this.#pinned = pinnedBits(port.definition, express + SLOT_CONTROL.offset)
    this.#preset = presetBits(port.definition, express + SLOT_CONTROL.offset)
  }

  /** The slot of a port; undefined if what is below is soldered. */
  static of(port: FunctionNode): Slot | undefined {
    const express = port.layout.find(CAPABILITY.EXPRESS)
    const implemented = express > 0 && get(EXPRESS.CAPABILITIES.f.SLOT, port.words, express >>> 2) === 1
    return implemented ? new Slot(port, express) : undefined
  }

  #can(mask: number): boolean {
    return (this.#capabilities & mask) !== 0
  }

  get hotPluggable(): boolean {
    return this.#can(SLOT_CAPABILITIES.f.HPC.mask)
  }

  /** Whether cards may be pulled without notice. */
  get surprise(): boolean {
    return this.#can(SLOT_CAPABILITIES.f.HPS.mask)
  }

  get hasAttentionButton(): boolean {
    return this.#can(SLOT_CAPABILITIES.f.ABP.mask)
  }

  /** Whether the power controller supplies the slot; always, without one. */
  get powered(): boolean {
    return !this.#can(SLOT_CAPABILITIES.f.PCP.mask) || (this.#words[this.#control]! & PCC.mask) === 0
  }

  /** What power-on leaves: a slot with a card in it is supplied, and its indicator on. */
  reset(occupied: boolean): void {
    this.#asserted = false
    this.showPresence(occupied)
    if (!this.#can(SLOT_CAPABILITIES.f.PCP.mask)) return
    const indicator = this.#can(SLOT_CAPABILITIES.f.PIP.mask) ? (occupied ? INDICATOR.on : INDICATOR.off) : 0
    this.#show(PCC.mask | PIC.mask, indicator | (occupied ? 0 : PCC.mask), this.#pinned | this.#preset)
  }

  showPresence(occupied: boolean): void {
    this.#show(PDS.mask, occupied ? PDS.mask : 0, this.#pinned)
  }

  /** Sets the bits of `mask`, less those that stay. */
  #show(mask: number, value: number, fixed: number): void {
    const changed = mask & ~fixed
    this.#words[this.#control] = (this.#words[this.#control]! & ~changed) | (value & changed)
  }

  /** Shows events, and interrupts if they are enabled. */
  raise(events: number): void {
    this.#show(events, events, this.#pinned)
    this.#notify()
  }

  /** After a write to the register; `lanes` are the bits that the access carried. */
  written(lanes: number): void {
    if (lanes & CONTROL_LANES) {
      const control = this.#words[this.#control]!
      if (control & EIC.mask) {
        // "Electromechanical Interlock Control": toggles the interlock, reads 0.
        this.#words[this.#control] = (control ^ EIS.mask) & ~EIC.mask
      }
      if (this.hotPluggable && !this.#can(SLOT_CAPABILITIES.f.NCCS.mask)) {
        this.#words[this.#control]! |= SLOT_EVENT.commandCompleted
      }
    }
    this.#notify()
  }

  #notify(): void {
    const control = this.#words[this.#control]!
    let asserted = false
    if (control & HPIE.mask) {
      for (const [event, enable] of ENABLE_OF) {
        if (control & event && control & enable) asserted = true
      }
    }
    if (asserted && !this.#asserted) {
      const message = get(EXPRESS.CAPABILITIES.f.MESSAGE, this.#words, this.#express)
      this.#port.bus.host.messages.signal(this.#port, message)
    }
    this.#asserted = asserted
  }

  save(): Saved {
    return { asserted: this.#asserted }
  }

  load(saved: Saved): void {
    this.#asserted = (saved as { asserted: boolean }).asserted
  }
}
