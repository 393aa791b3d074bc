/** "VMX Instructions" in VMX root operation (and VMXON outside it). Each answers with an error number: see below. */
import { PAGE_SIZE, pageOf } from '../core/index.ts'
import { VMCS_REVISION } from './capabilities.ts'
import { type Core, NO_POINTER } from './core.ts'
import { enterGuest } from './entries.ts'
import { eptRoot, isEptPointerValid } from './ept-pointer.ts'
import { INVEPT } from './formats/ept.ts'
import { INTERRUPTIBILITY } from './formats/events.ts'
import { INSTRUCTION_ERROR } from './formats/instruction-errors.ts'
import type { Operation } from './formats/operations.ts'
import { vmcsFieldType, vmcsFieldWidth } from './formats/vmcs.ts'
import { REGISTER } from './registers.ts'
import { HEADER, LAUNCH_STATE, slotOf } from './vmcs-layout.ts'

/** VMsucceed. */
export const SUCCEED = 0
/** VMfailInvalid whether or not there is a current VMCS. */
export const FAIL_INVALID = -1

type Of<Name extends Operation['op']> = Extract<Operation, { op: Name }>

/** 4-KiB aligned and within MAXPHYADDR. */
const isRegionAddress = (core: Core, address: number): boolean =>
  address >= 0 && address % PAGE_SIZE === 0 && address < 2 ** core.capabilities.physicalAddressWidth

/** Bits 31:0 of a region: revision identifier and shadow-VMCS indicator. Where there is no RAM, ones. */
const revisionAt = (core: Core, address: number): number =>
  core.memory.page(pageOf(address))?.words[HEADER.revision] ?? 0xffff_ffff

export function vmxon(core: Core, address: number): number {
  if (core.vmxOn) return INSTRUCTION_ERROR.vmxonInRoot
  if (!isRegionAddress(core, address) || revisionAt(core, address) !== VMCS_REVISION) return FAIL_INVALID
  core.vmxOn = true
  core.vmxonPointer = address
  core.setCurrentPointer(NO_POINTER)
  return SUCCEED
}

export function vmxoff(core: Core): number {
  core.vmxOn = false
  core.vmxonPointer = NO_POINTER
  core.setCurrentPointer(NO_POINTER)
  return SUCCEED
}

/** The VMCS is only ever in memory, so there is nothing to write back. */
export function vmclear(core: Core, address: number): number {
  if (!isRegionAddress(core, address)) return INSTRUCTION_ERROR.vmclearInvalidAddress
  if (address === core.vmxonPointer) return INSTRUCTION_ERROR.vmclearVmxonPointer
  core.memory.writeDword(address + HEADER.launchState * 4, LAUNCH_STATE.clear)
  if (address === core.currentPointer) core.setCurrentPointer(NO_POINTER)
  return SUCCEED
}

export function vmptrld(core: Core, address: number): number {
  if (!isRegionAddress(core, address)) return INSTRUCTION_ERROR.vmptrldInvalidAddress
  if (address === core.vmxonPointer) return INSTRUCTION_ERROR.vmptrldVmxonPointer
  if (revisionAt(core, address) !== VMCS_REVISION) return INSTRUCTION_ERROR.vmptrldIncorrectRevision
  core.setCurrentPointer(address)
  return SUCCEED
}

export function vmptrst(core: Core): number {
  const pointer = core.currentPointer
  if (pointer === NO_POINTER) core.result.setValue(0xffff_ffff, 0xffff_ffff)
  else core.result.setValue(pointer, pointer / 2 ** 32)
  return SUCCEED
}

/** Whether an encoding names bits 63:32 of a field only. */
const isHighHalf = (encoding: number): boolean => (encoding & 1) !== 0

export function vmread(core: Core, { field }: Of<'vmread'>): number {
  if (core.currentPointer === NO_POINTER) return FAIL_INVALID
  const at = slotOf(field)
  if (at === 0) return INSTRUCTION_ERROR.unsupportedComponent
  const width = vmcsFieldWidth(field)
  const wide = (width === 64 || width === 'natural') && !isHighHalf(field)
  core.result.setValue(core.vmcs[at]! | 0, wide ? core.vmcs[at + 1]! | 0 : 0)
  return SUCCEED
}

export function vmwrite(core: Core, { field, value }: Of<'vmwrite'>): number {
  if (core.currentPointer === NO_POINTER) return FAIL_INVALID
  const at = slotOf(field)
  if (at === 0) return INSTRUCTION_ERROR.unsupportedComponent
  if (vmcsFieldType(field) === 'exitInformation') return INSTRUCTION_ERROR.vmwriteReadOnly
  const { vmcs } = core
  const width = vmcsFieldWidth(field)
  vmcs[at] = width === 16 ? value[0] & 0xffff : value[0]
  if ((width === 64 || width === 'natural') && !isHighHalf(field)) vmcs[at + 1] = value[1]
  return SUCCEED
}

export function vmlaunchOrResume(core: Core, launch: boolean): number {
  if (core.currentPointer === NO_POINTER) return FAIL_INVALID
  if ((core.registers[REGISTER.interruptibility]! & INTERRUPTIBILITY.blockingByMovSs) !== 0) {
    return INSTRUCTION_ERROR.entryBlockedByMovSs
  }
  const launched = core.vmcs[HEADER.launchState] !== LAUNCH_STATE.clear
  if (launch && launched) return INSTRUCTION_ERROR.vmlaunchNonClear
  if (!launch && !launched) return INSTRUCTION_ERROR.vmresumeNonLaunched
  return enterGuest(core)
}

export function invept(core: Core, { type, eptp }: Of<'invept'>): number {
  if (type === INVEPT.allContexts) {
    core.ept.invalidateAll()
    return SUCCEED
  }
  if (type !== INVEPT.singleContext) return INSTRUCTION_ERROR.invalidInvalidationOperand
  const low = eptp?.[0] ?? 0
  const high = eptp?.[1] ?? 0
  if (!isEptPointerValid(core, low, high)) return INSTRUCTION_ERROR.invalidInvalidationOperand
  core.ept.invalidate(eptRoot(low, high))
  return SUCCEED
}
