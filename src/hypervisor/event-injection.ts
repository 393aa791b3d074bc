/**
 * "Event Injection": what a virtual processor is given with its next VM entry. An exception first, else the interrupt that
 * may be taken; a window for one that may not.
 */
import { PRIMARY } from '../vmx/formats/controls.ts'
import {
  EVENT_TYPE,
  INTERRUPTIBILITY,
  INTERRUPTION_VALID,
  interruptionInformation,
} from '../vmx/formats/events.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import type { Vmcs } from './vmcs.ts'

export const BLOCKING = INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs

/** What the injection looks at, and whom it tells. */
export interface InjectedVcpu {
  /** VMCS of the guest that runs. */
  readonly vmcs: Vmcs
  /** RFLAGS.IF is set and nothing blocks. */
  readonly mayInterrupt: boolean
  /** Vector of the interrupt to be injected, -1 if none is: the hypervisor's emulated APIC. */
  requested(): number
  /** The interrupt goes into service. */
  acknowledge(vector: number): void
}

export type SavedInjection = {
  readonly exception: { readonly vector: number; readonly error: number | null } | null
  readonly windowExiting: boolean
}

export class EventInjection {
  /** An exception to deliver at the next VM entry. */
  exception: { readonly vector: number; readonly error: number | undefined } | undefined
  #windowExiting = false

  save(): SavedInjection {
    const { exception } = this
    return {
      exception:
        exception === undefined ? null : { vector: exception.vector, error: exception.error ?? null },
      windowExiting: this.#windowExiting,
    }
  }

  load({ exception, windowExiting }: SavedInjection): void {
    this.exception =
      exception === null ? undefined : { vector: exception.vector, error: exception.error ?? undefined }
    this.#windowExiting = windowExiting
  }

  /** Fills the entry fields. Returns whether an interrupt still waits, for which a window is to open. */
  prepare(vcpu: InjectedVcpu): boolean {
    const { vmcs } = vcpu
    const requested = vcpu.requested()
    if (this.exception !== undefined) {
      const { vector, error } = this.exception
      this.exception = undefined
      const information = interruptionInformation(EVENT_TYPE.hardwareException, vector, error !== undefined)
      if (error !== undefined) vmcs.write(VMCS.entryExceptionErrorCode, error)
      vmcs.write(VMCS.entryInterruptionInformation, information)
      return requested >= 0
    }
    if (requested < 0) return false
    // An event whose delivery was interrupted is there already, and goes first.
    const again = (vmcs.read(VMCS.entryInterruptionInformation) & INTERRUPTION_VALID) !== 0
    if (again || !vcpu.mayInterrupt) return true
    vmcs.write(
      VMCS.entryInterruptionInformation,
      interruptionInformation(EVENT_TYPE.externalInterrupt, requested),
    )
    vcpu.acknowledge(requested)
    return vcpu.requested() >= 0
  }

  /** Interrupt-window exiting, in the VMCS of the machine's own guest. */
  openWindow(vmcs: Vmcs, window: boolean): void {
    if (window === this.#windowExiting) return
    this.#windowExiting = window
    setWindow(vmcs, window)
  }
}

export function setWindow(vmcs: Vmcs, window: boolean): void {
  const controls = vmcs.read(VMCS.primaryProcessorBasedControls)
  const { interruptWindowExiting } = PRIMARY
  vmcs.write(
    VMCS.primaryProcessorBasedControls,
    window ? controls | interruptWindowExiting : controls & ~interruptWindowExiting,
  )
}
