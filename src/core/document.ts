/**
 * Documents that people hand in: judged by a schema, never repaired, and safe to judge whoever wrote them. The
 * guard runs before the schema does, so that nesting and size cost an error message and nothing else.
 */
import type { z } from 'zod'
import { type Issue, NorthbridgeError } from './errors.ts'

export interface DocumentLimits {
  /** Levels of arrays and objects in each other. */
  readonly depth: number
  /** Values in the whole document, counting arrays and objects. */
  readonly values: number
  /** UTF-16 units of one string or field name. */
  readonly textLength: number
}

export const DOCUMENT_LIMITS: DocumentLimits = { depth: 128, values: 4_000_000, textLength: 16_384 }

/** How many wrong spots one answer lists; a document with more is told how many there are. */
const ISSUES_SHOWN = 100

/** Parses `document` by `schema`. Throws `invalidDocument` with every wrong field in `details.issues`. */
export function parseDocument<Schema extends z.ZodType>(
  schema: Schema,
  document: unknown,
  what: string,
  limits: DocumentLimits = DOCUMENT_LIMITS,
): z.output<Schema> {
  const unfit = guardDocument(document, limits)
  if (unfit !== undefined) throw invalidDocument(what, [unfit])
  const result = schema.safeParse(document)
  if (result.success) return result.data
  throw invalidDocument(
    what,
    result.error.issues.flatMap(issue => issuesOf(issue)),
  )
}

/** The error for a document with wrong spots. At least one. */
export function invalidDocument(what: string, issues: readonly Issue[]): NorthbridgeError {
  const [first] = issues
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  return new NorthbridgeError(
    'invalidDocument',
    `${what}: ${first?.path || '/'}: ${first?.message ?? 'is wrong'}${more}`,
    {
      issues: issues.slice(0, ISSUES_SHOWN),
    },
  )
}

/** A JSON pointer (RFC 6901) from the parts of a path. */
export const jsonPointer = (parts: readonly PropertyKey[]): string =>
  parts.map(part => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

function issuesOf(issue: z.core.$ZodIssue): Issue[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      path: jsonPointer([...issue.path, key]),
      message: 'is not a known field',
    }))
  }
  return [{ path: jsonPointer(issue.path), message: issue.message }]
}

interface Pending {
  readonly value: unknown
  readonly depth: number
  readonly key: PropertyKey
  readonly parent: Pending | undefined
}

const pathOf = (pending: Pending): string => {
  const parts: PropertyKey[] = []
  for (let at = pending; at.parent !== undefined; at = at.parent) parts.unshift(at.key)
  return jsonPointer(parts)
}

/** What keeps a value from being judged at all: it is not JSON, or too deep, or too big. A cycle is too deep. */
function guardDocument(document: unknown, limits: DocumentLimits): Issue | undefined {
  const stack: Pending[] = [{ value: document, depth: 0, key: '', parent: undefined }]
  let values = 0
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const { value } = at
    if (++values > limits.values) {
      return { path: '', message: `holds more than ${limits.values} values` }
    }
    if (typeof value === 'string') {
      if (value.length > limits.textLength) {
        return { path: pathOf(at), message: `is longer than ${limits.textLength} characters` }
      }
      continue
    }
    if (value === null || typeof value === 'boolean' || typeof value === 'number') continue
    if (value === undefined && at.parent !== undefined) continue // a field that is left out
    if (typeof value !== 'object') return { path: pathOf(at), message: `is a ${typeof value}, not JSON` }
    if (at.depth >= limits.depth) {
      return { path: pathOf(at), message: `is nested deeper than ${limits.depth} levels` }
    }
    if (Array.isArray(value)) {
      if (values + stack.length + value.length > limits.values) {
        return { path: pathOf(at), message: `makes the document hold more than ${limits.values} values` }
      }
      for (let i = value.length - 1; i >= 0; i--) {
        stack.push({ value: value[i], depth: at.depth + 1, key: i, parent: at })
      }
      continue
    }
    const prototype = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) {
      return { path: pathOf(at), message: 'is not a plain object' }
    }
    for (const [key, member] of Object.entries(value)) {
      if (key.length > limits.textLength) {
        return { path: pathOf(at), message: `has a field name longer than ${limits.textLength} characters` }
      }
      stack.push({ value: member, depth: at.depth + 1, key, parent: at })
    }
  }
  return undefined
}
