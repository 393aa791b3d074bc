/** The flags and what hangs on them: STI, CLI, PUSHF, POPF, IRET, MOV SS; and the fast system calls. */
import { complete, privileged } from './completion.ts'
import type { Core } from './core.ts'
import { raise } from './exceptions.ts'
import { PIN_BASED } from './formats/controls.ts'
import { ACCESS_RIGHTS, INTERRUPTIBILITY } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { ioPrivileged } from './io-operations.ts'
import { REGISTER, withPrivilegeLevel } from './registers.ts'
import { isCanonical } from './values.ts'

const { blockingBySti, blockingByMovSs, blockingByNmi } = INTERRUPTIBILITY
const { IF, IOPL, VM, RF, TF, AC, NT } = RFLAGS
const ID = 1 << 21
/** CF, PF, AF, ZF, SF, DF, OF. */
const STATUS = 0xcd5

/** STI holds interrupts off until after the next operation, if they were off before. */
export function setInterruptFlag(core: Core, on: boolean): void {
  if (!ioPrivileged(core)) return
  const { registers } = core
  const wasOn = (registers[REGISTER.rflags]! & IF) !== 0
  complete(core, LENGTH.sti)
  if (on) registers[REGISTER.rflags]! |= IF
  else registers[REGISTER.rflags]! &= ~IF
  if (on && !wasOn) registers[REGISTER.interruptibility]! |= blockingBySti
}

export function movSs(core: Core): void {
  complete(core, LENGTH.movSs)
  core.registers[REGISTER.interruptibility]! |= blockingByMovSs
}

/** In virtual-8086 mode PUSHF and POPF need IOPL 3. */
function mayTouchFlags(core: Core): boolean {
  const flags = core.registers[REGISTER.rflags]!
  if ((flags & VM) === 0 || (flags & IOPL) === IOPL) return true
  raise(core, EXCEPTION.GP, 0)
  return false
}

/** The pushed image has VM and RF clear. */
export function pushf(core: Core): void {
  if (!mayTouchFlags(core)) return
  core.result.setValue(core.registers[REGISTER.rflags]! & ~(VM | RF), 0)
  complete(core, LENGTH.pushf)
}

/** POPF drops what the privilege level may not change, silently: IF above IOPL, IOPL above CPL 0. */
export function popf(core: Core, { flags }: OperationOf<'popf'>): void {
  if (!mayTouchFlags(core)) return
  const { registers } = core
  const old = registers[REGISTER.rflags]!
  const level = core.currentPrivilegeLevel
  const mayIf = level <= (old & IOPL) >>> 12
  const changed = STATUS | TF | NT | AC | ID | (mayIf ? IF : 0) | (level === 0 ? IOPL : 0)
  complete(core, LENGTH.popf)
  registers[REGISTER.rflags] = (old & ~(changed | RF)) | (flags & changed)
}

/** IRET within a privilege level. "NMI exiting" without "virtual NMIs" leaves blocking by NMI alone. */
export function iret(core: Core, { interruptFlag }: OperationOf<'iret'>): void {
  const { registers } = core
  const pin = core.nonRoot ? core.pinControls : 0
  const keeps = (pin & (PIN_BASED.nmiExiting | PIN_BASED.virtualNmis)) === PIN_BASED.nmiExiting
  if (!keeps) registers[REGISTER.interruptibility]! &= ~blockingByNmi
  if (interruptFlag === false) registers[REGISTER.rflags]! &= ~IF
  else registers[REGISTER.rflags]! |= IF
  complete(core, LENGTH.iret)
}

/** A far jump within a privilege level. The descriptor is not read: the segment is flat, of the size asked for. */
export function jumpFar(core: Core, { bits }: OperationOf<'jumpFar'>): void {
  const { registers } = core
  if (bits === 64 && !core.ia32eMode) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  const { L, DB } = ACCESS_RIGHTS
  const size = bits === 64 ? L : bits === 32 ? DB : 0
  registers[REGISTER.csAccessRights] = (registers[REGISTER.csAccessRights]! & ~(L | DB)) | size
  complete(core, LENGTH.jumpFar)
}

/** SYSENTER: to CPL 0 at the address and stack that three MSRs name, interrupts off. */
export function sysenter(core: Core): void {
  const { registers } = core
  const selector = registers[REGISTER.sysenterCs]! & 0xfffc
  if (!core.protectedMode || selector === 0) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  complete(core, LENGTH.sysenter)
  registers[REGISTER.rflags]! &= ~(VM | IF | RF)
  jump(core, selector, 0, core.ia32eMode)
  for (let word = 0; word < 2; word++) {
    registers[REGISTER.rip + word] = registers[REGISTER.sysenterEip + word]!
    registers[REGISTER.rsp + word] = registers[REGISTER.sysenterEsp + word]!
  }
}

/** SYSEXIT with a 64-bit operand: to CPL 3. */
export function sysexit(core: Core, { rip, rsp }: OperationOf<'sysexit'>): void {
  const { registers } = core
  const selector = registers[REGISTER.sysenterCs]! & 0xfffc
  if (selector === 0) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  if (!privileged(core)) return
  if (!isCanonical(rip[1] | 0) || !isCanonical(rsp[1] | 0)) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  complete(core, LENGTH.sysexit)
  jump(core, (selector + (core.ia32eMode ? 32 : 16)) | 3, 3, core.ia32eMode)
  for (let word = 0; word < 2; word++) {
    registers[REGISTER.rip + word] = rip[word as 0 | 1]
    registers[REGISTER.rsp + word] = rsp[word as 0 | 1]
  }
}

/** Flat code and stack segments of a privilege level. */
function jump(core: Core, selector: number, level: number, long: boolean): void {
  const { registers } = core
  const { L, DB, S, P, G } = ACCESS_RIGHTS
  registers[REGISTER.csSelector] = selector
  registers[REGISTER.ssSelector] = selector + 8
  registers[REGISTER.csAccessRights] = withPrivilegeLevel(11 | S | P | G | (long ? L : DB), level)
  registers[REGISTER.ssAccessRights] = withPrivilegeLevel(3 | S | P | G | DB, level)
  for (const base of [REGISTER.csBase, REGISTER.ssBase]) registers[base] = 0
}
