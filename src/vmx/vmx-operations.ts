/**
 * The VMX instructions as a program meets them in each mode: what makes them #UD, exit, or #GP, before what they do in VMX
 * root operation (vmx-instructions.ts), and the flags and the error number in which they answer.
 */
import { pageOf } from '../core/index.ts'
import { CR0_FIXED0, CR4_FIXED0, cr4Allowed } from './capabilities.ts'
import { complete, instructionExit, privileged } from './completion.ts'
import { type Core, NO_POINTER } from './core.ts'
import { isEptPointerValid } from './ept-pointer.ts'
import { raise } from './exceptions.ts'
import { SECONDARY, VM_FUNCTION } from './formats/controls.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { INSTRUCTION_ERROR } from './formats/instruction-errors.ts'
import { CR4, EXCEPTION, FEATURE_CONTROL, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { memoryForm, vmcsAccessForm } from './instruction-information.ts'
import { bitmapBit } from './io-and-msr-exits.ts'
import { REGISTER } from './registers.ts'
import { displacement } from './system-operations.ts'
import { slot } from './vmcs-layout.ts'
import {
  FAIL_INVALID,
  invept,
  invvpid,
  SUCCEED,
  vmclear,
  vmlaunchOrResume,
  vmptrld,
  vmptrst,
  vmread,
  vmwrite,
  vmxoff,
  vmxon,
} from './vmx-instructions.ts'

export type VmxInstruction = OperationOf<
  | 'vmclear'
  | 'vmptrld'
  | 'vmxoff'
  | 'vmlaunch'
  | 'vmresume'
  | 'vmptrst'
  | 'vmread'
  | 'vmwrite'
  | 'invept'
  | 'invvpid'
>

const INSTRUCTION_ERROR_FIELD = slot('instructionError')
const LINK = slot('vmcsLinkPointer')
const VMREAD_BITMAP = slot('vmreadBitmapAddress')
const VMWRITE_BITMAP = slot('vmwriteBitmapAddress')
const VM_FUNCTIONS = slot('vmFunctionControls')
const EPTP_LIST = slot('eptpListAddress')
const EPT_POINTER = slot('eptPointer')
const EPTP_INDEX = slot('eptpIndex')

const ARITHMETIC_FLAGS = RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF
/** Encodings above this have no bit in the VMREAD and VMWRITE bitmaps. */
const LAST_BITMAP_ENCODING = 0x7fff
const VM_FUNCTION_COUNT = 64
const EPTP_LIST_ENTRIES = 512

/** Real-address, virtual-8086 and compatibility mode know no VMX instructions. */
const isVmxMode = (core: Core): boolean =>
  core.protectedMode &&
  (core.registers[REGISTER.rflags]! & RFLAGS.VM) === 0 &&
  (!core.ia32eMode || core.code64)

/** In a guest a hypercall, whatever its mode or CPL; with no SMM monitor, a failure in root operation. */
export function vmcall(core: Core): void {
  if (core.nonRoot) instructionExit(core, EXIT_REASON.vmcall, LENGTH.vmcall)
  else if (!core.vmxOn || !isVmxMode(core)) raise(core, EXCEPTION.UD)
  else if (privileged(core)) conclude(core, INSTRUCTION_ERROR.vmcallInRoot, LENGTH.vmcall)
}

export function enableVmx(core: Core, operation: OperationOf<'vmxon'>): void {
  const { registers } = core
  if (!isVmxMode(core) || (registers[REGISTER.cr4]! & CR4.VMXE) === 0) raise(core, EXCEPTION.UD)
  else if (core.nonRoot) {
    displacement(core, operation)
    core.exit.instructionInformation = memoryForm(operation)
    instructionExit(core, EXIT_REASON.vmxon, LENGTH.vmxon)
  } else if (!privileged(core)) return
  else if (!core.vmxOn && !mayEnable(core)) raise(core, EXCEPTION.GP, 0)
  else conclude(core, vmxon(core, operation.address), LENGTH.vmxon)
}

function mayEnable({ featureControl, registers, capabilities }: Core): boolean {
  const { lock, vmxOutsideSmx } = FEATURE_CONTROL
  const required = lock | vmxOutsideSmx
  return (
    (featureControl & required) === required &&
    (~registers[REGISTER.cr0]! & CR0_FIXED0) === 0 &&
    (~registers[REGISTER.cr4]! & CR4_FIXED0) === 0 &&
    (registers[REGISTER.cr4]! & ~cr4Allowed(capabilities)) === 0
  )
}

export function vmxInstruction(core: Core, operation: VmxInstruction): void {
  const { op } = operation
  if (!core.vmxOn || !isVmxMode(core)) raise(core, EXCEPTION.UD)
  else if (core.nonRoot) inGuest(core, operation)
  else if (privileged(core)) conclude(core, inRoot(core, operation), LENGTH[op])
}

function inGuest(core: Core, operation: VmxInstruction): void {
  const { op } = operation
  if ((op === 'vmread' || op === 'vmwrite') && isShadowed(core, op === 'vmwrite', operation.field)) {
    if (!privileged(core)) return
    const words = shadowWords(core)
    const error = op === 'vmread' ? vmread(core, operation, words) : vmwrite(core, operation, words)
    report(core, error, LENGTH[op])
    return
  }
  switch (op) {
    case 'vmread':
    case 'vmwrite':
      displacement(core, operation)
      core.exit.instructionInformation = vmcsAccessForm(operation)
      break
    case 'vmlaunch':
    case 'vmresume':
    case 'vmxoff':
      break
    default:
      displacement(core, operation)
      core.exit.instructionInformation = memoryForm(operation)
  }
  instructionExit(core, EXIT_REASON[op], LENGTH[op])
}

/** "VMCS Shadowing": the bitmaps say which encodings a guest may access in the shadow without a VM exit. */
function isShadowed(core: Core, write: boolean, field: number): boolean {
  if (!core.guestHasSecondary(SECONDARY.vmcsShadowing) || field > LAST_BITMAP_ENCODING) return false
  return !bitmapBit(core, write ? VMWRITE_BITMAP : VMREAD_BITMAP, field)
}

/** The VMCS that the link pointer names. */
function shadowWords({ vmcs, memory }: Core): Uint32Array | undefined {
  if (vmcs[LINK] === 0xffff_ffff && vmcs[LINK + 1] === 0xffff_ffff) return undefined
  return memory.pageForWrite(pageOf(vmcs[LINK + 1]! * 2 ** 32 + vmcs[LINK]!))?.words
}

function inRoot(core: Core, operation: VmxInstruction): number {
  switch (operation.op) {
    case 'vmread':
      return vmread(core, operation, currentWords(core))
    case 'vmwrite':
      return vmwrite(core, operation, currentWords(core))
    case 'vmresume':
    case 'vmlaunch':
      return vmlaunchOrResume(core, operation.op === 'vmlaunch')
    case 'vmptrld':
      return vmptrld(core, operation.address)
    case 'vmptrst':
      return vmptrst(core)
    case 'vmclear':
      return vmclear(core, operation.address)
    case 'vmxoff':
      return vmxoff(core)
    case 'invept':
      return invept(core, operation)
    case 'invvpid':
      return invvpid(core, operation)
  }
}

const currentWords = (core: Core): Uint32Array | undefined =>
  core.currentPointer === NO_POINTER ? undefined : core.vmcs

/**
 * A VM entry that got as far as the guest, or came back from it by a late failure, has replaced the registers and
 * concludes nothing.
 */
function conclude(core: Core, error: number, length: number): void {
  if (!core.nonRoot && core.result.outcome === 'done') report(core, error, length)
}

/** "Conventions": VMsucceed, VMfailInvalid, VMfailValid. */
function report(core: Core, error: number, length: number): void {
  const { registers, result } = core
  registers[REGISTER.rflags]! &= ~ARITHMETIC_FLAGS
  if (error !== SUCCEED) {
    const valid = error !== FAIL_INVALID && core.currentPointer !== NO_POINTER
    registers[REGISTER.rflags]! |= valid ? RFLAGS.ZF : RFLAGS.CF
    result.outcome = valid ? 'vmFailValid' : 'vmFailInvalid'
    if (valid) {
      core.vmcs[INSTRUCTION_ERROR_FIELD] = error
      result.error = error
    }
  }
  complete(core, length)
}

/** "VM Functions": without the control, or beyond function 63, #UD; a function that is not enabled, or fails, exits. */
export function vmfunc(core: Core, operation: OperationOf<'vmfunc'>): void {
  const enabled = core.guestHasSecondary(SECONDARY.enableVmFunctions)
  if (!enabled || operation.function >= VM_FUNCTION_COUNT) raise(core, EXCEPTION.UD)
  else if (operation.function === 0 && switchEptPointer(core, operation.index)) complete(core, LENGTH.vmfunc)
  else instructionExit(core, EXIT_REASON.vmfunc, LENGTH.vmfunc)
}

/** "EPTP Switching". PDPTEs are not loaded again. */
function switchEptPointer(core: Core, index: number): boolean {
  const { vmcs, map } = core
  if ((vmcs[VM_FUNCTIONS]! & VM_FUNCTION.eptpSwitching) === 0 || index >= EPTP_LIST_ENTRIES) return false
  const entry = vmcs[EPTP_LIST + 1]! * 2 ** 32 + vmcs[EPTP_LIST]! + index * 8
  const low = map.readDword(entry)
  const high = map.readDword(entry + 4)
  if (!isEptPointerValid(core, low, high)) return false
  vmcs[EPT_POINTER] = low
  vmcs[EPT_POINTER + 1] = high
  vmcs[EPTP_INDEX] = index
  if (!core.guestHasSecondary(SECONDARY.enableVpid)) core.linear.invalidate(0, -1, false)
  return true
}
