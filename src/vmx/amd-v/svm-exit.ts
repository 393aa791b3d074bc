/** #VMEXIT: the guest's state goes to its VMCB, the host's comes back. */
import { type Core, DEBUG } from '../core.ts'
import { NESTED_FAULT_HIGH, SVM_EXIT, VMCB } from '../formats/amd-v.ts'
import { INTERRUPTIBILITY } from '../formats/events.ts'
import { EXCEPTION } from '../formats/msrs.ts'
import { REGISTER } from '../registers.ts'
import {
  at,
  LOADED,
  SWITCHED,
  SYSENTER,
  saveSegment,
  segmentOf,
  TABLES,
  vmcbWords,
  WIDE,
} from './save-area.ts'

const VMRUN_LENGTH = 3

/** #VMEXIT: the guest's state goes to the VMCB, the host's comes back, and the global interrupt flag is clear. */
export function svmExit(core: Core, code: number, info1 = 0, info1High = 0, info2 = 0, info2High = 0): void {
  const { svm, registers, debug } = core
  const words = vmcbWords(core)
  words[at(VMCB.exitCode)] = code
  words[at(VMCB.exitCode) + 1] = 0
  words[at(VMCB.exitInfo1)] = info1
  words[at(VMCB.exitInfo1) + 1] = info1High
  words[at(VMCB.exitInfo2)] = info2
  words[at(VMCB.exitInfo2) + 1] = info2High
  words[at(VMCB.exitInterruptInfo)] = svm.vectoring[0]!
  words[at(VMCB.exitInterruptInfo) + 1] = svm.vectoring[1]!
  svm.vectoring.fill(0)
  for (const [register, offset] of WIDE) {
    words[at(offset)] = registers[register]!
    words[at(offset) + 1] = registers[register + 1]!
  }
  words[at(VMCB.efer)] = registers[REGISTER.efer]!
  words[at(VMCB.cr2)] = debug[DEBUG.cr2]!
  words[at(VMCB.cr2) + 1] = debug[DEBUG.cr2 + 1]!
  words[at(VMCB.dr6)] = debug[DEBUG.dr6]!
  for (const [name, offset] of SWITCHED) saveSegment(core, words, name, offset)
  words[at(VMCB.cpl)] = core.currentPrivilegeLevel << 24
  for (const [base, limit, offset] of TABLES) {
    words[at(offset) + 1] = registers[limit]!
    words[at(offset) + 2] = registers[base]!
    words[at(offset) + 3] = registers[base + 1]!
  }
  const blocked = INTERRUPTIBILITY.blockingBySti | INTERRUPTIBILITY.blockingByMovSs
  words[at(VMCB.interruptShadow)] = (registers[REGISTER.interruptibility]! & blocked) !== 0 ? 1 : 0
  restoreHost(core)
  core.result.outcome = 'vmExit'
}

/** What VMSAVE would save stays the guest's: the hypervisor switches it itself. */
function restoreHost(core: Core): void {
  const { svm, registers } = core
  const kept = new Map<number, number>()
  for (const [name] of LOADED) {
    const { selector, accessRights, limit, base } = segmentOf(name)
    for (const index of [selector, accessRights, limit, base, base + 1]) kept.set(index, registers[index]!)
  }
  for (const [register] of SYSENTER) {
    kept.set(register, registers[register]!)
    kept.set(register + 1, registers[register + 1]!)
  }
  kept.set(REGISTER.sysenterCs, registers[REGISTER.sysenterCs]!)
  registers.set(svm.host)
  for (const [index, value] of kept) registers[index] = value
  registers[REGISTER.rip]! += VMRUN_LENGTH
  svm.guest = false
  svm.globalInterrupts = false
  svm.asid = 0
  svm.nested = false
}

/** Whether the VMCB intercepts an exception. */
export const svmIntercepts = (core: Core, vector: number): boolean =>
  (vmcbWords(core)[at(VMCB.interceptExceptions)]! & (1 << vector)) !== 0

/** EXITINFO1 is the error code, EXITINFO2 the address of a page fault. */
export function svmExitForException(core: Core, vector: number, errorCode: number): void {
  const { faultLinear } = core.access
  const fault = vector === EXCEPTION.PF
  svmExit(
    core,
    SVM_EXIT.exception0 + vector,
    Math.max(errorCode, 0),
    0,
    fault ? faultLinear[0]! : 0,
    fault ? faultLinear[1]! : 0,
  )
}

export function svmExitForNestedFault(core: Core): void {
  const { access, npt } = core
  const address = access.faultAddress[0]!
  const where = access.tableWalk ? NESTED_FAULT_HIGH.guestTable : NESTED_FAULT_HIGH.finalAddress
  svmExit(core, SVM_EXIT.nestedPageFault, npt.faultCode, where, address % 2 ** 32, address / 2 ** 32)
}
