/** Events that a program raises on purpose: INT n, INT3, INTO, INT1, UD2; faults from outside this core; task switches. */
import { complete, instructionExit } from './completion.ts'
import type { Core } from './core.ts'
import { descriptorLimit, descriptorPresent, descriptorType, readDescriptor } from './descriptor-tables.ts'
import { deliverEvent } from './event-delivery.ts'
import { raise } from './exceptions.ts'
import { PRIMARY } from './formats/controls.ts'
import { EVENT_TYPE, TASK_SWITCH_SOURCE } from './formats/events.ts'
import { EXIT_REASON } from './formats/exit-reasons.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf } from './formats/operations.ts'
import { REGISTER } from './registers.ts'

const { softwareInterrupt, softwareException, privilegedSoftwareException } = EVENT_TYPE

/** INT n is no exception: the exception bitmap does not apply to it. */
export function softwareInterruptOf(core: Core, { vector }: OperationOf<'int'>): void {
  const { result, registers } = core
  if (
    (registers[REGISTER.rflags]! & RFLAGS.VM) !== 0 &&
    (registers[REGISTER.rflags]! & RFLAGS.IOPL) !== RFLAGS.IOPL
  ) {
    raise(core, EXCEPTION.GP, 0)
    return
  }
  result.outcome = 'exception'
  result.vector = vector
  if (core.eventsThroughIdt) {
    deliverEvent(core, softwareInterrupt, vector, -1, LENGTH.int)
  } else complete(core, LENGTH.int)
  if (core.guestHas(PRIMARY.monitorTrapFlag)) core.trapPending = true
}

export function softwareExceptionOf(core: Core, { op }: OperationOf<'int3' | 'into' | 'int1' | 'ud2'>): void {
  switch (op) {
    case 'int3':
      raise(core, EXCEPTION.BP, -1, softwareException, LENGTH.int3)
      break
    case 'into':
      raise(core, EXCEPTION.OF, -1, softwareException, LENGTH.into)
      break
    case 'int1':
      raise(core, EXCEPTION.DB, -1, privilegedSoftwareException, LENGTH.int1)
      break
    default:
      raise(core, EXCEPTION.UD)
  }
}

const TSS = { available16: 1, busy16: 3, available: 9, busy: 11 } as const
const TSS_LIMIT = 0x67
const TSS_LIMIT_16 = 0x2b

/**
 * "Task Switches": the checks that may fault come first, then a guest always exits. IA-32e mode has no task switches; and
 * outside a guest this core does not carry one out: both end in #GP.
 */
export function taskSwitch(core: Core, { selector, source }: OperationOf<'taskSwitch'>): void {
  const error = selector & 0xfffc
  if (!core.protectedMode || core.ia32eMode || !core.nonRoot) {
    raise(core, EXCEPTION.GP, error)
    return
  }
  if (!readDescriptor(core, selector, false)) return
  const type = descriptorType()
  const returns = source === TASK_SWITCH_SOURCE.iret
  const legal = returns
    ? type === TSS.busy || type === TSS.busy16
    : type === TSS.available || type === TSS.available16
  const wide = (type & 8) !== 0
  if (!legal) raise(core, returns ? EXCEPTION.TS : EXCEPTION.GP, error)
  else if (!descriptorPresent()) raise(core, EXCEPTION.NP, error)
  else if (descriptorLimit() < (wide ? TSS_LIMIT : TSS_LIMIT_16)) raise(core, EXCEPTION.TS, error)
  else {
    core.exit.qualification[0] = ((source << 30) | selector) >>> 0
    instructionExit(core, EXIT_REASON.taskSwitch, LENGTH.taskSwitch)
  }
}
