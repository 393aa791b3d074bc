/** Events between two operations of a guest: which of them cause a VM exit, in the order of their priority. */
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import type { Core } from './core.ts'
import { vmExit } from './exits.ts'
import { EXIT_CONTROLS, PIN_BASED, PRIMARY } from './formats/controls.ts'
import { EVENT_TYPE, INTERRUPTIBILITY, interruptionInformation } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const PIN = slot('pinBasedControls')
const PRIMARY_FIELD = slot('primaryProcessorBasedControls')
const EXIT_FIELD = slot('exitControls')
const { blockingBySti, blockingByMovSs, blockingByNmi } = INTERRUPTIBILITY

/**
 * Exits if an event asks for it; false if the guest goes on. With external-interrupt exiting, neither RFLAGS.IF nor
 * blocking by STI or MOV SS holds an external interrupt back (the latter is the processor's choice).
 */
export function exitForEvent(core: Core): boolean {
  const { apic, registers, vmcs } = core
  if (apic.eventPending && exitForMessage(core)) return true
  const windowOpen =
    (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0 &&
    (registers[REGISTER.interruptibility]! & (blockingBySti | blockingByMovSs)) === 0
  if (windowOpen && (vmcs[PRIMARY_FIELD]! & PRIMARY.interruptWindowExiting) !== 0) {
    vmExit(core, EXIT_REASON.interruptWindow)
    return true
  }
  if (apic.deliverable < 0 || (vmcs[PIN]! & PIN_BASED.externalInterruptExiting) === 0) return false
  if ((vmcs[EXIT_FIELD]! & EXIT_CONTROLS.acknowledgeInterruptOnExit) !== 0) {
    core.exit.interruption = interruptionInformation(EVENT_TYPE.externalInterrupt, apic.acknowledge())
  }
  vmExit(core, EXIT_REASON.externalInterrupt)
  return true
}

/** INIT always exits; an NMI does if the controls say so and no NMI is being handled. */
function exitForMessage(core: Core): boolean {
  const { apic, registers, vmcs } = core
  if (apic.hasEvent(DELIVERY_MODE.init)) {
    apic.takeEvent(DELIVERY_MODE.init)
    vmExit(core, EXIT_REASON.init)
    return true
  }
  if (!apic.hasEvent(DELIVERY_MODE.nmi) || (vmcs[PIN]! & PIN_BASED.nmiExiting) === 0) return false
  if ((registers[REGISTER.interruptibility]! & blockingByNmi) !== 0) return false
  apic.takeEvent(DELIVERY_MODE.nmi)
  core.exit.interruption = interruptionInformation(EVENT_TYPE.nmi, EXCEPTION.NMI)
  vmExit(core, EXIT_REASON.exceptionOrNmi, true)
  return true
}

/** Whether the guest itself, through its IDT, takes NMIs and external interrupts. */
export const guestTakesNmis = ({ vmcs }: Core): boolean => (vmcs[PIN]! & PIN_BASED.nmiExiting) === 0
export const guestTakesInterrupts = ({ vmcs }: Core): boolean =>
  (vmcs[PIN]! & PIN_BASED.externalInterruptExiting) === 0
