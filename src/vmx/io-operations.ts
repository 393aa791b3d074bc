/** IN, OUT, INS, OUTS, and the VM exits that I/O bitmaps or unconditional I/O exiting ask for. */
import { complete, instructionExit } from './completion.ts'
import type { Core } from './core.ts'
import { accessFailed, raise } from './exceptions.ts'
import { IO_QUALIFICATION, ioQualification } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH, PORT_IMMEDIATE, REP_PREFIX } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { stringForm } from './instruction-information.ts'
import { ioExits } from './io-and-msr-exits.ts'
import { REGISTER } from './registers.ts'

/**
 * I/O and the interrupt flag belong to privilege levels up to IOPL. The I/O-permission bitmap in the TSS is not read: above
 * IOPL there is no access.
 */
export function ioPrivileged(core: Core): boolean {
  const iopl = (core.registers[REGISTER.rflags]! & RFLAGS.IOPL) >>> 12
  if (core.currentPrivilegeLevel <= iopl) return true
  raise(core, EXCEPTION.GP, 0)
  return false
}

export function portAccess(core: Core, operation: OperationOf<'in'> | OperationOf<'out'>): void {
  if (!ioPrivileged(core)) return
  const { port, width } = operation
  const immediate = operation.immediate === true
  const length = LENGTH.in + (immediate ? PORT_IMMEDIATE : 0)
  if (core.nonRoot && ioExits(core, port, width)) {
    const form = immediate ? IO_QUALIFICATION.immediate : 0
    core.exit.qualification[0] = ioQualification(port, width, operation.op === 'in') | form
    instructionExit(core, EXIT_REASON.ioInstruction, length)
    return
  }
  if (operation.op === 'in') core.result.setValue(core.ports.in(port, width) | 0, 0)
  else core.ports.out(port, width, operation.value)
  complete(core, length)
}

/** One iteration. The exit comes before the memory operand is looked at. */
export function stringPortAccess(core: Core, operation: OperationOf<'ins'> | OperationOf<'outs'>): void {
  if (!ioPrivileged(core)) return
  const { port, width, address } = operation
  const input = operation.op === 'ins'
  const rep = operation.rep === true
  const length = LENGTH.ins + (rep ? REP_PREFIX : 0)
  const { access, exit } = core
  if (core.nonRoot && ioExits(core, port, width)) {
    const form = IO_QUALIFICATION.string | (rep ? IO_QUALIFICATION.rep : 0)
    exit.qualification[0] = ioQualification(port, width, input) | form
    exit.instructionInformation = stringForm(operation, input)
    exit.linear[0] = address[0]
    exit.linear[1] = address[1]
    exit.hasLinear = true
    instructionExit(core, EXIT_REASON.ioInstruction, length)
    return
  }
  if (input) {
    access.value[0] = core.ports.in(port, width)
    access.value[1] = 0
    if (!access.writeLinear(address[0], address[1], width, access.accessor)) {
      accessFailed(core)
      return
    }
  } else {
    if (!access.readLinear(address[0], address[1], width, access.accessor)) {
      accessFailed(core)
      return
    }
    core.ports.out(port, width, access.value[0]!)
  }
  complete(core, length)
}
