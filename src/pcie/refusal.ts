/** How requests end unsuccessfully: the status that the requester sees, and who logs which error. */
import { logRefusal, UNCORRECTABLE } from './error-reporting.ts'
import type { FunctionNode } from './parts.ts'
import { type MemoryRequest, STATUS, type Status } from './request.ts'

/** What the completer logs for a status. */
const ERROR_OF = new Map<Status, number>([
  [STATUS.unsupportedRequest, UNCORRECTABLE.unsupportedRequest],
  [STATUS.bridgeBusMasterDisabled, UNCORRECTABLE.unsupportedRequest],
  [STATUS.completerAbort, UNCORRECTABLE.completerAbort],
  [STATUS.acsBlocked, UNCORRECTABLE.acsViolation],
  [STATUS.poisoned, UNCORRECTABLE.poisonedTlp],
])

/**
 * Ends a request.
 *
 * @param detector who found out and logs it; undefined inside the root complex, where nobody has a log.
 */
export function refuse(request: MemoryRequest, status: Status, detector: FunctionNode | undefined): void {
  request.status = status
  const error = ERROR_OF.get(status)
  if (request.observer !== undefined || detector === undefined || error === undefined) return
  logRefusal(detector, error, request)
}
