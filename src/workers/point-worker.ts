/** What a worker thread does: simulates the points that it is handed. */
import { type ErrorCode, type ErrorDetails, NorthbridgeError } from '../core/index.ts'
import { type PlannedPoint, runPoint, type SweepPoint } from '../experiments/index.ts'

/** A result, or a refusal as plain data: errors lose their class between threads. */
export type PointAnswer =
  | { readonly result: SweepPoint['result'] }
  | { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails }

export default function answer(configuration: PlannedPoint['configuration']): PointAnswer {
  try {
    return { result: runPoint(configuration) }
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    const { code, message, details } = error
    return { code, message, details }
  }
}
