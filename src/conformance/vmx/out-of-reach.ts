/** What no operation of this core can cause, and why. */
import type { ExitReasonName } from '../../vmx/formats/exit-reasons.ts'

const NO_SMM = 'system-management mode is not modelled'
const NO_SGX = 'SGX is not modelled'
const NO_TDX = 'SEAM is not modelled'
const NO_INSTRUCTION = 'the core has no such operation'

export const UNREACHABLE_EXITS: Readonly<Partial<Record<ExitReasonName, string>>> = {
  ioSmi: NO_SMM,
  otherSmi: NO_SMM,
  rsm: `${NO_SMM}: RSM raises #UD`,
  entryFailureMachineCheck: 'machine checks do not occur',
  encls: NO_SGX,
  enclv: NO_SGX,
  pconfig: NO_INSTRUCTION,
  subPagePermissionEvent: 'sub-page write permissions are not modelled',
  loadiwkey: NO_INSTRUCTION,
  enqcmdPasid: NO_INSTRUCTION,
  enqcmdsPasid: NO_INSTRUCTION,
  busLock: 'bus locks do not occur',
  instructionTimeout: 'every operation ends at once',
  seamcall: NO_TDX,
  tdcall: NO_TDX,
  rdmsrlist: NO_INSTRUCTION,
  wrmsrlist: NO_INSTRUCTION,
  urdmsr: NO_INSTRUCTION,
  uwrmsr: NO_INSTRUCTION,
  rdmsrImmediate: NO_INSTRUCTION,
  wrmsrnsImmediate: NO_INSTRUCTION,
}

const NO_MONITOR = 'the dual-monitor treatment of SMIs and SMM is not modelled'

export const UNREACHABLE_ERRORS: Readonly<Record<number, string>> = {
  6: 'VMXOFF leaves no VMCS unusable here',
  16: NO_MONITOR,
  17: NO_MONITOR,
  18: NO_MONITOR,
  19: NO_MONITOR,
  20: NO_MONITOR,
  22: NO_MONITOR,
  23: NO_MONITOR,
  24: NO_MONITOR,
  25: NO_MONITOR,
}
