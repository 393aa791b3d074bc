/** CPUID as guests see it: the processor's own answers without what is not offered to guests. */

import type { Operation } from '../vmx/formats/operations.ts'
import { HYPERVISOR_LEAF, HYPERVISOR_SIGNATURE } from './formats/virtual-board.ts'
import type { HostProcessor } from './host-processor.ts'
import { type GuestResult, guestResult } from './types.ts'

/** CPUID.1:ECX bits. */
export const CPUID_1_ECX = {
  VMX: 1 << 5,
  x2APIC: 1 << 21,
  /** The APIC timer has a TSC-deadline mode: a guest has no APIC timer. */
  tscDeadline: 1 << 24,
  hypervisor: 0x8000_0000,
} as const

/** Executed in root mode on the processor that exited. */
export function virtualCpuid(
  processor: HostProcessor,
  operation: Extract<Operation, { op: 'cpuid' }>,
  apicId: number,
  vcpuCount: number,
): GuestResult {
  const { leaf } = operation
  if (leaf === HYPERVISOR_LEAF) {
    const [ebx, ecx, edx] = [0, 4, 8].map(at => Buffer.from(HYPERVISOR_SIGNATURE).readUInt32LE(at))
    return guestResult('done', { eax: HYPERVISOR_LEAF, ebx: ebx!, ecx: ecx!, edx: edx! })
  }
  const real = guestResult('done', processor.run(operation))
  switch (leaf) {
    case 1:
      return {
        ...real,
        // Initial APIC ID and number of logical processors.
        ebx: ((real.ebx & 0xffff) | (vcpuCount << 16) | (apicId << 24)) >>> 0,
        ecx:
          ((real.ecx & ~(CPUID_1_ECX.VMX | CPUID_1_ECX.tscDeadline)) |
            CPUID_1_ECX.x2APIC |
            CPUID_1_ECX.hypervisor) >>>
          0,
      }
    case 0xb:
      // "Extended Topology Enumeration Leaf": EDX is the x2APIC ID.
      return { ...real, edx: apicId }
    default:
      return real
  }
}
