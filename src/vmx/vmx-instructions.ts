/** "VMX Instructions" in VMX root operation (and VMXON outside it). Each answers with an error number: see below. */
import { PAGE_SIZE, pageOf } from '../core/index.ts'
import { VMCS_REVISION } from './capabilities.ts'
import { type Core, NO_POINTER } from './core.ts'
import { enterGuest } from './entries.ts'
import { eptRoot, isEptPointerValid } from './ept-pointer.ts'
import { INVEPT, INVVPID } from './formats/ept.ts'
import { INTERRUPTIBILITY } from './formats/events.ts'
import { INSTRUCTION_ERROR } from './formats/instruction-errors.ts'
import type { OperationOf } from './formats/operations.ts'
import { VMCS, vmcsFieldType, vmcsFieldWidth } from './formats/vmcs.ts'
import { REGISTER } from './registers.ts'
import { isCanonical } from './values.ts'
import { HEADER, LAUNCH_STATE, SHADOW_VMCS, slotOf } from './vmcs-layout.ts'

/** VMsucceed. */
export const SUCCEED = 0
/** VMfailInvalid whether or not there is a current VMCS. */
export const FAIL_INVALID = -1

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
  core.monitorArmed = false
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
  const revision = revisionAt(core, address)
  const shadow = revision >= SHADOW_VMCS
  if ((shadow && !core.capabilities.vmcsShadowing) || revision % SHADOW_VMCS !== VMCS_REVISION) {
    return INSTRUCTION_ERROR.vmptrldIncorrectRevision
  }
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

/** Word of an encoding, or 0 if this processor has no such field. */
function fieldSlot({ capabilities }: Core, field: number): number {
  const full = field & ~1
  const ofShadowing = full === VMCS.vmreadBitmapAddress || full === VMCS.vmwriteBitmapAddress
  return ofShadowing && !capabilities.vmcsShadowing ? 0 : slotOf(field)
}

/** `words`: the VMCS, or in a guest with VMCS shadowing the shadow; undefined if there is none. */
export function vmread(core: Core, { field }: OperationOf<'vmread'>, words: Uint32Array | undefined): number {
  if (words === undefined) return FAIL_INVALID
  const at = fieldSlot(core, field)
  if (at === 0) return INSTRUCTION_ERROR.unsupportedComponent
  core.result.setValue(words[at]! | 0, core.code64 && hasHighWord(field) ? words[at + 1]! | 0 : 0)
  return SUCCEED
}

export function vmwrite(
  core: Core,
  { field, value }: OperationOf<'vmwrite'>,
  words: Uint32Array | undefined,
): number {
  if (words === undefined) return FAIL_INVALID
  const at = fieldSlot(core, field)
  if (at === 0) return INSTRUCTION_ERROR.unsupportedComponent
  if (vmcsFieldType(field) === 'exitInformation' && !core.capabilities.vmwriteAnyField)
    return INSTRUCTION_ERROR.vmwriteReadOnly
  words[at] = vmcsFieldWidth(field) === 16 ? value[0] & 0xffff : value[0]
  // Outside 64-bit mode the operand has 32 bits; the others become 0.
  if (hasHighWord(field)) words[at + 1] = core.code64 ? value[1] : 0
  return SUCCEED
}

function hasHighWord(field: number): boolean {
  const width = vmcsFieldWidth(field)
  return (width === 64 || width === 'natural') && !isHighHalf(field)
}

export function vmlaunchOrResume(core: Core, launch: boolean): number {
  if (core.currentPointer === NO_POINTER || (core.vmcs[HEADER.revision]! & SHADOW_VMCS) !== 0)
    return FAIL_INVALID
  if ((core.registers[REGISTER.interruptibility]! & INTERRUPTIBILITY.blockingByMovSs) !== 0) {
    return INSTRUCTION_ERROR.entryBlockedByMovSs
  }
  const launched = core.vmcs[HEADER.launchState] !== LAUNCH_STATE.clear
  if (launch && launched) return INSTRUCTION_ERROR.vmlaunchNonClear
  if (!launch && !launched) return INSTRUCTION_ERROR.vmresumeNonLaunched
  return enterGuest(core)
}

export function invept(core: Core, { type, eptp }: OperationOf<'invept'>): number {
  if (type === INVEPT.allContexts) {
    core.ept.invalidateAll()
    core.linear.invalidateAll()
    return SUCCEED
  }
  if (type !== INVEPT.singleContext) return INSTRUCTION_ERROR.invalidInvalidationOperand
  const low = eptp?.[0] ?? 0
  const high = eptp?.[1] ?? 0
  if (!isEptPointerValid(core, low, high)) return INSTRUCTION_ERROR.invalidInvalidationOperand
  core.ept.invalidate(eptRoot(low, high))
  core.linear.invalidateRoot(eptRoot(low, high))
  return SUCCEED
}

export function invvpid(core: Core, { type, vpid = ZERO, address = ZERO }: OperationOf<'invvpid'>): number {
  const illegal = INSTRUCTION_ERROR.invalidInvalidationOperand
  const number = vpid[0]
  if (type > INVVPID.singleContextRetainingGlobals || number > 0xffff || vpid[1] !== 0) return illegal
  if (number === 0 && type !== INVVPID.allContexts) return illegal
  switch (type) {
    case INVVPID.individualAddress:
      if (!isCanonical(address[1] | 0)) return illegal
      core.linear.invalidatePage((address[1] >>> 0) * 2 ** 20 + (address[0] >>> 12), number)
      break
    case INVVPID.singleContext:
      core.linear.invalidate(number, -1, false)
      break
    case INVVPID.allContexts:
      core.linear.invalidateGuests()
      break
    default:
      core.linear.invalidate(number, -1, true)
  }
  return SUCCEED
}

const ZERO = [0, 0] as const
