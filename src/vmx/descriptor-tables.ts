/** LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR, and the exits of "descriptor-table exiting". */
import { complete, instructionExit, privileged } from './completion.ts'
import type { Core } from './core.ts'
import { accessFailed, raise } from './exceptions.ts'
import { SECONDARY } from './formats/controls.ts'
import { ACCESS_RIGHTS } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { CR4, EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { ACCESSOR } from './guest-paging.ts'
import { descriptorTableForm, segmentForm } from './instruction-information.ts'
import { REGISTER } from './registers.ts'
import { displacement } from './system-operations.ts'
import { isCanonical } from './values.ts'

type TableOperation = OperationOf<'lgdt' | 'lidt'> | OperationOf<'sgdt' | 'sidt'>
type SegmentOperation = OperationOf<'lldt' | 'ltr'> | OperationOf<'sldt' | 'str'>

const { unusable, P } = ACCESS_RIGHTS
const TYPE = { ldt: 2, availableTss: 9, busyTss: 11, availableTss16: 1, busyTss16: 3 } as const

/** With CR4.UMIP set, what reads the tables belongs to CPL 0. */
function mayStore(core: Core): boolean {
  if (core.currentPrivilegeLevel === 0 || (core.registers[REGISTER.cr4]! & CR4.UMIP) === 0) return true
  raise(core, EXCEPTION.GP, 0)
  return false
}

export function tableAccess(core: Core, operation: TableOperation): void {
  const { op } = operation
  const loads = op === 'lgdt' || op === 'lidt'
  if (loads ? !privileged(core) : !mayStore(core)) return
  const { registers, result } = core
  if (core.guestHasSecondary(SECONDARY.descriptorTableExiting)) {
    displacement(core, operation)
    core.exit.instructionInformation = descriptorTableForm(op, operation)
    instructionExit(core, EXIT_REASON.gdtrIdtrAccess, LENGTH[op])
    return
  }
  const gdt = op === 'lgdt' || op === 'sgdt'
  const base = gdt ? REGISTER.gdtrBase : REGISTER.idtrBase
  const limit = gdt ? REGISTER.gdtrLimit : REGISTER.idtrLimit
  if (operation.op === 'lgdt' || operation.op === 'lidt') {
    if (core.code64 && !isCanonical(operation.base[1] | 0)) {
      raise(core, EXCEPTION.GP, 0)
      return
    }
    registers[base] = operation.base[0]
    registers[base + 1] = core.code64 ? operation.base[1] : 0
    registers[limit] = operation.limit & 0xffff
  } else {
    result.setValue(registers[base]! | 0, registers[base + 1]! | 0)
    result.setRegisters(0, 0, registers[limit]!, 0)
  }
  complete(core, LENGTH[op])
}

export function segmentAccess(core: Core, operation: SegmentOperation): void {
  const { op } = operation
  const { registers } = core
  // In real-address and virtual-8086 mode these are no instructions.
  if (!core.protectedMode || (registers[REGISTER.rflags]! & RFLAGS.VM) !== 0) {
    raise(core, EXCEPTION.UD)
    return
  }
  const loads = op === 'lldt' || op === 'ltr'
  if (loads ? !privileged(core) : !mayStore(core)) return
  if (core.guestHasSecondary(SECONDARY.descriptorTableExiting)) {
    displacement(core, operation)
    core.exit.instructionInformation = segmentForm(op, operation)
    instructionExit(core, EXIT_REASON.ldtrTrAccess, LENGTH[op])
    return
  }
  if ('selector' in operation) {
    if (load(core, op === 'ltr', operation.selector & 0xffff)) complete(core, LENGTH[op])
    return
  }
  core.result.setValue(registers[op === 'sldt' ? REGISTER.ldtrSelector : REGISTER.trSelector]!, 0)
  complete(core, LENGTH[op])
}

/** A system descriptor of the GDT: words, and in IA-32e mode bits 63:32 of the base. */
const descriptor = new Uint32Array(3)

/** Reads a descriptor of the GDT; false: a fault, or an exit of the access, has happened. */
export function readDescriptor(core: Core, selector: number, wide: boolean): boolean {
  const { registers, access } = core
  const offset = selector & 0xfff8
  if ((selector & 4) !== 0 || offset + (wide ? 15 : 7) > registers[REGISTER.gdtrLimit]!) {
    raise(core, EXCEPTION.GP, selector & 0xfffc)
    return false
  }
  for (let half = 0; half < (wide ? 2 : 1); half++) {
    const low = registers[REGISTER.gdtrBase]! + offset + half * 8
    const high = registers[REGISTER.gdtrBase + 1]! + (low > 0xffff_ffff ? 1 : 0)
    if (!access.readLinear(low >>> 0, high >>> 0, 8, ACCESSOR.implicit)) {
      accessFailed(core)
      return false
    }
    if (half === 1) descriptor[2] = access.value[0]!
    else {
      descriptor[0] = access.value[0]!
      descriptor[1] = access.value[1]!
      descriptor[2] = 0
    }
  }
  return true
}

/** Type and S of the descriptor read last, and whether it is present. */
export const descriptorType = (): number => (descriptor[1]! >>> 8) & 0x1f
export const descriptorPresent = (): boolean => (descriptor[1]! & 0x8000) !== 0
export const descriptorLevel = (): number => (descriptor[1]! >>> 13) & 3
/** In the form of the VMCS's access rights. */
export const descriptorRights = (): number => (descriptor[1]! >>> 8) & 0xf0ff
export const descriptorBase = (): number =>
  ((descriptor[1]! & 0xff00_0000) | ((descriptor[1]! & 0xff) << 16) | (descriptor[0]! >>> 16)) >>> 0
export const descriptorLimit = (): number => {
  const limit = ((descriptor[1]! & 0xf_0000) | (descriptor[0]! & 0xffff)) >>> 0
  return (descriptor[1]! & 0x80_0000) === 0 ? limit : limit * 4096 + 4095
}

function load(core: Core, task: boolean, selector: number): boolean {
  const { registers } = core
  if ((selector & 0xfffc) === 0) {
    if (task) {
      raise(core, EXCEPTION.GP, 0)
      return false
    }
    registers[REGISTER.ldtrSelector] = selector
    registers[REGISTER.ldtrAccessRights] = unusable
    return true
  }
  const wide = core.ia32eMode
  if (!readDescriptor(core, selector, wide)) return false
  const type = descriptorType()
  const legal = task
    ? type === TYPE.availableTss || (type === TYPE.availableTss16 && !wide)
    : type === TYPE.ldt
  if (!legal) {
    raise(core, EXCEPTION.GP, selector & 0xfffc)
    return false
  }
  if (!descriptorPresent()) {
    raise(core, EXCEPTION.NP, selector & 0xfffc)
    return false
  }
  const at = task ? REGISTER.trSelector : REGISTER.ldtrSelector
  const base = descriptorBase()
  const rights = task ? REGISTER.trAccessRights : REGISTER.ldtrAccessRights
  const baseRegister = task ? REGISTER.trBase : REGISTER.ldtrBase
  const busy = task ? type | 2 : type
  const top = descriptor[2]!
  if (task && !markBusy(core, selector)) {
    accessFailed(core)
    return false
  }
  registers[at] = selector
  registers[baseRegister] = base
  registers[baseRegister + 1] = top
  registers[task ? REGISTER.trLimit : REGISTER.ldtrLimit] = descriptorLimit()
  registers[rights] = busy | P | ((descriptor[1]! >>> 8) & 0xf060)
  return true
}

/** The busy flag of the descriptor in memory. */
function markBusy(core: Core, selector: number): boolean {
  const { registers, access } = core
  const low = registers[REGISTER.gdtrBase]! + (selector & 0xfff8) + 4
  const high = registers[REGISTER.gdtrBase + 1]! + (low > 0xffff_ffff ? 1 : 0)
  access.value[0] = (descriptor[1]! | 0x200) >>> 0
  return access.writeLinear(low >>> 0, high >>> 0, 4, ACCESSOR.implicit)
}
