/**
 * "Interrupt and Exception Handling" for a guest whose events go through its IDT in memory: delivery, the faults that it
 * meets, double and triple faults, and VM exits in its midst, which leave IDT-vectoring information.
 */
import { svmExit } from './amd-v/svm-exit.ts'
import type { Core } from './core.ts'
import { exceptionExits, exitForAccess, exitForException, noteException } from './exception-exits.ts'
import { vmExit } from './exits.ts'
import { SVM_EXIT } from './formats/amd-v.ts'
import {
  ACTIVITY,
  EVENT_TYPE,
  INTERRUPTIBILITY,
  interruptionInformation,
  TASK_SWITCH_SOURCE,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION } from './formats/msrs.ts'
import { type Delivery, deliverThroughIdt, FAULT, fault } from './idt.ts'
import { FAILURE } from './processor-memory.ts'
import { REGISTER } from './registers.ts'

const { hardwareException, softwareInterrupt, privilegedSoftwareException, softwareException, nmi } =
  EVENT_TYPE

/** "Contributory Exceptions": DE, TS, NP, SS, GP. */
const CONTRIBUTORY =
  (1 << EXCEPTION.DE) | (1 << EXCEPTION.TS) | (1 << EXCEPTION.NP) | (1 << EXCEPTION.SS) | (1 << EXCEPTION.GP)
const isContributory = (vector: number): boolean => (CONTRIBUTORY & (1 << vector)) !== 0

/** Whether a second exception during the delivery of an event makes a double fault. */
function doubles(type: number, first: number, second: number): boolean {
  if (type !== hardwareException) return false
  if (isContributory(first)) return isContributory(second)
  return first === EXCEPTION.PF && (isContributory(second) || second === EXCEPTION.PF)
}

export const isSoftwareEvent = (type: number): boolean =>
  type === softwareInterrupt || type === privilegedSoftwareException || type === softwareException

/** What delivery is busy with; one record per nesting is not needed, since a nested fault replaces it. */
const event: Delivery = { type: 0, vector: 0, errorCode: -1, length: 0 }

/**
 * Delivers an event to the guest. False: a VM exit has happened instead. `length` is that of the instruction behind a
 * software event, over which the return address lies.
 */
export function deliverEvent(
  core: Core,
  type: number,
  vector: number,
  errorCode: number,
  length: number,
): boolean {
  event.type = type
  event.vector = vector
  event.errorCode = errorCode
  event.length = length
  for (;;) {
    const failed = deliverThroughIdt(core, event)
    if (failed === FAULT.none) {
      arrived(core, event.type)
      return true
    }
    if (failed === FAULT.taskGate) {
      tell(core, event)
      core.exit.qualification[0] = (fault.errorCode | (TASK_SWITCH_SOURCE.gate << 30)) >>> 0
      vmExit(core, EXIT_REASON.taskSwitch)
      return false
    }
    if (failed === FAULT.access && core.access.failure !== FAILURE.pageFault) {
      tell(core, event)
      exitForAccess(core)
      return false
    }
    if (!nested(core, failed)) return false
  }
}

/** An exception met on the way. True: go on with what {@link event} has become. */
function nested(core: Core, failed: number): boolean {
  if (failed === FAULT.access) {
    core.access.tellPageFault()
    fault.vector = EXCEPTION.PF
    fault.errorCode = core.access.paging.errorCode
  }
  if (event.type === hardwareException && event.vector === EXCEPTION.DF) {
    if (core.svm.guest) svmExit(core, SVM_EXIT.shutdown)
    else if (core.nonRoot) vmExit(core, EXIT_REASON.tripleFault)
    else {
      core.shutdown = true
      core.result.outcome = 'shutdown'
    }
    return false
  }
  if (exceptionExits(core, fault.vector, fault.errorCode)) {
    const { length } = event
    tell(core, event)
    exitForException(
      core,
      fault.vector,
      fault.errorCode,
      hardwareException,
      isSoftwareEvent(event.type) ? length : 0,
    )
    return false
  }
  noteException(core, fault.vector)
  if (doubles(event.type, event.vector, fault.vector)) {
    if (exceptionExits(core, EXCEPTION.DF, 0)) {
      exitForException(core, EXCEPTION.DF, 0, hardwareException, 0)
      return false
    }
    event.vector = EXCEPTION.DF
    event.errorCode = 0
  } else {
    event.vector = fault.vector
    event.errorCode = fault.errorCode
  }
  event.type = hardwareException
  event.length = 0
  core.result.vector = event.vector
  core.result.error = Math.max(event.errorCode, 0)
  return true
}

/** "Information for VM Exits During Event Delivery". */
function tell(core: Core, { type, vector, errorCode, length }: Delivery): void {
  const { exit } = core
  core.svm.vectoring[0] = interruptionInformation(type, vector, errorCode >= 0)
  core.svm.vectoring[1] = Math.max(errorCode, 0)
  if (core.svm.guest) return
  exit.vectoring = interruptionInformation(type, vector, errorCode >= 0)
  exit.vectoringErrorCode = Math.max(errorCode, 0)
  if (isSoftwareEvent(type)) exit.instructionLength = length
  if (core.access.failure === FAILURE.apicAccess) {
    // Access types 3 and 10: during event delivery, by linear and by guest-physical address.
    const guestPhysical = exit.qualification[0]! >>> 12 === 15
    exit.qualification[0] = (exit.qualification[0]! & 0xfff) | ((guestPhysical ? 10 : 3) << 12)
  }
}

/** The handler runs: nothing blocks any more, but NMIs while one is being handled. */
export function arrived(core: Core, type: number): void {
  const { registers } = core
  registers[REGISTER.activity] = ACTIVITY.active
  registers[REGISTER.interruptibility]! &= ~(
    INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs
  )
  if (type === nmi) registers[REGISTER.interruptibility]! |= INTERRUPTIBILITY.blockingByNmi
}
