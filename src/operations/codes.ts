/** What number a door hangs on an error: one row per code, for HTTP and for the shell. */
import type { ErrorCode } from '../core/index.ts'

export interface CodeNumbers {
  /** HTTP status. */
  readonly status: number
  /** Exit status of the command line. */
  readonly exit: number
}

/** Exit 1: an expectation failed. 2: bad input. 3: no such thing. 4: refused. 70: our defect. */
export const CODE_NUMBERS: Readonly<Record<ErrorCode, CodeNumbers>> = {
  invalidDocument: { status: 422, exit: 2 },
  invalidArgument: { status: 422, exit: 2 },
  malformedInput: { status: 400, exit: 2 },
  notFound: { status: 404, exit: 3 },
  nameTaken: { status: 409, exit: 4 },
  alreadyDone: { status: 409, exit: 4 },
  poweredOff: { status: 409, exit: 4 },
  hostHalted: { status: 409, exit: 4 },
  platformAlive: { status: 409, exit: 4 },
  functionInUse: { status: 409, exit: 4 },
  vmPaused: { status: 409, exit: 4 },
  notMigratable: { status: 409, exit: 4 },
  functionNotAssignable: { status: 409, exit: 4 },
  groupNotViable: { status: 409, exit: 4 },
  noRemapping: { status: 409, exit: 4 },
  noInterruptRemapping: { status: 409, exit: 4 },
  policyRefused: { status: 409, exit: 4 },
  sriovUnsupported: { status: 409, exit: 4 },
  sriovOutOfRange: { status: 422, exit: 2 },
  sriovBusy: { status: 409, exit: 4 },
  resetUnavailable: { status: 409, exit: 4 },
  outOfMemory: { status: 409, exit: 4 },
  memoryPinned: { status: 409, exit: 4 },
  outOfResources: { status: 409, exit: 4 },
  topologyConflict: { status: 422, exit: 2 },
  expectationFailed: { status: 422, exit: 1 },
  experimentRunning: { status: 409, exit: 4 },
  experimentCancelled: { status: 409, exit: 4 },
  limitExceeded: { status: 429, exit: 4 },
  idempotencyConflict: { status: 422, exit: 2 },
  unsupported: { status: 422, exit: 2 },
  unauthenticated: { status: 401, exit: 4 },
  forbidden: { status: 403, exit: 4 },
  payloadTooLarge: { status: 413, exit: 2 },
  unsupportedMediaType: { status: 415, exit: 2 },
  storeFailed: { status: 503, exit: 4 },
  worldUnavailable: { status: 503, exit: 4 },
  stateUnavailable: { status: 409, exit: 4 },
  defect: { status: 500, exit: 70 },
}

/** Why a function is not given to a virtual machine. */
export const ASSIGNMENT_ERRORS: readonly ErrorCode[] = [
  'functionInUse',
  'functionNotAssignable',
  'groupNotViable',
  'noRemapping',
  'noInterruptRemapping',
  'resetUnavailable',
]
