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

/** The fields of each operation besides `op`. */
const FIELDS: Readonly<Record<Operation['op'], Readonly<Record<string, Rule>>>> = {
  cpuid: { leaf: dword, subleaf: optional(dword) },
  hlt: {},
  pause: {},
  sti: {},
  cli: {},
  iret: { interruptFlag: optional(interruptFlag) },
  movSs: {},
  in: { port: whole(2 ** 16, '2^16'), width: oneOf(1, 2, 4) },
  out: { port: whole(2 ** 16, '2^16'), width: oneOf(1, 2, 4), value: portValue },
  rdmsr: { msr: dword },
  wrmsr: { msr: dword, value: pair },
  read: { address, width: oneOf(1, 2, 4, 8) },
  write: { address, width: oneOf(1, 2, 4, 8), value: data },
  fetch: { address },
  vmcall: { number: dword, argument: optional(dword) },
  vmxon: { address },
  vmclear: { address },
  vmptrld: { address },
  vmxoff: {},
  vmlaunch: {},
  vmresume: {},
  vmptrst: {},
  vmread: { field: dword },
  vmwrite: { field: dword, value: pair },
  invept: { type: dword, eptp: optional(pair) },
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
