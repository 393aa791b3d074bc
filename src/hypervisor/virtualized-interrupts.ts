/**
 * "APIC Virtualization" and "Posted-Interrupt Processing" as the hypervisor sets them up for one virtual processor: its
 * registers lie in the virtual-APIC page, the processor delivers its interrupts, and a descriptor says where its
 * notifications go while it runs, sleeps, or waits for its turn.
 */
import { PAGE_SIZE, type PageNumber } from '../core/index.ts'
import type { InterruptPosting } from '../host/index.ts'
import { PIN_BASED, PRIMARY, SECONDARY } from '../vmx/formats/controls.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import type { PostedDescriptor } from './posted-descriptor.ts'
import type { VcpuView } from './types.ts'
import type { VirtualApic } from './virtual-apic.ts'
import type { Vmcs } from './vmcs.ts'

export interface VirtualizedInterruptsOptions {
  readonly vmcs: Vmcs
  readonly apic: VirtualApic
  readonly virtualApicPage: PageNumber
  readonly accessPage: PageNumber
  readonly msrBitmaps: PageNumber
  /** Present where interrupts are posted. */
  readonly posted?: { readonly descriptor: PostedDescriptor; readonly host: InterruptPosting }
  /** The guest left xAPIC mode: its xAPIC page is to disappear. */
  readonly leaveXapic: () => void
}

const { virtualizeApicAccesses, virtualizeX2apicMode, apicRegisterVirtualization, virtualInterruptDelivery } =
  SECONDARY
const EOI_EXIT_BITMAPS = [
  VMCS.eoiExitBitmap0,
  VMCS.eoiExitBitmap1,
  VMCS.eoiExitBitmap2,
  VMCS.eoiExitBitmap3,
] as const

export type SavedVirtualized = {
  readonly x2apic: boolean
  readonly kicked: boolean
  /** The virtual-APIC page. */
  readonly page: PageNumber
}

export class VirtualizedInterrupts {
  readonly #options: VirtualizedInterruptsOptions
  #x2apic = false
  /** Something was requested for a virtual processor that sleeps. */
  kicked = false

  /**
   * Throws `unsupported` if the processor lacks a control.
   *
   * @param saved what was set up already: VMCS and descriptor hold it
   */
  constructor(options: VirtualizedInterruptsOptions, processor: number, saved?: SavedVirtualized) {
    this.#options = options
    if (saved !== undefined) {
      this.#x2apic = saved.x2apic
      this.kicked = saved.kicked
      return
    }
    const { vmcs, virtualApicPage, accessPage, msrBitmaps, posted } = options
    const page = (field: number, number: PageNumber): void => {
      const address = number * PAGE_SIZE
      vmcs.write(field, address % 2 ** 32, Math.floor(address / 2 ** 32))
    }
    vmcs.setControls('primary', PRIMARY.useTprShadow, true)
    vmcs.setControls('secondary', apicRegisterVirtualization | virtualInterruptDelivery, true)
    page(VMCS.virtualApicAddress, virtualApicPage)
    page(VMCS.apicAccessAddress, accessPage)
    page(VMCS.msrBitmaps, msrBitmaps)
    vmcs.write(VMCS.tprThreshold, 0)
    for (const field of EOI_EXIT_BITMAPS) vmcs.write(field, 0)
    if (posted !== undefined) {
      const { address } = posted.descriptor
      vmcs.setControls('pin', PIN_BASED.processPostedInterrupts, true)
      vmcs.write(VMCS.postedInterruptDescriptorAddress, address % 2 ** 32, Math.floor(address / 2 ** 32))
      vmcs.write(VMCS.postedInterruptNotificationVector, posted.host.notificationVector)
    }
    this.#setMode(false)
    this.point(processor)
    this.run()
  }

  save(): SavedVirtualized {
    return { x2apic: this.#x2apic, kicked: this.kicked, page: this.#options.virtualApicPage }
  }

  /** x2APIC MSRs are virtualized and reach the guest without exit; in xAPIC mode every access to them exits. */
  #setMode(x2apic: boolean): void {
    const { vmcs } = this.#options
    this.#x2apic = x2apic
    // One of the two at a time: off first.
    vmcs.setControls('secondary', x2apic ? virtualizeApicAccesses : virtualizeX2apicMode, false)
    vmcs.setControls('secondary', x2apic ? virtualizeX2apicMode : virtualizeApicAccesses, true)
    vmcs.setControls('primary', PRIMARY.useMsrBitmaps, x2apic)
    if (x2apic) this.#options.leaveXapic()
  }

  /** Before each VM entry: the mode as the guest last chose it, and RVI and SVI as the registers say. */
  prepareEntry(): void {
    const { vmcs, apic } = this.#options
    if (apic.x2apic !== this.#x2apic) this.#setMode(apic.x2apic)
    apic.collectPosted()
    vmcs.write(VMCS.guestInterruptStatus, apic.interruptStatus)
  }

  get descriptor(): PostedDescriptor | undefined {
    return this.#options.posted?.descriptor
  }

  view(): Pick<VcpuView, 'notification'> {
    const { descriptor } = this
    return descriptor === undefined ? {} : { notification: descriptor.view() }
  }

  // Where notifications go. The order matters on silicon too: first the descriptor, then a look at what it holds.

  /** The virtual processor runs, or is about to. */
  run(): void {
    const { posted } = this.#options
    this.kicked = false
    posted?.descriptor.notifyWith(posted.host.notificationVector)
  }

  /** It sleeps. True if something was posted before notifications were redirected. */
  block(): boolean {
    const { posted } = this.#options
    posted?.descriptor.notifyWith(posted.host.wakeupVector)
    return posted?.descriptor.outstanding ?? false
  }

  /** It waits for its turn: notifications would only disturb whoever has it. */
  preempt(on: boolean): void {
    this.descriptor?.suppress(on)
  }

  /** It belongs to another processor from now on. */
  point(processor: number): void {
    const { posted } = this.#options
    posted?.descriptor.point(posted.host.apicId(processor), posted.host.extended)
  }
}
