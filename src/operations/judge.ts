/** The one judge of input: all faces hand in plain JSON values, nothing is coerced, completed or dropped. */
import { Kind, type TSchema, TypeRegistry } from '@sinclair/typebox'
import { TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { type Issue, NorthbridgeError } from '../core/index.ts'

/** Kinds of schema that TypeBox lacks. A document is judged by its zod schema, where it is used. */
TypeRegistry.Set('Document', (_schema, value) => value !== undefined)
TypeRegistry.Set<TSchema & { enum: readonly string[] }>('Words', (schema, value) =>
  schema.enum.includes(value as string),
)

type Check = (value: unknown) => readonly Issue[]

const MOST_ISSUES = 20
const compiled = new WeakMap<TSchema, Check>()

/** What is wrong with a value; empty if nothing is. Paths are JSON pointers. */
export function issuesOf(schema: TSchema, value: unknown): readonly Issue[] {
  let check = compiled.get(schema)
  if (check === undefined) compiled.set(schema, (check = compile(schema)))
  return check(value)
}

/** Throws `invalidArgument` naming every wrong field. */
export function judge(schema: TSchema, value: unknown): void {
  const issues = issuesOf(schema, value)
  if (issues.length > 0) throw invalid(issues)
}

/** Judges a document inside an input: its wrong fields are named from the input's root. */
export function inField<Result>(field: string, judging: () => Result): Result {
  try {
    return judging()
  } catch (error) {
    if (!(error instanceof NorthbridgeError) || error.details.issues === undefined) throw error
    const issues = error.details.issues.map(issue => ({ ...issue, path: `/${field}${issue.path}` }))
    throw new NorthbridgeError(error.code, error.message, { ...error.details, issues })
  }
}

export function invalid(issues: readonly Issue[]): NorthbridgeError {
  const text = issues.map(({ path, message }) => `${path === '' ? 'the input' : path} ${message}`).join('; ')
  return new NorthbridgeError('invalidArgument', text, { issues })
}

function compile(schema: TSchema): Check {
  const checker = TypeCompiler.Compile(schema)
  return value => {
    if (checker.Check(value)) return []
    const found = new Map<string, Issue>()
    for (const error of checker.Errors(value)) {
      // The first complaint about a field says it best: "missing" comes before "not a string".
      if (!found.has(error.path)) found.set(error.path, { path: error.path, message: messageOf(error) })
      if (found.size === MOST_ISSUES) break
    }
    return [...found.values()]
  }
}

function messageOf({ type, schema, message }: ValueError): string {
  switch (type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return 'is not a known field'
    case ValueErrorType.ObjectRequiredProperty:
      return 'is required'
    case ValueErrorType.Object:
      return 'must be an object'
    case ValueErrorType.IntegerMinimum:
      return `must be at least ${schema.minimum}`
    case ValueErrorType.IntegerMaximum:
      return `must be at most ${schema.maximum}`
    case ValueErrorType.StringPattern:
      return `must be ${schema.title ?? `text like ${schema.pattern}`}`
    case ValueErrorType.Union:
      return `must be ${schema.title ?? schema.anyOf.map((choice: TSchema) => choice.title ?? choice.type).join(' or ')}`
  }
  if (schema[Kind] === 'Words') return `must be one of ${schema.enum.join(', ')}`
  if (type === ValueErrorType.Integer) return 'must be an integer'
  return `must be: ${message.replace(/^Expected /, '').toLowerCase()}`
}
