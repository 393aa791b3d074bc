/**
 * Mistakes of a caller. Three kinds of failure have three mechanisms (ARCHITECTURE.md): what hardware does is a
 * returned value, a caller's mistake is a {@link NorthbridgeError}, a defect of ours is an {@link assert}.
 */

/** Every error a user can meet, with the title that all faces print. The codes are part of the contract. */
export const ERROR_TITLES = {
  invalidDocument: 'The document breaks a rule of its schema',
  invalidArgument: 'An argument is out of its range',
  malformedInput: 'The input could not be parsed',
  notFound: 'There is no such thing',
  nameTaken: 'The name is already in use',
  alreadyDone: 'The thing already is as asked for',
  poweredOff: 'The platform is powered off',
  hostHalted: 'The host kernel has stopped',
  platformAlive: 'The platform still responds',
  vmPaused: 'The virtual machine is paused',
  notMigratable: 'Something keeps the virtual machine on its host',
  functionInUse: 'The function is in use',
  functionNotAssignable: 'The function cannot be assigned',
  groupNotViable: 'The IOMMU group is not viable',
  noRemapping: 'No modelled remapping unit translates this function',
  noInterruptRemapping: 'Interrupts of the function cannot be isolated',
  policyRefused: 'The policy, or the kernel below it, refuses what is asked for',
  sriovUnsupported: 'The function has no SR-IOV capability',
  sriovOutOfRange: 'More virtual functions than the device or its driver allows',
  sriovBusy: 'Virtual functions cannot be changed now',
  resetUnavailable: 'The function offers no reset that leaves others alone',
  outOfMemory: 'Not enough host memory',
  memoryPinned: 'Memory that a device may reach cannot be taken away',
  outOfResources: 'A hardware or address resource is exhausted',
  topologyConflict: 'The topology contradicts itself',
  expectationFailed: 'The experiment did not do what its document expects',
  experimentRunning: 'The experiment has not ended yet',
  experimentCancelled: 'The experiment was cancelled',
  limitExceeded: 'A limit of this server is reached',
  idempotencyConflict: 'The idempotency key was used for a different request',
  unsupported: 'This is not modelled',
  unauthenticated: 'The request needs a token',
  forbidden: 'The token does not allow this',
  payloadTooLarge: 'The request is larger than this server takes',
  unsupportedMediaType: 'The request has a content type that is not understood',
  storeFailed: 'What happened cannot be kept',
  worldUnavailable: 'The world cannot be restored by this version',
  stateUnavailable: 'That state of the platform cannot be had',
  defect: 'Northbridge itself went wrong',
} as const

export type ErrorCode = keyof typeof ERROR_TITLES

export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(ERROR_TITLES, text)

/** One wrong spot in a document or request: a JSON-pointer-like path and the rule it breaks. */
export interface Issue {
  readonly path: string
  readonly message: string
}

export interface ErrorDetails {
  /** Wrong fields, for documents and request bodies. */
  readonly issues?: readonly Issue[]
  /** Further facts, e.g. the mates that make a group not viable. Plain JSON. */
  readonly [key: string]: unknown
}

/** A request that cannot be served. The message names the field or register and the rule; nothing was changed. */
export class NorthbridgeError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message)
    this.name = 'NorthbridgeError'
    this.code = code
    this.details = details
  }
}

/** States an invariant of our own. Always on: a broken one is a defect, never a user's mistake. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`defect: ${invariant}`)
}
