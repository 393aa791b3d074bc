/**
 * Instructions that read or load segment registers, or look at descriptors: none is privileged, and each sees the
 * privilege level that the program really runs at. Descriptors come from the GDT; there is no LDT here, and no call gate.
 */
import { complete } from './completion.ts'
import type { Core } from './core.ts'
import {
  descriptorBase,
  descriptorLevel,
  descriptorLimit,
  descriptorPresent,
  descriptorRights,
  descriptorType,
  readDescriptor,
} from './descriptor-tables.ts'
import { raise } from './exceptions.ts'
import { ACCESS_RIGHTS } from './formats/events.ts'
import { EXCEPTION, RFLAGS } from './formats/msrs.ts'
import { LENGTH } from './formats/operation-lengths.ts'
import type { OperationOf, SegmentName } from './formats/operations.ts'
import { REGISTER, SEGMENTS } from './registers.ts'

type SegmentOperation =
  | OperationOf<'loadSegment'>
  | OperationOf<'storeSegment'>
  | OperationOf<'lar' | 'lsl' | 'verr' | 'verw'>
  | OperationOf<'arpl'>
  | OperationOf<'callFar'>
  | OperationOf<'retFar'>

/** Descriptor type, bit 4 is S. */
const TYPE = { code: 0x18, conforming: 0x1c, codeOrData: 0x10, writable: 2, readableCode: 0x1a } as const
/** System types that LAR and LSL know: LDT, TSS; LAR knows gates too. */
const LIMITED = [1, 2, 3, 9, 11]
const GATES = [4, 5, 12]
const { unusable } = ACCESS_RIGHTS

const indicesOf = (segment: SegmentName | 'cs') =>
  SEGMENTS.find(({ name }) => name.toLowerCase() === segment)!

export function segmentOperation(core: Core, operation: SegmentOperation): void {
  switch (operation.op) {
    case 'storeSegment':
      core.result.setValue(core.registers[indicesOf(operation.segment).selector]!, 0)
      complete(core, LENGTH.storeSegment)
      break
    case 'loadSegment':
      if (loadSegment(core, operation)) complete(core, LENGTH.loadSegment)
      break
    case 'callFar': {
      const { registers } = core
      const pushed = registers[REGISTER.csSelector]!
      if (!loadCode(core, operation.selector, core.currentPrivilegeLevel, false)) return
      core.result.setValue(pushed, 0)
      complete(core, LENGTH.callFar)
      break
    }
    case 'retFar':
      if (returnFar(core, operation)) complete(core, LENGTH.retFar)
      break
    case 'arpl':
      arpl(core, operation)
      break
    default:
      inspect(core, operation)
  }
}

/** "Privilege Checking when Loading Segments". A null selector fits all but SS (outside 64-bit mode). */
function loadSegment(core: Core, { segment, selector }: OperationOf<'loadSegment'>): boolean {
  const { registers } = core
  const at = indicesOf(segment)
  const level = core.currentPrivilegeLevel
  const requested = selector & 3
  const stack = segment === 'ss'
  if ((selector & 0xfffc) === 0) {
    if (stack && (!core.code64 || level === 3 || requested !== level)) {
      raise(core, EXCEPTION.GP, 0)
      return false
    }
    registers[at.selector] = selector
    registers[at.accessRights] = unusable | (stack ? level << 5 : 0)
    return true
  }
  if (!readDescriptor(core, selector, false)) return false
  const type = descriptorType()
  const descriptorDpl = descriptorLevel()
  const code = (type & TYPE.code) === TYPE.code
  const conforming = (type & TYPE.conforming) === TYPE.conforming
  const legal = stack
    ? (type & TYPE.codeOrData) !== 0 &&
      !code &&
      (type & TYPE.writable) !== 0 &&
      requested === level &&
      descriptorDpl === level
    : (type & TYPE.codeOrData) !== 0 &&
      (!code || (type & TYPE.writable) !== 0) &&
      (conforming || descriptorDpl >= Math.max(level, requested))
  if (!legal || !descriptorPresent()) {
    const vector = !legal ? EXCEPTION.GP : stack ? EXCEPTION.SS : EXCEPTION.NP
    raise(core, vector, selector & 0xfffc)
    return false
  }
  registers[at.selector] = selector
  registers[at.base] = descriptorBase()
  registers[at.limit] = descriptorLimit()
  registers[at.accessRights] = descriptorRights() | 1
  return true
}

/**
 * A code segment for a transfer to `level`: by CALL the level is the present one, and the descriptor's privilege must fit;
 * by a return the selector's RPL names it.
 */
export function loadCode(core: Core, selector: number, level: number, returns: boolean): boolean {
  const { registers } = core
  if ((selector & 0xfffc) === 0) {
    raise(core, EXCEPTION.GP, 0)
    return false
  }
  if (!readDescriptor(core, selector, false)) return false
  const type = descriptorType()
  const dpl = descriptorLevel()
  const conforming = (type & TYPE.conforming) === TYPE.conforming
  const fits = conforming ? dpl <= level : dpl === level && (returns || (selector & 3) <= level)
  if ((type & TYPE.code) !== TYPE.code || !fits) {
    raise(core, EXCEPTION.GP, selector & 0xfffc)
    return false
  }
  if (!descriptorPresent()) {
    raise(core, EXCEPTION.NP, selector & 0xfffc)
    return false
  }
  registers[REGISTER.csSelector] = (selector & 0xfffc) | level
  registers[REGISTER.csBase] = descriptorBase()
  registers[CS_LIMIT] = descriptorLimit()
  registers[REGISTER.csAccessRights] = descriptorRights() | 1
  return true
}

const CS_LIMIT = indicesOf('cs').limit

/** The stack segment of an outer privilege level. */
export function loadOuterStack(core: Core, selector: number, level: number): boolean {
  const { registers } = core
  registers[REGISTER.ssAccessRights] = (registers[REGISTER.ssAccessRights]! & ~(3 << 5)) | (level << 5)
  return loadSegment(core, { op: 'loadSegment', segment: 'ss', selector })
}

function returnFar(core: Core, { selector, stack }: OperationOf<'retFar'>): boolean {
  const level = core.currentPrivilegeLevel
  const target = selector & 3
  if (target < level) {
    raise(core, EXCEPTION.GP, selector & 0xfffc)
    return false
  }
  if (!loadCode(core, selector, target, true)) return false
  if (target === level || stack === undefined) return true
  if (!loadOuterStack(core, stack.selector, target)) return false
  core.registers[REGISTER.rsp] = stack.rsp[0]
  core.registers[REGISTER.rsp + 1] = stack.rsp[1]
  return true
}

/** ARPL raises the RPL of a selector to that of another. In 64-bit mode its opcode is MOVSXD. */
function arpl(core: Core, { selector, source }: OperationOf<'arpl'>): void {
  if (!core.protectedMode || core.code64) {
    raise(core, EXCEPTION.UD)
    return
  }
  const lower = (selector & 3) < (source & 3)
  core.result.setValue(lower ? (selector & ~3) | (source & 3) : selector, lower ? 1 : 0)
  setZero(core, lower)
  complete(core, LENGTH.arpl)
}

function setZero({ registers }: Core, zero: boolean): void {
  if (zero) registers[REGISTER.rflags]! |= RFLAGS.ZF
  else registers[REGISTER.rflags]! &= ~RFLAGS.ZF
}

/** LAR, LSL, VERR, VERW: no fault, only ZF, for a descriptor that is out of reach. */
function inspect(core: Core, { op, selector }: OperationOf<'lar' | 'lsl' | 'verr' | 'verw'>): void {
  const { registers, result } = core
  const inTable =
    (selector & 0xfffc) !== 0 &&
    (selector & 4) === 0 &&
    (selector & 0xfff8) + 7 <= registers[REGISTER.gdtrLimit]!
  if (inTable && !readDescriptor(core, selector, false)) return
  const type = descriptorType()
  const conforming = (type & TYPE.conforming) === TYPE.conforming
  const reachable =
    inTable && (conforming || descriptorLevel() >= Math.max(core.currentPrivilegeLevel, selector & 3))
  const zero = reachable && fits(op, type)
  if (zero && op === 'lar') result.setValue(descriptorRights() << 8, 1)
  else if (zero && op === 'lsl') result.setValue(descriptorLimit(), 1)
  else result.setValue(0, zero ? 1 : 0)
  setZero(core, zero)
  complete(core, LENGTH[op])
}

function fits(op: 'lar' | 'lsl' | 'verr' | 'verw', type: number): boolean {
  const segment = (type & TYPE.codeOrData) !== 0
  const code = (type & TYPE.code) === TYPE.code
  switch (op) {
    case 'lar':
      return segment || LIMITED.includes(type) || GATES.includes(type)
    case 'lsl':
      return segment || LIMITED.includes(type)
    case 'verr':
      return segment && (!code || (type & TYPE.readableCode) === TYPE.readableCode)
    case 'verw':
      return segment && !code && (type & TYPE.writable) !== 0
  }
}
