/** "Exit Qualification": the fields of a VM exit by name, for people and programs that follow what a guest does. */
import { hex } from '../core/index.ts'
import { eventTypeOf, eventVectorOf, INTERRUPTION_VALID } from '../vmx/formats/events.ts'
import { describeQualification } from '../vmx/formats/exit-qualification.ts'
import { EXIT_REASON, exitReasonName } from '../vmx/formats/exit-reasons.ts'
import type { Word64 } from '../vmx/formats/operations.ts'
import { VMCS } from '../vmx/formats/vmcs.ts'
import type { ExitRecord } from './types.ts'
import type { Vmcs } from './vmcs.ts'

/** What the hypervisor reads of the VMCS after a VM exit. */
export interface Exit {
  /** Basic exit reason. */
  readonly reason: number
  readonly qualification: number
  readonly interruptionInformation: number
  /** Guest-physical address, of EPT violations and misconfigurations; else 0. */
  readonly guestPhysicalAddress: number
}

export function readExit(vmcs: Vmcs, reason: number): Exit {
  const ept = reason === EXIT_REASON.eptViolation || reason === EXIT_REASON.eptMisconfiguration
  return {
    reason,
    qualification: vmcs.read(VMCS.exitQualification),
    interruptionInformation: vmcs.read(VMCS.exitInterruptionInformation),
    guestPhysicalAddress: ept ? join(vmcs.read64(VMCS.guestPhysicalAddress)) : 0,
  }
}

export const exitName = (reason: number): string => exitReasonName(reason) ?? `reason${reason}`

export function decodeQualification(exit: Exit): Record<string, number | boolean | string> {
  if (exit.reason === EXIT_REASON.exceptionOrNmi || exit.reason === EXIT_REASON.externalInterrupt) {
    const information = exit.interruptionInformation
    if ((information & INTERRUPTION_VALID) === 0) return {}
    return { type: eventTypeOf(information), vector: eventVectorOf(information) }
  }
  return describeQualification(exit.reason, exit.qualification, 0)
}

/** @param level where guests find VMX. */
export const recordOf = (
  exit: Exit,
  handledBy: string,
  operation: number | null,
  level: 1 | 2 | undefined,
): ExitRecord => ({
  reason: exitName(exit.reason),
  code: exit.reason,
  qualification: decodeQualification(exit),
  ...(exit.reason === EXIT_REASON.eptViolation && { guestPhysicalAddress: hex(exit.guestPhysicalAddress) }),
  handledBy,
  operation,
  ...(level && { level }),
})

const join = ([low, high]: Word64): number => high * 2 ** 32 + low
