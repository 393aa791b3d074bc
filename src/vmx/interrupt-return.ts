/** "IRET" with its frame on the stack in memory, to the same privilege level or an outer one; MOV to RSP. */
import { complete } from './completion.ts'
import type { Core } from './core.ts'
import { accessFailed, raise } from './exceptions.ts'
import { PIN_BASED } from './formats/controls.ts'
import { INTERRUPTIBILITY } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { REGISTER } from './registers.ts'
import { loadCode, loadOuterStack } from './segment-operations.ts'

const { IF, IOPL, VM, RF, TF, NT, AC } = RFLAGS
const ID = 1 << 21
/** CF, PF, AF, ZF, SF, DF, OF. */
const STATUS = 0xcd5

/** What was popped: RIP, CS, RFLAGS, RSP, SS; low and high words. */
const frame = new Uint32Array(10)

export function movToSp(core: Core, { value }: OperationOf<'movToSp'>): void {
  core.registers[REGISTER.rsp] = value[0]
  core.registers[REGISTER.rsp + 1] = core.code64 ? value[1] : 0
  complete(core, LENGTH.movToSp)
}

/** Pops words `from` to `to` of the frame; false: the access failed. */
function pop(core: Core, base: number, size: number, from: number, to: number): boolean {
  const { registers, access } = core
  for (let i = from; i < to; i++) {
    const low = base + i * size
    const carry = low > 0xffff_ffff ? 1 : 0
    const high = size === 8 ? registers[REGISTER.rsp + 1]! + carry : 0
    if (!access.readLinear(low >>> 0, high >>> 0, size, access.accessor)) {
      accessFailed(core)
      return false
    }
    frame[i * 2] = access.value[0]!
    frame[i * 2 + 1] = size === 8 ? access.value[1]! : 0
  }
  return true
}

/** In 64-bit mode SS:RSP are always popped. What a level may not change of the flags stays, silently. */
export function iretFrame(core: Core, { pop: skipped = 0 }: OperationOf<'iretFrame'>): void {
  const { registers } = core
  const long = core.code64
  const size = long ? 8 : 4
  const base = registers[REGISTER.rsp]! + skipped
  if (!pop(core, base, size, 0, 3)) return
  const selector = frame[2]! & 0xffff
  const level = core.currentPrivilegeLevel
  const target = selector & 3
  const outer = target > level
  if (target < level) {
    raise(core, EXCEPTION.GP, selector & 0xfffc)
    return
  }
  if ((long || outer) && !pop(core, base, size, 3, 5)) return
  const old = registers[REGISTER.rflags]!
  if (!loadCode(core, selector, target, true)) return
  if ((long || outer) && !loadOuterStack(core, frame[8]! & 0xffff, target)) return
  complete(core, LENGTH.iretFrame)
  const mayIf = level <= (old & IOPL) >>> 12
  const changed = STATUS | TF | NT | AC | ID | RF | (mayIf ? IF : 0) | (level === 0 ? IOPL : 0)
  registers[REGISTER.rflags] = ((old & ~changed) | (frame[4]! & changed)) & ~VM
  registers[REGISTER.rip] = frame[0]!
  registers[REGISTER.rip + 1] = frame[1]!
  const stays = !long && !outer
  registers[REGISTER.rsp] = stays ? base + 3 * size : frame[6]!
  registers[REGISTER.rsp + 1] = stays ? 0 : frame[7]!
  endNmiBlocking(core)
}

/** "NMI exiting" without "virtual NMIs" leaves blocking by NMI alone. */
function endNmiBlocking(core: Core): void {
  const pin = core.nonRoot ? core.pinControls : 0
  const keeps = (pin & (PIN_BASED.nmiExiting | PIN_BASED.virtualNmis)) === PIN_BASED.nmiExiting
  if (!keeps) core.registers[REGISTER.interruptibility]! &= ~INTERRUPTIBILITY.blockingByNmi
}
