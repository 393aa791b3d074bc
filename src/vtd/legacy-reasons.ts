/** For a departing implementation that reports faults of scalable mode with the codes of legacy mode. */
import { FAULT } from './formats/fault-codes.ts'

const LEGACY = new Uint8Array(256)
for (const [scalable, legacy] of [
  [FAULT.scalableRootAccess, FAULT.rootAccess],
  [FAULT.scalableRootNotPresent, FAULT.rootNotPresent],
  [FAULT.scalableRootReserved, FAULT.rootReserved],
  [FAULT.scalableContextAccess, FAULT.contextAccess],
  [FAULT.scalableContextNotPresent, FAULT.contextNotPresent],
  [FAULT.scalableContextReserved, FAULT.contextReserved],
  [FAULT.scalableContextInvalid, FAULT.contextInvalid],
  [FAULT.scalableSecondStageAccess, FAULT.secondStageAccess],
  [FAULT.scalableSecondStageReserved, FAULT.secondStageReserved],
  [FAULT.scalableSecondStageTopAccess, FAULT.contextInvalid],
  [FAULT.addressBeyondHost, FAULT.addressBeyondWidth],
  [FAULT.scalableAddressBeyondWidth, FAULT.addressBeyondWidth],
] as const) {
  LEGACY[scalable] = legacy
}

/** The legacy code for a reason of scalable mode, or the reason itself where there is none. */
export function legacyReason(reason: number, write: boolean, secondStage: boolean): number {
  if (secondStage && MISSING_RIGHTS.includes(reason)) {
    return write ? FAULT.writePermission : FAULT.readPermission
  }
  return LEGACY[reason] || reason
}

const MISSING_RIGHTS: readonly number[] = [
  FAULT.scalableSecondStageNotPresent,
  FAULT.scalableWritePermission,
  FAULT.scalableReadPermission,
]
