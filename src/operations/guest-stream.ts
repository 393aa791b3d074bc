/** Streams of guest operations as people write them in JSON. */
import { Kind, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { type Issue, parseAddress64 } from '../core/index.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../vmx/formats/vmcs.ts'
import { invalid, issuesOf } from './judge.ts'
import { Fields, Hex } from './schemas.ts'

/** A value of a register: text, or a number where it is small. `bits` is its width. */
interface Operand {
  readonly bits: 16 | 32 | 52 | 64
  readonly optional?: true
}
/** A VMCS field by name or encoding. */
type Special = 'field'
type Form = Operand | Special | readonly number[]
type Operands = Readonly<Record<string, Form>>

const PORT = { bits: 16 } as const
const WORD = { bits: 32 } as const
const LONG = { bits: 64 } as const
const PHYSICAL = { bits: 52 } as const
const SELECTOR = { bits: 16 } as const
const REGISTER = { bits: 16, optional: true } as const
const MAYBE = { bits: 32, optional: true } as const
const MAYBE_LONG = { bits: 64, optional: true } as const
const WIDTHS = [1, 2, 4, 8]
const PORT_WIDTHS = [1, 2, 4]

/**
 * The operands of each operation: registers, or the widths in bytes that an access may have. What a virtual processor of the
 * hypervisor may execute between handlers of its guest kernel: nothing that takes the kernel's privilege or mode away.
 */
const GUEST_OPERANDS: Readonly<Record<string, Operands>> = {
  cpuid: { leaf: WORD, subleaf: MAYBE },
  hlt: {},
  pause: {},
  sti: {},
  cli: {},
  nop: {},
  in: { port: PORT, width: PORT_WIDTHS },
  out: { port: PORT, width: PORT_WIDTHS, value: WORD },
  rdmsr: { msr: WORD },
  wrmsr: { msr: WORD, value: LONG },
  read: { address: PHYSICAL, width: WIDTHS },
  write: { address: PHYSICAL, width: WIDTHS, value: LONG },
  vmcall: { number: WORD, argument: MAYBE },
  rdtsc: {},
  rdtscp: {},
  rdpid: {},
  rdpmc: { counter: WORD },
  invd: {},
  wbinvd: {},
  invlpg: { address: LONG },
  clts: {},
  smsw: {},
  movFromCr: { cr: [0, 2, 3, 4, 8], register: REGISTER },
  movFromDr: { dr: [0, 1, 2, 3, 4, 5, 6, 7], register: REGISTER },
  sgdt: {},
  sidt: {},
  sldt: {},
  str: {},
  pushf: {},
  rdrand: {},
  rdseed: {},
  ud2: {},
  int3: {},
  int: { vector: { bits: 16 } },
  vmxon: { address: PHYSICAL },
  vmclear: { address: PHYSICAL },
  vmptrld: { address: PHYSICAL },
  vmptrst: {},
  vmxoff: {},
  vmlaunch: {},
  vmresume: {},
  vmread: { field: 'field' },
  vmwrite: { field: 'field', value: LONG },
  invept: { type: WORD, eptp: MAYBE_LONG },
  invvpid: { type: WORD, vpid: MAYBE_LONG, address: MAYBE_LONG },
}

const OPERANDS: Readonly<Record<string, Operands>> = {
  ...GUEST_OPERANDS,
  iret: {},
  movSs: {},
  jumpFar: { bits: [16, 32, 64] },
  ins: { port: PORT, width: PORT_WIDTHS, address: LONG },
  outs: { port: PORT, width: PORT_WIDTHS, address: LONG },
  fetch: { address: PHYSICAL },
  readLinear: { address: LONG, width: WIDTHS },
  writeLinear: { address: LONG, width: WIDTHS, value: LONG },
  fetchLinear: { address: LONG },
  movToCr: { cr: [0, 3, 4, 8], value: LONG, register: REGISTER },
  lmsw: { source: SELECTOR, register: REGISTER },
  movToDr: { dr: [0, 1, 2, 3, 4, 5, 6, 7], value: LONG, register: REGISTER },
  rsm: {},
  getsec: { leaf: WORD },
  invpcid: { type: WORD, pcid: WORD, address: MAYBE_LONG },
  xsetbv: { index: WORD, value: LONG },
  xsaves: { mask: LONG },
  xrstors: { mask: LONG },
  monitor: { address: LONG },
  mwait: { extensions: MAYBE },
  umwait: {},
  tpause: {},
  lgdt: { base: LONG, limit: SELECTOR },
  lidt: { base: LONG, limit: SELECTOR },
  lldt: { selector: SELECTOR },
  ltr: { selector: SELECTOR },
  popf: { flags: WORD },
  sysenter: {},
  sysexit: { rip: LONG, rsp: LONG },
  into: {},
  int1: {},
  fault: { vector: { bits: 16 }, error: MAYBE },
  taskSwitch: { selector: SELECTOR, source: [0, 1, 2, 3] },
  vmfunc: { function: WORD, index: WORD },
}

const isWidths = (form: Form): form is readonly number[] => Array.isArray(form)

/** JSON numbers are exact, and read well, up to 32 bits; wider values are text. */
const register = Type.Union([Hex, Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 })], {
  title: 'a number of at most 32 bits, or hexadecimal text like "0x1000"',
})
/** A VMCS field: its name, or its encoding. */
const vmcsField = Type.Union([Type.String({ pattern: '^[a-z][A-Za-z0-9]*$' }), register], {
  title: 'the name of a VMCS field, or its encoding',
})

function schemaOf(op: string, operands: Operands): TSchema {
  const properties: TProperties = { op: Type.Literal(op) }
  for (const [name, form] of Object.entries(operands)) {
    if (isWidths(form)) {
      properties[name] = Type.Union(
        form.map(bytes => Type.Literal(bytes)),
        { title: `one of ${form.join(', ')}` },
      )
    } else if (form === 'field') properties[name] = vmcsField
    else properties[name] = form.optional ? Type.Optional(register) : register
  }
  return Fields(properties)
}

type Schemas = ReadonlyMap<string, TSchema>
const schemasOf = (operands: Readonly<Record<string, Operands>>): Schemas =>
  new Map(Object.entries(operands).map(([op, each]) => [op, schemaOf(op, each)]))
const GUEST_SCHEMAS = schemasOf(GUEST_OPERANDS)
const SCHEMAS = schemasOf(OPERANDS)

/** The contract shows every form; {@link guestStream} judges, because it can say which form was meant. */
export const GuestOperation = Type.Unsafe<unknown>({
  [Kind]: 'Document',
  $id: 'GuestOperation',
  description: 'One architectural operation of a virtual processor',
  oneOf: [...GUEST_SCHEMAS.values()],
})
export const ProcessorOperation = Type.Unsafe<unknown>({
  [Kind]: 'Document',
  $id: 'ProcessorOperation',
  description: 'One architectural operation of a processor',
  oneOf: [...SCHEMAS.values()],
})

/** The operations of a virtual processor's stream. Throws `invalidArgument` naming each wrong field. */
export const guestStream = (items: readonly unknown[]): Operation[] => stream(items, GUEST_SCHEMAS)
/** The same of a lone processor, which executes everything. */
export const processorStream = (items: readonly unknown[]): Operation[] => stream(items, SCHEMAS)

function stream(items: readonly unknown[], schemas: Schemas): Operation[] {
  const issues: Issue[] = []
  const decoded = items.map((item, i) => {
    const complain = (path: string, message: string) =>
      issues.push({ path: `/operations/${i}${path}`, message })
    const op = (item as { op?: unknown } | null)?.op
    const schema = typeof op === 'string' ? schemas.get(op) : undefined
    if (schema === undefined) complain('/op', `must be one of ${[...schemas.keys()].join(', ')}`)
    else {
      const found = issuesOf(schema, item)
      for (const { path, message } of found) complain(path, message)
      if (found.length === 0) return decode(item as Item, OPERANDS[op as string]!, complain)
    }
    return undefined
  })
  if (issues.length > 0) throw invalid(issues)
  return decoded as unknown as Operation[]
}

type Item = Readonly<Record<string, string | number>>

function decode(item: Item, operands: Operands, complain: (path: string, message: string) => void): object {
  const result: Record<string, unknown> = { op: item['op'] }
  for (const [name, form] of Object.entries(operands)) {
    const value = item[name]
    if (value === undefined) continue
    if (isWidths(form)) result[name] = value
    else if (form === 'field') {
      const encoding = fieldOf(value)
      if (encoding === undefined) complain(`/${name}`, 'is no field of the VMCS')
      else result[name] = encoding
    } else {
      const word = wordOf(value)
      const narrow = word[1] * 2 ** 32 + word[0]
      if (form.bits < 64 && narrow >= 2 ** form.bits) complain(`/${name}`, `is wider than ${form.bits} bits`)
      result[name] = form.bits === 64 ? word : narrow
    }
  }
  return result
}

function fieldOf(value: string | number): number | undefined {
  if (typeof value === 'number') return value
  if (Object.hasOwn(VMCS, value)) return VMCS[value as VmcsFieldName]
  return value.startsWith('0x') ? wordOf(value)[0] : undefined
}

export function wordOf(value: string | number): Word64 {
  if (typeof value === 'number') return [value, 0]
  const { page, offset } = parseAddress64(value, 'value')
  return [(page % 2 ** 20) * 4096 + offset, Math.floor(page / 2 ** 20)]
}
