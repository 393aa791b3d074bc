/** The registers of a hot-plug slot as the kernel's hot-plug driver uses them ("Slot Capabilities", "Slot Control"). */
import { CAPABILITY, EXPRESS } from '../../pcie/formats/index.ts'
import type { ConfigSpace } from './config-space.ts'
import type { HostPciFunction } from './pci-function.ts'

const { SLOT_CAPABILITIES, SLOT_CONTROL, LINK_CAPABILITIES, LINK_CONTROL } = EXPRESS
const { ABP, PFD, MRLSC, PDC, CC, DLLSC } = SLOT_CONTROL.f
const STATUS_LANES = 0xffff_0000
const CONTROL_LANES = 0xffff
const EVENTS = ABP.mask | PFD.mask | MRLSC.mask | PDC.mask | CC.mask | DLLSC.mask

/** "Power Indicator Control" and "Attention Indicator Control". */
const INDICATOR = { on: 1, blink: 2, off: 3 } as const

export interface SlotEvents {
  readonly attentionButton: boolean
  readonly presenceOrLink: boolean
}

/** Whether a port has a slot that cards go in and out of. */
export function hasHotplugSlot(port: HostPciFunction): boolean {
  const express = port.capability(CAPABILITY.EXPRESS)
  if (express === undefined || !port.bridge) return false
  const { config } = port
  return (
    config.get(express, EXPRESS.CAPABILITIES, EXPRESS.CAPABILITIES.f.SLOT) === 1 &&
    config.get(express, SLOT_CAPABILITIES, SLOT_CAPABILITIES.f.HPC) === 1
  )
}

export class HotplugSlot {
  readonly port: HostPciFunction
  readonly #config: ConfigSpace
  readonly #express: number
  readonly #capabilities: number

  /** @param port one for which {@link hasHotplugSlot} holds. */
  constructor(port: HostPciFunction, capabilities?: number) {
    this.port = port
    this.#config = port.config
    this.#express = port.capability(CAPABILITY.EXPRESS)!
    this.#capabilities = capabilities ?? port.config.read(this.#express + SLOT_CAPABILITIES.offset)
  }

  /** Slot Capabilities as they were read at first. */
  get capabilities(): number {
    return this.#capabilities
  }

  /** Physical Slot Number. */
  get number(): number {
    return this.#config.get(this.#express, SLOT_CAPABILITIES, SLOT_CAPABILITIES.f.NUMBER)
  }

  #can(mask: number): boolean {
    return (this.#capabilities & mask) !== 0
  }

  get #reportsLink(): boolean {
    const { DLL_ACTIVE_REPORTING } = LINK_CAPABILITIES.f
    return this.#config.get(this.#express, LINK_CAPABILITIES, DLL_ACTIVE_REPORTING) === 1
  }

  /** As Linux: the button if there is one, else presence; the link where its state is reported. */
  enableEvents(): void {
    const { ABPE, PDCE, CCIE, HPIE, DLLSCE } = SLOT_CONTROL.f
    const enables =
      (this.#can(SLOT_CAPABILITIES.f.ABP.mask) ? ABPE.mask : PDCE.mask) |
      (this.#can(SLOT_CAPABILITIES.f.NCCS.mask) ? 0 : CCIE.mask) |
      (this.#reportsLink ? DLLSCE.mask : 0) |
      HPIE.mask
    this.takeEvents()
    this.#command(enables, enables)
    // The command itself has completed.
    this.takeEvents()
  }

  #command(mask: number, value: number): void {
    const control = this.#config.read(this.#express + SLOT_CONTROL.offset) & CONTROL_LANES
    this.#config.write(this.#express + SLOT_CONTROL.offset, (control & ~mask) | value, CONTROL_LANES)
  }

  /** Whether events are shown. */
  get hasEvents(): boolean {
    return (this.#config.read(this.#express + SLOT_CONTROL.offset) & EVENTS) !== 0
  }

  /** Reads the events shown and clears them. */
  takeEvents(): SlotEvents {
    const status = this.#config.read(this.#express + SLOT_CONTROL.offset) & EVENTS
    if (status !== 0) this.#config.write(this.#express + SLOT_CONTROL.offset, status, STATUS_LANES)
    return {
      attentionButton: (status & ABP.mask) !== 0,
      presenceOrLink: (status & (PDC.mask | DLLSC.mask)) !== 0,
    }
  }

  get occupied(): boolean {
    return this.#config.get(this.#express, SLOT_CONTROL, SLOT_CONTROL.f.PDS) === 1
  }

  /** Whether the link is up, as far as the port tells. */
  get linkActive(): boolean {
    if (!this.#reportsLink) return this.occupied
    return this.#config.get(this.#express, LINK_CONTROL, LINK_CONTROL.f.DLL_ACTIVE) === 1
  }

  power(on: boolean): void {
    const { PCC } = SLOT_CONTROL.f
    if (this.#can(SLOT_CAPABILITIES.f.PCP.mask)) this.#command(PCC.mask, on ? 0 : PCC.mask)
  }

  indicatePower(state: keyof typeof INDICATOR): void {
    const { PIC } = SLOT_CONTROL.f
    if (this.#can(SLOT_CAPABILITIES.f.PIP.mask)) this.#command(PIC.mask, INDICATOR[state] << PIC.shift)
  }
}
