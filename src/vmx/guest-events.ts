/**
 * "Event Priority" between two operations of a guest: which events cause a VM exit, and which reach the guest, in the
 * order of their priority.
 */
import { DELIVERY_MODE } from '../interrupts/formats/message.ts'
import {
  exitForApicEvent,
  processPostedInterrupt,
  takeVirtualInterrupt,
  virtualInterruptPending,
} from './apic-virtualization.ts'
import type { Core } from './core.ts'
import { arrived, deliverEvent } from './event-delivery.ts'
import { raise } from './exceptions.ts'
import { vmExit } from './exits.ts'
import { EXIT_CONTROLS, PIN_BASED, PRIMARY } from './formats/controls.ts'
import {
  ACTIVITY,
  DEBUG_CONDITION,
  EVENT_TYPE,
  INTERRUPTIBILITY,
  interruptionInformation,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { preemptionTimerExpired } from './preemption-timer.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const EXIT_FIELD = slot('exitControls')
const { blockingBySti, blockingByMovSs, blockingByNmi } = INTERRUPTIBILITY
const DEBUG_EVENTS = 0xf | DEBUG_CONDITION.BS | DEBUG_CONDITION.enabledBreakpoint | DEBUG_CONDITION.BD

/**
 * True if something came before the operation: a VM exit, or an event that the guest's handler takes; `core.result` says
 * which. With external-interrupt exiting, neither RFLAGS.IF nor blocking by STI or MOV SS holds an external interrupt back
 * (the latter is the processor's choice); nor does blocking by STI hold back an NMI, or keep the NMI window shut.
 */
export function eventBefore(core: Core): boolean {
  if (exitForApicEvent(core)) return true
  const { apic } = core
  if (apic.eventPending && exitForInit(core)) return true
  const activity = core.registers[REGISTER.activity]!
  if (activity === ACTIVITY.waitForSipi) return exitForStartUp(core)
  if (core.trapPending) {
    betweenOperations(core, EXIT_REASON.monitorTrapFlag)
    return true
  }
  if (debugTrap(core)) return true
  if (core.timerRuns && preemptionTimerExpired(core)) {
    betweenOperations(core, EXIT_REASON.preemptionTimerExpired)
    return true
  }
  return nmiWindow(core) || (apic.eventPending && exitForNmi(core)) || maskable(core, activity)
}

/** An exit between two operations: pending debug exceptions go into the guest-state area. */
function betweenOperations(core: Core, reason: number): void {
  core.exit.keepsPendingDebug = true
  vmExit(core, reason)
}

/** INIT always exits, but from wait-for-SIPI. */
function exitForInit(core: Core): boolean {
  const { apic, registers } = core
  if (!apic.hasEvent(DELIVERY_MODE.init) || registers[REGISTER.activity] === ACTIVITY.waitForSipi)
    return false
  apic.takeEvent(DELIVERY_MODE.init)
  betweenOperations(core, EXIT_REASON.init)
  return true
}

/** In wait-for-SIPI nothing else is looked at; elsewhere a start-up message is dropped. */
function exitForStartUp(core: Core): boolean {
  const { apic } = core
  if (!apic.hasEvent(DELIVERY_MODE.startUp)) return false
  core.exit.qualification[0] = apic.startUpVector
  apic.takeEvent(DELIVERY_MODE.startUp)
  vmExit(core, EXIT_REASON.startUpIpi)
  return true
}

/** A pending debug exception, which MOV SS holds back. */
export function debugTrap(core: Core): boolean {
  const { registers, result } = core
  if ((registers[REGISTER.pendingDebug]! & DEBUG_EVENTS) === 0) return false
  if ((registers[REGISTER.interruptibility]! & blockingByMovSs) !== 0) return false
  registers[REGISTER.activity] = ACTIVITY.active
  raise(core, EXCEPTION.DB)
  return result.outcome !== 'done'
}

function nmiWindow(core: Core): boolean {
  if ((core.primaryControls & PRIMARY.nmiWindowExiting) === 0) return false
  const blocking = core.registers[REGISTER.interruptibility]!
  if ((blocking & (blockingByNmi | blockingByMovSs)) !== 0) return false
  betweenOperations(core, EXIT_REASON.nmiWindow)
  return true
}

/** With virtual NMIs, what the guest's state calls blocking by NMI does not hold a real one back. */
function exitForNmi(core: Core): boolean {
  const { apic, registers, pinControls } = core
  if (!apic.hasEvent(DELIVERY_MODE.nmi) || (pinControls & PIN_BASED.nmiExiting) === 0) return false
  const blocks =
    (pinControls & PIN_BASED.virtualNmis) === 0 ? blockingByNmi | blockingByMovSs : blockingByMovSs
  if ((registers[REGISTER.interruptibility]! & blocks) !== 0) return false
  apic.takeEvent(DELIVERY_MODE.nmi)
  core.exit.interruption = interruptionInformation(EVENT_TYPE.nmi, EXCEPTION.NMI)
  core.exit.keepsPendingDebug = true
  vmExit(core, EXIT_REASON.exceptionOrNmi, true)
  return true
}

/** Interrupt window or virtual interrupt, then external interrupts. None of them wakes a guest from shutdown. */
function maskable(core: Core, activity: number): boolean {
  const { apic, registers, pinControls } = core
  const open =
    activity !== ACTIVITY.shutdown &&
    (registers[REGISTER.rflags]! & RFLAGS.IF) !== 0 &&
    (registers[REGISTER.interruptibility]! & (blockingBySti | blockingByMovSs)) === 0
  if (open && (core.primaryControls & PRIMARY.interruptWindowExiting) !== 0) {
    betweenOperations(core, EXIT_REASON.interruptWindow)
    return true
  }
  if (open && virtualInterruptPending(core)) {
    takeVirtual(core)
    return true
  }
  if ((pinControls & PIN_BASED.externalInterruptExiting) === 0 || activity === ACTIVITY.shutdown) return false
  if (apic.hasEvent(DELIVERY_MODE.extInt)) {
    apic.takeEvent(DELIVERY_MODE.extInt)
    exitForExternal(core, apic.externalVector)
    return true
  }
  if (apic.deliverable < 0) return false
  const acknowledges = (core.vmcs[EXIT_FIELD]! & EXIT_CONTROLS.acknowledgeInterruptOnExit) !== 0
  if (!acknowledges) {
    betweenOperations(core, EXIT_REASON.externalInterrupt)
    return true
  }
  const vector = apic.acknowledge()
  if ((pinControls & PIN_BASED.processPostedInterrupts) !== 0 && processPostedInterrupt(core, vector)) {
    // What was posted may be deliverable at once, and further interrupts may wait.
    return maskable(core, registers[REGISTER.activity]!)
  }
  exitForExternal(core, vector)
  return true
}

function exitForExternal(core: Core, vector: number): void {
  if ((core.vmcs[EXIT_FIELD]! & EXIT_CONTROLS.acknowledgeInterruptOnExit) !== 0) {
    core.exit.interruption = interruptionInformation(EVENT_TYPE.externalInterrupt, vector)
  }
  betweenOperations(core, EXIT_REASON.externalInterrupt)
}

function takeVirtual(core: Core): void {
  const vector = takeVirtualInterrupt(core)
  core.result.outcome = 'interrupted'
  core.result.vector = vector
  if (core.eventsThroughIdt) {
    if (!deliverEvent(core, EVENT_TYPE.externalInterrupt, vector, -1, 0)) return
  } else {
    arrived(core, EVENT_TYPE.externalInterrupt)
    core.registers[REGISTER.rflags]! &= ~RFLAGS.IF
  }
  if (core.guestHas(PRIMARY.monitorTrapFlag)) core.trapPending = true
}

/**
 * Outside VMX operation INIT resets the processor but for what INIT keeps, and it waits for a start-up message; in VMX
 * root operation INIT is blocked. True while it waits. The real-mode code at the start-up address is not modelled: the
 * processor goes on as early boot code leaves it, with RIP where it was sent.
 */
export function initialized(core: Core): boolean {
  const { apic, registers } = core
  if (!apic.eventPending && registers[REGISTER.activity] !== ACTIVITY.waitForSipi) return false
  if (apic.hasEvent(DELIVERY_MODE.init) && !core.vmxOn) {
    apic.takeEvent(DELIVERY_MODE.init)
    apic.initialize()
    core.initialize()
    registers[REGISTER.activity] = ACTIVITY.waitForSipi
  }
  if (registers[REGISTER.activity] !== ACTIVITY.waitForSipi) return false
  if (apic.hasEvent(DELIVERY_MODE.startUp)) {
    registers[REGISTER.rip] = apic.startUpVector << 12
    registers[REGISTER.rip + 1] = 0
    registers[REGISTER.activity] = ACTIVITY.active
    apic.takeEvent(DELIVERY_MODE.startUp)
    return false
  }
  core.result.outcome = 'halted'
  return true
}

/** Whether the guest itself, through its IDT, takes NMIs and external interrupts. */
export const guestTakesNmis = ({ pinControls }: Core): boolean => (pinControls & PIN_BASED.nmiExiting) === 0
export const guestTakesInterrupts = ({ pinControls }: Core): boolean =>
  (pinControls & PIN_BASED.externalInterruptExiting) === 0
