/** Streams of guest operations as people write them in JSON. */
import { Kind, type TProperties, type TSchema, Type } from '@sinclair/typebox'
import { type Issue, parseAddress64 } from '../core/index.ts'
import type { Operation, Word64 } from '../vmx/formats/operations.ts'
import { invalid, issuesOf } from './judge.ts'
import { Fields, Hex } from './schemas.ts'

/** A value of a register: text, or a number where it is small. `bits` is its width. */
interface Operand {
  readonly bits: 16 | 32 | 52 | 64
  readonly optional?: true
}
type Operands = Readonly<Record<string, Operand | readonly number[]>>

/** The operands of each operation: registers, or the widths in bytes that an access may have. */
const OPERANDS: Readonly<Record<string, Operands>> = {
  cpuid: { leaf: { bits: 32 }, subleaf: { bits: 32, optional: true } },
  hlt: {},
  pause: {},
  sti: {},
  cli: {},
  in: { port: { bits: 16 }, width: [1, 2, 4] },
  out: { port: { bits: 16 }, width: [1, 2, 4], value: { bits: 32 } },
  rdmsr: { msr: { bits: 32 } },
  wrmsr: { msr: { bits: 32 }, value: { bits: 64 } },
  read: { address: { bits: 52 }, width: [1, 2, 4, 8] },
  write: { address: { bits: 52 }, width: [1, 2, 4, 8], value: { bits: 64 } },
  vmcall: { number: { bits: 32 }, argument: { bits: 32, optional: true } },
}

const isWidths = (operand: Operand | readonly number[]): operand is readonly number[] =>
  Array.isArray(operand)

/** JSON numbers are exact, and read well, up to 32 bits; wider values are text. */
const register = Type.Union([Hex, Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 })], {
  title: 'a number of at most 32 bits, or hexadecimal text like "0x1000"',
})

function schemaOf(op: string, operands: Operands): TSchema {
  const properties: TProperties = { op: Type.Literal(op) }
  for (const [name, operand] of Object.entries(operands)) {
    if (isWidths(operand)) {
      properties[name] = Type.Union(
        operand.map(bytes => Type.Literal(bytes)),
        { title: `one of ${operand.join(', ')}` },
      )
    } else properties[name] = operand.optional ? Type.Optional(register) : register
  }
  return Fields(properties)
}

const SCHEMAS = new Map(Object.entries(OPERANDS).map(([op, operands]) => [op, schemaOf(op, operands)]))
const NAMES = [...SCHEMAS.keys()].join(', ')

/** The contract shows every form; {@link guestStream} judges, because it can say which form was meant. */
export const GuestOperation = Type.Unsafe<unknown>({
  [Kind]: 'Document',
  $id: 'GuestOperation',
  description: 'One architectural operation of a virtual processor',
  oneOf: [...SCHEMAS.values()],
})

/** The operations of a stream. Throws `invalidArgument` naming each wrong field. */
export function guestStream(items: readonly unknown[]): Operation[] {
  const issues: Issue[] = []
  const stream = items.map((item, i) => {
    const complain = (path: string, message: string) =>
      issues.push({ path: `/operations/${i}${path}`, message })
    const op = (item as { op?: unknown } | null)?.op
    const schema = typeof op === 'string' ? SCHEMAS.get(op) : undefined
    if (schema === undefined) complain('/op', `must be one of ${NAMES}`)
    else {
      const found = issuesOf(schema, item)
      for (const { path, message } of found) complain(path, message)
      if (found.length === 0) return decode(item as Item, OPERANDS[op as string]!, complain)
    }
    return undefined
  })
  if (issues.length > 0) throw invalid(issues)
  return stream as unknown as Operation[]
}

type Item = Readonly<Record<string, string | number>>

function decode(item: Item, operands: Operands, complain: (path: string, message: string) => void): object {
  const result: Record<string, unknown> = { op: item['op'] }
  for (const [name, operand] of Object.entries(operands)) {
    const value = item[name]
    if (value === undefined) continue
    if (isWidths(operand)) {
      result[name] = value
      continue
    }
    const word = wordOf(value)
    const narrow = word[1] * 2 ** 32 + word[0]
    if (operand.bits < 64 && narrow >= 2 ** operand.bits)
      complain(`/${name}`, `is wider than ${operand.bits} bits`)
    result[name] = operand.bits === 64 ? word : narrow
  }
  return result
}

function wordOf(value: string | number): Word64 {
  if (typeof value === 'number') return [value, 0]
  const { page, offset } = parseAddress64(value, 'value')
  return [(page % 2 ** 20) * 4096 + offset, Math.floor(page / 2 ** 20)]
}
