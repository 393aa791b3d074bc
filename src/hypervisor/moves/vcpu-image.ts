/**
 * The state of a virtual processor without anything of the host that it ran on: what its guest could find out. A VMCS is
 * made of it anew wherever it goes on, as "Software Use of Virtual-Machine Control Structures" wants: the format of the
 * region is the processor's own.
 */
import type { Saved } from '../../core/index.ts'
import { VMCS, VMCS_FIELDS } from '../../vmx/formats/vmcs.ts'
import type { SavedInjection } from '../event-injection.ts'
import type { SavedVirtualApic } from '../virtual-apic.ts'
import type { Vmcs } from '../vmcs.ts'

/** Guest-state fields that every processor has with the controls that the hypervisor uses. */
const GUEST_STATE: readonly number[] = VMCS_FIELDS.filter(
  ({ type, encoding }) => type === 'guestState' && isCarried(encoding),
).map(({ encoding }) => encoding)

/** Not: what belongs to the host's tracking or to its pages, and what exists only with controls that are off. */
function isCarried(encoding: number): boolean {
  if (encoding === VMCS.guestDebugctl) return true
  if (encoding >= VMCS.guestPdpte0 && encoding <= VMCS.guestPdpte3) return true
  if (encoding >= VMCS.guestEsSelector && encoding <= VMCS.guestTrSelector) return true
  if (encoding >= VMCS.guestEsLimit && encoding <= VMCS.guestSysenterCs) return true
  return encoding >= VMCS.guestCr0 && encoding <= VMCS.guestSysenterEip
}

/** An event that is to be injected by the next VM entry: its delivery was interrupted. */
const EVENT = [
  VMCS.entryInterruptionInformation,
  VMCS.entryExceptionErrorCode,
  VMCS.entryInstructionLength,
] as const

export type FieldValue = readonly [field: number, low: number, high: number]

export type VcpuImage = {
  readonly number: number
  readonly fields: readonly FieldValue[]
  readonly exception: SavedInjection['exception']
  readonly counters: Saved
  readonly apic: SavedVirtualApic
  readonly software: Saved
  /** IA32_FEATURE_CONTROL, where guests find VMX. */
  readonly featureControl: number | null
}

export const readGuestState = (vmcs: Vmcs): FieldValue[] =>
  [...GUEST_STATE, ...EVENT].map(field => [field, ...vmcs.read64(field)] as const)

export function writeGuestState(vmcs: Vmcs, fields: readonly FieldValue[]): void {
  for (const [field, low, high] of fields) vmcs.write(field, low, high)
}
