/**
 * The checks of vmcs12's controls and host state, made by the processor: a scratch VMCS gets both, and a guest state that
 * cannot be entered (RFLAGS bit 1 clear). VMLAUNCH of it fails with error 7 or 8 as L1's must, or, if controls and host
 * state are in order, late with exit 33. Then the host state of vmcs12 is the processor's until the next VM exit: the
 * hypervisor's code and data are at physical addresses, and so need none of its own until then.
 */
import { assert } from '../../core/index.ts'
import { EXIT_REASON } from '../../vmx/formats/exit-reasons.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { HostProcessor } from '../host-processor.ts'
import type { Vmcs } from '../vmcs.ts'
import { FIELDS, type Vmcs12 } from './vmcs12.ts'

const CHECKED = FIELDS.filter(({ type }) => type === 'control' || type === 'hostState')
/** A late failure would load the MSRs of this area: it is checked, but never given as what it is. */
const EXIT_LOAD: readonly VmcsFieldName[] = ['exitMsrLoadCount', 'exitMsrLoadAddress']

/** Returns 0, or the VM-instruction error number. */
export function checkControlsAndHost(vmcs12: Vmcs12, scratch: Vmcs, processor: HostProcessor): number {
  for (const { encoding, name } of CHECKED) {
    if (!EXIT_LOAD.includes(name)) scratch.write(encoding, ...vmcs12.read64(encoding))
  }
  // The rules on the event to inject look at it.
  scratch.write(VMCS.guestCr0, ...vmcs12.read64(VMCS.guestCr0))
  scratch.write(VMCS.guestRflags, 0)
  const error = tryEntry(scratch, processor)
  if (error !== 0 || vmcs12.read(VMCS.exitMsrLoadCount) === 0) return error
  // The rule on the VM-exit MSR-load area is that on the VM-entry one.
  scratch.write(VMCS.entryMsrLoadCount, vmcs12.read(VMCS.exitMsrLoadCount))
  scratch.write(VMCS.entryMsrLoadAddress, ...vmcs12.read64(VMCS.exitMsrLoadAddress))
  return tryEntry(scratch, processor)
}

function tryEntry(scratch: Vmcs, processor: HostProcessor): number {
  // A write makes the scratch VMCS current.
  scratch.write(VMCS.exitMsrLoadCount, 0)
  const { outcome, error } = processor.port.execute({ op: 'vmlaunch' })
  if (outcome === 'vmFailValid') return error
  assert(
    outcome === 'vmExit' && (scratch.read(VMCS.exitReason) & 0xffff) === EXIT_REASON.entryFailureGuestState,
    'an entry without RFLAGS bit 1 fails',
  )
  return 0
}
