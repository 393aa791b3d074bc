/** Checks a stream of operations before any of it runs. */
import { type Issue, NorthbridgeError } from '../core/index.ts'
import type { Operation } from '../vmx/formats/operations.ts'

/** Why a value is not acceptable; undefined: it is. */
type Rule = (value: unknown, operation: Readonly<Record<string, unknown>>) => string | undefined

const whole =
  (limit: number, description: string): Rule =>
  value =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < limit
      ? undefined
      : `must be a whole number below ${description}`

const oneOf =
  (...allowed: readonly number[]): Rule =>
  value =>
    allowed.includes(value as number) ? undefined : `must be ${allowed.join(', ')}`

const dword = whole(2 ** 32, '2^32')
const address = whole(2 ** 52, '2^52')

const optional =
  (rule: Rule): Rule =>
  (value, operation) =>
    value === undefined ? undefined : rule(value, operation)

/** `[low, high]`. */
const pair: Rule = value =>
  Array.isArray(value) && value.length === 2 && value.every(word => dword(word, {}) === undefined)
    ? undefined
    : 'must be two words [low, high], each a whole number below 2^32'

/** A pair that an access of the operation's width can carry. */
const data: Rule = (value, operation) => {
  const wrong = pair(value, operation)
  if (wrong !== undefined) return wrong
  const [low, high] = value as [number, number]
  const width = Number(operation['width'])
  return width < 8 && (high !== 0 || (width < 4 && low >= 2 ** (8 * width)))
    ? `must fit ${width} bytes`
    : undefined
}

const portValue: Rule = (value, operation) =>
  dword(value, operation) ??
  ((value as number) >= 2 ** (8 * Number(operation['width']))
    ? `must fit ${operation['width']} bytes`
    : undefined)

const interruptFlag: Rule = value => (typeof value === 'boolean' ? undefined : 'must be true or false')

const flag: Rule = value => (typeof value === 'boolean' ? undefined : 'must be true or false')
const register = whole(16, '16')
const port = whole(2 ** 16, '2^16')
const selector = whole(2 ** 16, '2^16')
const width = oneOf(1, 2, 4, 8)
const portWidth = oneOf(1, 2, 4)

const operand: Rule = value =>
  typeof value === 'object' && value !== null ? undefined : 'must be a memory operand'

const named =
  (...allowed: readonly string[]): Rule =>
  value =>
    allowed.includes(value as string) ? undefined : `must be ${allowed.join(', ')}`

/** SS and RSP of an outer privilege level. */
const stackOf: Rule = value => {
  const { selector: ss, rsp } = (value ?? {}) as Readonly<Record<string, unknown>>
  return selector(ss, {}) === undefined && pair(rsp, {}) === undefined
    ? undefined
    : 'must be { selector, rsp }'
}

/** Operands as VM-exit instruction information tells them. */
const encoded = { operand: optional(operand), register: optional(register), register2: optional(register) }

/** The fields of each operation besides `op`. */
const FIELDS: Readonly<Record<Operation['op'], Readonly<Record<string, Rule>>>> = {
  cpuid: { leaf: dword, subleaf: optional(dword) },
  hlt: {},
  pause: {},
  sti: {},
  cli: {},
  iret: { interruptFlag: optional(interruptFlag) },
  movSs: {},
  nop: {},
  jumpFar: { bits: oneOf(16, 32, 64) },
  in: { port, width: portWidth, immediate: optional(flag) },
  out: { port, width: portWidth, value: portValue, immediate: optional(flag) },
  ins: { port, width: portWidth, address: pair, rep: optional(flag), ...encoded },
  outs: { port, width: portWidth, address: pair, rep: optional(flag), ...encoded },
  rdmsr: { msr: dword },
  wrmsr: { msr: dword, value: pair },
  read: { address, width },
  write: { address, width, value: data },
  fetch: { address },
  readLinear: { address: pair, width },
  writeLinear: { address: pair, width, value: data },
  fetchLinear: { address: pair },
  movToCr: { cr: oneOf(0, 2, 3, 4, 8), value: pair, ...encoded },
  movFromCr: { cr: oneOf(0, 2, 3, 4, 8), ...encoded },
  clts: {},
  smsw: {},
  lmsw: { source: whole(2 ** 16, '2^16'), address: optional(pair), register: optional(register) },
  movToDr: { dr: whole(8, '8'), value: pair, ...encoded },
  movFromDr: { dr: whole(8, '8'), ...encoded },
  rdtsc: {},
  rdtscp: {},
  rdpid: {},
  rdpmc: { counter: dword },
  invd: {},
  wbinvd: {},
  rsm: {},
  getsec: { leaf: dword },
  invlpg: { address: pair },
  invpcid: { type: dword, pcid: dword, address: optional(pair), ...encoded },
  xsetbv: { index: dword, value: pair },
  xsaves: { mask: pair, ...encoded },
  xrstors: { mask: pair, ...encoded },
  monitor: { address: pair },
  mwait: { extensions: optional(dword) },
  umwait: { register: optional(register) },
  tpause: { register: optional(register) },
  lgdt: { base: pair, limit: selector, ...encoded },
  lidt: { base: pair, limit: selector, ...encoded },
  sgdt: encoded,
  sidt: encoded,
  sldt: encoded,
  str: encoded,
  lldt: { selector, ...encoded },
  ltr: { selector, ...encoded },
  pushf: {},
  popf: { flags: dword },
  sysenter: {},
  sysexit: { rip: pair, rsp: pair },
  loadSegment: { segment: named('es', 'ss', 'ds', 'fs', 'gs'), selector },
  storeSegment: { segment: named('es', 'cs', 'ss', 'ds', 'fs', 'gs') },
  lar: { selector },
  lsl: { selector },
  verr: { selector },
  verw: { selector },
  arpl: { selector, source: selector },
  callFar: { selector },
  retFar: { selector, stack: optional(stackOf) },
  iretFrame: { pop: optional(whole(65, '65')) },
  movToSp: { value: pair },
  int: { vector: whole(256, '256') },
  int3: {},
  into: {},
  int1: {},
  ud2: {},
  fault: { vector: whole(32, '32'), error: optional(dword) },
  rdrand: { width: optional(oneOf(2, 4, 8)), register: optional(register) },
  rdseed: { width: optional(oneOf(2, 4, 8)), register: optional(register) },
  taskSwitch: { selector, source: oneOf(0, 1, 2, 3) },
  vmcall: { number: dword, argument: optional(dword) },
  vmrun: { address },
  vmload: { address },
  vmsave: { address },
  stgi: {},
  clgi: {},
  vmmcall: {},
  invlpga: { address: pair, asid: dword },
  vmfunc: { function: dword, index: dword },
  vmxon: { address, ...encoded },
  vmclear: { address, ...encoded },
  vmptrld: { address, ...encoded },
  vmxoff: {},
  vmlaunch: {},
  vmresume: {},
  vmptrst: encoded,
  vmread: { field: dword, ...encoded },
  vmwrite: { field: dword, value: pair, ...encoded },
  invept: { type: dword, eptp: optional(pair), ...encoded },
  invvpid: { type: dword, vpid: optional(pair), address: optional(pair), ...encoded },
}

/** Throws `invalidArgument` with an issue for every wrong field. */
export function checkOperations(operations: readonly unknown[]): asserts operations is readonly Operation[] {
  const issues = operations.flatMap((operation, index) => check(operation, `/operations/${index}`))
  if (issues.length > 0) {
    const [first] = issues
    throw new NorthbridgeError('invalidArgument', `${first!.path} ${first!.message}`, { issues })
  }
}

function check(operation: unknown, path: string): Issue[] {
  if (typeof operation !== 'object' || operation === null) return [{ path, message: 'must be an object' }]
  const record = operation as Readonly<Record<string, unknown>>
  const op = record['op']
  if (typeof op !== 'string' || !Object.hasOwn(FIELDS, op)) {
    return [{ path: `${path}/op`, message: `must be one of ${Object.keys(FIELDS).join(', ')}` }]
  }
  const fields = FIELDS[op as Operation['op']]
  const unknown = Object.keys(record)
    .filter(name => name !== 'op' && !Object.hasOwn(fields, name))
    .map(name => ({ path: `${path}/${name}`, message: `is not a field of ${op}` }))
  const wrong = Object.entries(fields).flatMap(([name, rule]) => {
    const message = rule(record[name], record)
    return message === undefined ? [] : [{ path: `${path}/${name}`, message }]
  })
  return [...unknown, ...wrong]
}
