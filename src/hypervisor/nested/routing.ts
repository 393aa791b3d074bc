/** Whose a VM exit of L2 is: L1's if its vmcs12 asks for it, else the hypervisor's own. */
import { PRIMARY } from '../../vmx/formats/controls.ts'
import {
  EVENT_TYPE,
  eventTypeOf,
  ioQualificationPort,
  ioQualificationWidth,
} from '../../vmx/formats/events.ts'
import { EXIT_REASON } from '../../vmx/formats/exit-reasons.ts'
import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { Exit } from '../exit-record.ts'
import type { GuestWords } from './guest-words.ts'
import type { Vmcs12 } from './vmcs12.ts'

const HIGH_MSRS = 0xc000_0000
const MSRS_PER_MAP = 0x2000
const HIGH_MAP = 0x400
const WRITE_MAPS = 0x800

/**
 * Only exits that the hypervisor asks for itself need a look: whatever else L2 exits for, L1 asked for, or the architecture
 * leaves no choice. EPT violations are not decided here.
 */
export function belongsToL1(
  exit: Exit,
  operation: Operation | undefined,
  vmcs12: Vmcs12,
  memory: GuestWords,
): boolean {
  switch (exit.reason) {
    case EXIT_REASON.externalInterrupt:
      // The host's. Those of L1 are made by the hypervisor.
      return false
    case EXIT_REASON.exceptionOrNmi:
      return eventTypeOf(exit.interruptionInformation) !== EVENT_TYPE.nmi
    case EXIT_REASON.interruptWindow:
      return vmcs12.has('primaryProcessorBasedControls', PRIMARY.interruptWindowExiting)
    case EXIT_REASON.hlt:
      return vmcs12.has('primaryProcessorBasedControls', PRIMARY.hltExiting)
    case EXIT_REASON.ioInstruction:
      return wantsPort(exit.qualification, vmcs12, memory)
    case EXIT_REASON.rdmsr:
      return operation?.op !== 'rdmsr' || wantsMsr(operation.msr, false, vmcs12, memory)
    case EXIT_REASON.wrmsr:
      return operation?.op !== 'wrmsr' || wantsMsr(operation.msr, true, vmcs12, memory)
    default:
      return true
  }
}

function wantsPort(qualification: number, vmcs12: Vmcs12, memory: GuestWords): boolean {
  if (!vmcs12.has('primaryProcessorBasedControls', PRIMARY.useIoBitmaps)) {
    return vmcs12.has('primaryProcessorBasedControls', PRIMARY.unconditionalIoExiting)
  }
  const first = ioQualificationPort(qualification)
  const end = first + ioQualificationWidth(qualification)
  if (end > 0x1_0000) return true
  for (let port = first; port < end; port++) {
    const bitmap = page(vmcs12, port < 0x8000 ? 'ioBitmapA' : 'ioBitmapB')
    if (memory.bit(bitmap, port & 0x7fff)) return true
  }
  return false
}

function wantsMsr(msr: number, write: boolean, vmcs12: Vmcs12, memory: GuestWords): boolean {
  if (!vmcs12.has('primaryProcessorBasedControls', PRIMARY.useMsrBitmaps)) return true
  const high = msr >= HIGH_MSRS
  const index = high ? msr - HIGH_MSRS : msr
  if (index >= MSRS_PER_MAP) return true
  const map = (write ? WRITE_MAPS : 0) + (high ? HIGH_MAP : 0)
  return memory.bit(page(vmcs12, 'msrBitmaps') + map, index)
}

const page = (vmcs12: Vmcs12, name: VmcsFieldName): number => join(vmcs12.read64(VMCS[name]))
const join = ([low, high]: Word64): number => high * 2 ** 32 + low
