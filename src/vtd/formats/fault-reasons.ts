/** "Fault Reason Encodings", whole. */
import type { FaultReason } from './fault-reason.ts'
import { INTERRUPT_FAULT_REASONS } from './interrupt-fault-reasons.ts'
import { LEGACY_FAULT_REASONS } from './legacy-fault-reasons.ts'
import { SCALABLE_FAULT_REASONS } from './scalable-fault-reasons.ts'

export type { FaultReason }

export const FAULT_REASONS: readonly FaultReason[] = [
  ...LEGACY_FAULT_REASONS,
  ...INTERRUPT_FAULT_REASONS,
  ...SCALABLE_FAULT_REASONS,
]

const BY_CODE = new Map(FAULT_REASONS.map(reason => [reason.code, reason]))

/** The row of a reason code; undefined for a code that is not in the table. */
export const faultReason = (code: number): FaultReason | undefined => BY_CODE.get(code)
