/** Errors as `application/problem+json` (RFC 9457). The code decides status, title and type. */
import { ERROR_TITLES, type ErrorCode, NorthbridgeError } from '../core/index.ts'
import { CODE_NUMBERS } from '../operations/index.ts'

export interface Problem {
  /** Stable: `urn:northbridge:problem:<code>`. */
  readonly type: string
  readonly title: string
  readonly status: number
  /** What is wrong this time. */
  readonly detail: string
  readonly code: ErrorCode
  readonly instance?: string
  readonly issues?: readonly { readonly path: string; readonly message: string }[]
  /** Further facts of the error, e.g. the mates of a group. */
  readonly [fact: string]: unknown
}

export const PROBLEM_TYPE = 'application/problem+json'

/** The problem that an error is. Defects of ours say nothing about themselves: the log does. */
export function problemOf(error: unknown, instance: string): Problem {
  const { code, message, details } = asNorthbridgeError(error)
  const { status } = CODE_NUMBERS[code]
  const own = {
    type: `urn:northbridge:problem:${code}`,
    title: ERROR_TITLES[code],
    status,
    detail: message,
    code,
    instance,
  }
  // The facts come last, but no fact may take the place of a standard member.
  return { ...own, ...details, ...own }
}

/** Codes of the HTTP framework for what is wrong with a request before an operation sees it. */
const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'payloadTooLarge',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupportedMediaType',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformedInput',
  FST_ERR_BAD_URL: 'malformedInput',
  FST_ERR_ROUTE_MISSING_HANDLER: 'notFound',
}

function asNorthbridgeError(error: unknown): NorthbridgeError {
  if (error instanceof NorthbridgeError) return error
  const { code: frameworkCode, message } = error as { code?: string; message?: string }
  const code = FRAMEWORK_CODES[frameworkCode ?? '']
  if (code !== undefined) return new NorthbridgeError(code, message ?? '')
  return new NorthbridgeError('defect', 'Northbridge met an unexpected state; its log says more')
}
