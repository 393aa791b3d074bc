/**
 * Exceptions of operations, and accesses to memory that fail: which reach the program ("Virtualization Exceptions" among
 * them), and which exit (exception-exits.ts).
 */
import type { Core } from './core.ts'
import { deliverEvent } from './event-delivery.ts'
import { exceptionExits, exitForAccess, exitForException, noteException } from './exception-exits.ts'
import { PRIMARY, SECONDARY } from './formats/controls.ts'
import { VE_INFORMATION } from './formats/ept.ts'
import { EVENT_TYPE } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { FAILURE } from './processor-memory.ts'
import { REGISTER } from './registers.ts'
import { slot } from './vmcs-layout.ts'

const VE_ADDRESS = slot('virtualizationExceptionInformationAddress')
const EPTP_INDEX = slot('eptpIndex')
const { hardwareException } = EVENT_TYPE

/**
 * An exception of the operation that executes; `errorCode` -1 if it has none. `type` and `length` differ from the usual
 * for INT1, INT3 and INTO. It becomes a VM exit, or the program's own affair.
 */
export function raise(
  core: Core,
  vector: number,
  errorCode = -1,
  type: number = hardwareException,
  length = 0,
): void {
  if (exceptionExits(core, vector, errorCode)) {
    exitForException(core, vector, errorCode, type, length)
    return
  }
  noteException(core, vector)
  const { result } = core
  result.outcome = 'exception'
  result.vector = vector
  result.error = errorCode < 0 ? 0 : errorCode
  if (core.eventsThroughIdt) {
    // In the pushed image a fault has RF set: the instruction is to be tried again without its breakpoint.
    if (type === hardwareException && vector !== EXCEPTION.DB) core.registers[REGISTER.rflags]! |= RFLAGS.RF
    deliverEvent(core, type, vector, errorCode, length)
  } else core.registers[REGISTER.rflags]! &= ~RFLAGS.TF // The program's gates are trap gates.
  if (core.guestHas(PRIMARY.monitorTrapFlag)) core.trapPending = true
}

/** The operation's access to memory failed, as `core.access` says. */
export function accessFailed(core: Core): void {
  const { access } = core
  if (access.failure === FAILURE.pageFault) {
    access.tellPageFault()
    raise(core, EXCEPTION.PF, access.paging.errorCode)
  } else if (!becomesVirtualizationException(core)) exitForAccess(core)
}

/** "Convertible EPT Violations": #VE instead of the exit, with the information area written. */
function becomesVirtualizationException(core: Core): boolean {
  const { access, ept, map, vmcs } = core
  if (access.failure !== FAILURE.ept || ept.faultReason !== EXIT_REASON.eptViolation) return false
  if (!core.guestHasSecondary(SECONDARY.eptViolationVe) || !ept.faultConvertible) return false
  const area = vmcs[VE_ADDRESS + 1]! * 2 ** 32 + vmcs[VE_ADDRESS]!
  if (!core.protectedMode || map.readDword(area + VE_INFORMATION.inUse) !== 0) return false
  const { reason, inUse, qualification, guestLinearAddress, guestPhysicalAddress, eptpIndex } = VE_INFORMATION
  map.writeDword(area + reason, EXIT_REASON.eptViolation)
  map.writeDword(area + inUse, 0xffff_ffff)
  map.writeDword(area + qualification, ept.faultQualification)
  map.writeDword(area + qualification + 4, 0)
  map.writeDword(area + guestLinearAddress, access.faultLinear[0]!)
  map.writeDword(area + guestLinearAddress + 4, access.faultLinear[1]!)
  map.writeDword(area + guestPhysicalAddress, access.faultAddress[0]! % 2 ** 32)
  map.writeDword(area + guestPhysicalAddress + 4, Math.floor(access.faultAddress[0]! / 2 ** 32))
  map.writeDword(area + eptpIndex, vmcs[EPTP_INDEX]!, 0xffff)
  raise(core, EXCEPTION.VE)
  return true
}
