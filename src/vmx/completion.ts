/** How an operation ends: it completes, or it exits; and what the boundary after it has to remember. */
import type { Core } from './core.ts'
import { raise } from './exceptions.ts'
import { vmExit } from './exits.ts'
import { PRIMARY } from './formats/controls.ts'
import { DEBUG_CONDITION, INTERRUPTIBILITY } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { REGISTER } from './registers.ts'

const { blockingBySti, blockingByMovSs } = INTERRUPTIBILITY
const BTF = 1 << 1

/** The operation is over: RIP moves on, and blocking by an earlier STI or MOV SS ends. */
export function complete(core: Core, length: number): void {
  const { registers } = core
  const rip = registers[REGISTER.rip]! + length
  registers[REGISTER.rip] = rip
  if (rip > 0xffff_ffff) registers[REGISTER.rip + 1]!++
  registers[REGISTER.interruptibility]! &= ~(blockingBySti | blockingByMovSs)
  const flags = registers[REGISTER.rflags]!
  registers[REGISTER.rflags] = flags & ~RFLAGS.RF
  if ((flags & RFLAGS.TF) !== 0 && (registers[REGISTER.debugctl]! & BTF) === 0) {
    registers[REGISTER.pendingDebug]! |= DEBUG_CONDITION.BS
  }
  if (core.guestHas(PRIMARY.monitorTrapFlag)) core.trapPending = true
}

/** A fault-like exit whose cause is the operation: RIP stays on it. */
export function instructionExit(core: Core, reason: number, length: number): void {
  core.exit.instructionLength = length
  vmExit(core, reason)
}

/** Raises #GP(0) unless the program runs at CPL 0. True: it does. */
export function privileged(core: Core): boolean {
  if (core.currentPrivilegeLevel === 0) return true
  raise(core, EXCEPTION.GP, 0)
  return false
}
