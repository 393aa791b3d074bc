/**
 * "Interrupt Descriptor Table (IDT)": an event's way through its gate, and the frame on the handler's stack; in 64-bit,
 * protected and real-address mode. The code segment's descriptor is not read: a handler runs at the privilege level that
 * the gate's selector names, in a flat segment.
 */
import type { Core } from './core.ts'
import { ACCESS_RIGHTS, EVENT_TYPE } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { ACCESSOR } from './guest-paging.ts'
import { REGISTER, withPrivilegeLevel } from './registers.ts'
import { isCanonical } from './values.ts'

export interface Delivery {
  type: number
  vector: number
  /** -1: none is pushed. */
  errorCode: number
  length: number
}

/** How delivery failed: an exception in {@link fault}, an access as `core.access` says, a task gate with its selector. */
export const FAULT = { none: 0, exception: 1, access: 2, taskGate: 3 } as const
export const fault = { vector: 0, errorCode: 0 }

const GATE = { task: 5, interrupt16: 6, trap16: 7, interrupt32: 14, trap32: 15 } as const
const { externalInterrupt, nmi, hardwareException, privilegedSoftwareException } = EVENT_TYPE
/** Flags that every gate clears. */
const CLEARED = RFLAGS.TF | RFLAGS.NT | RFLAGS.RF | RFLAGS.VM

function fails(vector: number, errorCode: number): number {
  fault.vector = vector
  fault.errorCode = errorCode
  return FAULT.exception
}

/** EXT: the event came from outside the program. */
const external = ({ type }: Delivery): number =>
  type === externalInterrupt ||
  type === nmi ||
  type === hardwareException ||
  type === privilegedSoftwareException
    ? 1
    : 0

/** Error code that names a gate of the IDT. */
const gateError = (event: Delivery): number => (event.vector << 3) | 2 | external(event)

/** Reads two words at a linear address plus an offset, as the processor's own access. */
function readAt(core: Core, register: number, offset: number): boolean {
  const { registers, access } = core
  const low = registers[register]! + offset
  const carry = low > 0xffff_ffff ? 1 : 0
  return access.readLinear(low >>> 0, (registers[register + 1]! + carry) >>> 0, 8, ACCESSOR.implicit)
}

/** Delivers through the IDT of the running program; one of {@link FAULT}. */
export function deliverThroughIdt(core: Core, event: Delivery): number {
  if (!core.protectedMode) return deliverThroughIvt(core, event)
  return deliverThroughGate(core, event, core.ia32eMode)
}

function deliverThroughGate(core: Core, event: Delivery, long: boolean): number {
  const { registers, access } = core
  const offset = event.vector * (long ? 16 : 8)
  const size = long ? 16 : 8
  if (offset + size - 1 > registers[REGISTER.idtrLimit]!) return fails(EXCEPTION.GP, gateError(event))
  let targetHigh = 0
  if (long) {
    if (!readAt(core, REGISTER.idtrBase, offset + 8)) return FAULT.access
    targetHigh = access.value[0]!
  }
  if (!readAt(core, REGISTER.idtrBase, offset)) return FAULT.access
  const low = access.value[0]!
  const high = access.value[1]!
  const type = (high >>> 8) & 0x1f
  const selector = low >>> 16
  const isGate = type === GATE.interrupt32 || type === GATE.trap32
  const isLegacy = !long && (type === GATE.task || type === GATE.interrupt16 || type === GATE.trap16)
  if (!isGate && !isLegacy) return fails(EXCEPTION.GP, gateError(event))
  const software = external(event) === 0
  if (software && ((high >>> 13) & 3) < core.currentPrivilegeLevel)
    return fails(EXCEPTION.GP, gateError(event))
  if ((high & 0x8000) === 0) return fails(EXCEPTION.NP, gateError(event))
  if (type === GATE.task) {
    fault.errorCode = selector
    return FAULT.taskGate
  }
  if ((selector & ~3) === 0) return fails(EXCEPTION.GP, external(event))
  const wide = type === GATE.interrupt32 || type === GATE.trap32
  const target = ((wide ? high & 0xffff_0000 : 0) | (low & 0xffff)) >>> 0
  const level = Math.min(selector & 3, core.currentPrivilegeLevel)
  const changes = level < core.currentPrivilegeLevel
  if (!findStack(core, long, changes, level, long ? high & 7 : 0)) return FAULT.access
  if (long && !isCanonical(stack[1]! | 0)) return fails(EXCEPTION.SS, external(event))
  if (!push(core, event, long ? 8 : wide ? 4 : 2, long || changes, level)) return FAULT.access
  registers[REGISTER.rsp] = stack[0]!
  registers[REGISTER.rsp + 1] = stack[1]!
  registers[REGISTER.rip] = target
  registers[REGISTER.rip + 1] = targetHigh
  registers[REGISTER.csSelector] = (selector & ~3) | level
  if (changes) registers[REGISTER.ssSelector] = long ? level : stack[2]!
  registers[REGISTER.csAccessRights] = withPrivilegeLevel(registers[REGISTER.csAccessRights]!, level)
  if (long)
    registers[REGISTER.csAccessRights] =
      (registers[REGISTER.csAccessRights]! | ACCESS_RIGHTS.L) & ~ACCESS_RIGHTS.DB
  registers[REGISTER.ssAccessRights] = withPrivilegeLevel(registers[REGISTER.ssAccessRights]!, level)
  const interruptGate = type === GATE.interrupt32 || type === GATE.interrupt16
  registers[REGISTER.rflags]! &= ~(CLEARED | (interruptGate ? RFLAGS.IF : 0))
  return FAULT.none
}

/** RSP of the handler, low and high word, and SS outside IA-32e mode. */
const stack = new Uint32Array(3)

/** The stack that the handler gets: the present one, or one that the TSS names for its privilege level, or by IST. */
function findStack(core: Core, long: boolean, changes: boolean, level: number, ist: number): boolean {
  const { registers, access } = core
  if (!changes && ist === 0) {
    stack[0] = long ? registers[REGISTER.rsp]! & ~0xf : registers[REGISTER.rsp]!
    stack[1] = registers[REGISTER.rsp + 1]!
    return true
  }
  const offset = long ? (ist === 0 ? 4 + 8 * level : 0x1c + 8 * ist) : 4 + 8 * level
  if (!readAt(core, REGISTER.trBase, offset)) return false
  stack[0] = long ? access.value[0]! & ~0xf : access.value[0]!
  stack[1] = long ? access.value[1]! : 0
  stack[2] = access.value[1]! & 0xffff
  return true
}

function pushWord(core: Core, size: number, low: number, high: number, level: number): boolean {
  const { access, registers } = core
  const borrow = stack[0]! < size ? 1 : 0
  stack[0] = stack[0]! - size
  stack[1] = size === 8 ? stack[1]! - borrow : 0
  access.value[0] = low
  access.value[1] = high
  const base = size === 8 ? 0 : registers[REGISTER.ssBase]!
  const accessor = level === 3 ? ACCESSOR.user : ACCESSOR.supervisor
  return access.writeLinear((stack[0]! + base) >>> 0, stack[1]!, size, accessor)
}

function push(core: Core, event: Delivery, size: number, withStack: boolean, level: number): boolean {
  const { registers } = core
  if (withStack) {
    if (!pushWord(core, size, registers[REGISTER.ssSelector]!, 0, level)) return false
    if (!pushWord(core, size, registers[REGISTER.rsp]!, registers[REGISTER.rsp + 1]!, level)) return false
  }
  const { type } = event
  const returns =
    registers[REGISTER.rip]! +
    (external(event) === 0 || type === privilegedSoftwareException ? event.length : 0)
  const carry = returns > 0xffff_ffff ? 1 : 0
  return (
    pushWord(core, size, registers[REGISTER.rflags]!, 0, level) &&
    pushWord(core, size, registers[REGISTER.csSelector]!, 0, level) &&
    pushWord(core, size, returns >>> 0, registers[REGISTER.rip + 1]! + carry, level) &&
    (event.errorCode < 0 || pushWord(core, size, event.errorCode, 0, level))
  )
}

/** "Real-Address Mode Interrupt Handling": 4-byte entries, three 16-bit words on the stack, no error code. */
function deliverThroughIvt(core: Core, event: Delivery): number {
  const { registers, access } = core
  const offset = event.vector * 4
  if (offset + 3 > registers[REGISTER.idtrLimit]!) return fails(EXCEPTION.GP, 0)
  if (!access.readLinear((registers[REGISTER.idtrBase]! + offset) >>> 0, 0, 4, ACCESSOR.implicit))
    return FAULT.access
  const entry = access.value[0]!
  stack[0] = registers[REGISTER.rsp]!
  stack[1] = 0
  if (!push(core, { ...event, errorCode: -1 }, 2, false, 0)) return FAULT.access
  registers[REGISTER.rsp] = (registers[REGISTER.rsp]! & 0xffff_0000) | (stack[0]! & 0xffff)
  registers[REGISTER.rip] = entry & 0xffff
  registers[REGISTER.rip + 1] = 0
  registers[REGISTER.csSelector] = entry >>> 16
  registers[REGISTER.csBase] = (entry >>> 16) << 4
  registers[REGISTER.rflags]! &= ~(RFLAGS.IF | RFLAGS.TF | RFLAGS.RF | RFLAGS.AC)
  return FAULT.none
}
