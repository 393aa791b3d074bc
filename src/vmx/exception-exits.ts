/** Exceptions and failed accesses that become VM exits: "Exceptions", "EPT Violations", "APIC Accesses". */
import { svmExitForException, svmExitForNestedFault, svmIntercepts } from './amd-v/svm-exit.ts'
import { type Core, DEBUG } from './core.ts'
import { vmExit } from './exits.ts'
import {
  DEBUG_CONDITION,
  EVENT_TYPE,
  eventTypeOf,
  eventVectorOf,
  interruptionInformation,
} from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION } from './formats/msrs.ts'
import { FAILURE } from './processor-memory.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const EXCEPTION_BITMAP = slot('exceptionBitmap')
const PFEC_MASK = slot('pageFaultErrorCodeMask')
const PFEC_MATCH = slot('pageFaultErrorCodeMatch')
const { hardwareException } = EVENT_TYPE

/** "Page-fault exceptions" are filtered by their error code before the bitmap's bit 14 decides. */
export function exceptionExits(core: Core, vector: number, errorCode: number): boolean {
  if (core.svm.guest) return svmIntercepts(core, vector)
  if (!core.nonRoot) return false
  const { vmcs } = core
  const selected = (vmcs[EXCEPTION_BITMAP]! & (1 << vector)) !== 0
  if (vector !== EXCEPTION.PF) return selected
  const matches = ((errorCode & vmcs[PFEC_MASK]!) ^ vmcs[PFEC_MATCH]!) === 0
  return matches === selected
}

/** An exception that the bitmap selects. CR2 and DR6 stay as they are: the exit qualification tells instead. */
export function exitForException(
  core: Core,
  vector: number,
  errorCode: number,
  type: number,
  length: number,
): void {
  const { exit, registers, access } = core
  if (core.svm.guest) {
    svmExitForException(core, vector, errorCode)
    return
  }
  exit.interruption = interruptionInformation(type, vector, errorCode >= 0 && core.protectedMode)
  exit.errorCode = errorCode < 0 ? 0 : errorCode
  exit.instructionLength = length
  exit.resume = type === hardwareException && vector !== EXCEPTION.DB
  if (vector === EXCEPTION.PF) {
    exit.qualification[0] = access.faultLinear[0]!
    exit.qualification[1] = access.faultLinear[1]!
  } else if (vector === EXCEPTION.DB) {
    exit.qualification[0] =
      registers[REGISTER.pendingDebug]! & (0xf | DEBUG_CONDITION.BD | DEBUG_CONDITION.BS)
  }
  vmExit(core, EXIT_REASON.exceptionOrNmi)
}

/** What an exception that reaches its handler has left in CR2 or DR6. */
export function noteException(core: Core, vector: number): void {
  const { debug, registers, access } = core
  if (vector === EXCEPTION.PF) {
    debug[DEBUG.cr2] = access.faultLinear[0]!
    debug[DEBUG.cr2 + 1] = access.faultLinear[1]!
  } else if (vector === EXCEPTION.DB) {
    debug[DEBUG.dr6]! |= registers[REGISTER.pendingDebug]! & (0xf | DEBUG_CONDITION.BD | DEBUG_CONDITION.BS)
    registers[REGISTER.pendingDebug] = 0
  }
}

/** Whether interruption information tells of a fault, whose image has RF set. */
const isFault = (information: number): boolean =>
  eventTypeOf(information) === hardwareException && eventVectorOf(information) !== EXCEPTION.DB

/** The VM exit of an access that EPT refused, or that met the APIC-access page. */
export function exitForAccess(core: Core): void {
  const { access, exit, ept } = core
  if (core.svm.guest) {
    svmExitForNestedFault(core)
    return
  }
  // "Saving RIP, RSP, RFLAGS, and SSP": during event delivery, RF is what the event's own image would show.
  exit.resume = exit.vectoring === 0 || isFault(exit.vectoring)
  if (access.failure === FAILURE.apicAccess) {
    vmExit(core, EXIT_REASON.apicAccess)
    return
  }
  exit.qualification[0] = ept.faultQualification
  exit.address[0] = access.faultAddress[0]!
  exit.address[1] = access.faultAddress[0]! / 2 ** 32
  exit.hasAddress = true
  if (ept.faultReason === EXIT_REASON.eptViolation) {
    exit.linear[0] = access.faultLinear[0]!
    exit.linear[1] = access.faultLinear[1]!
    exit.hasLinear = true
  }
  vmExit(core, ept.faultReason)
}
