/** The VMCS that a hypervisor in a guest (L1) fills for its own guest (L2): a flat 64-bit one with memory through EPT. */
import type { Software } from '../../engine/index.ts'
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from '../../vmx/formats/controls.ts'
import { ACCESS_RIGHTS } from '../../vmx/formats/events.ts'
import { CR0, CR4, MSR, RFLAGS } from '../../vmx/formats/msrs.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { NO_VMCS, VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { GuestPort } from '../guest-port.ts'

const { S, P, L, DB, G, unusable } = ACCESS_RIGHTS
const SELECTOR = { code: 0x8, data: 0x10, task: 0x18 } as const
const TYPE = { dataReadWriteAccessed: 3, codeReadAccessed: 11, busyTss: 11 } as const
const FLAT_LIMIT = 0xffff_ffff
const TSS_LIMIT = 0x67
const DR7_RESET = 0x400

/** What L1 asks for, and the capability MSR that says which bits must be 1. */
const CONTROLS: readonly (readonly [VmcsFieldName, number, number])[] = [
  ['pinBasedControls', MSR.IA32_VMX_TRUE_PINBASED_CTLS, PIN_BASED.externalInterruptExiting],
  [
    'primaryProcessorBasedControls',
    MSR.IA32_VMX_TRUE_PROCBASED_CTLS,
    PRIMARY.hltExiting | PRIMARY.activateSecondaryControls,
  ],
  ['secondaryProcessorBasedControls', MSR.IA32_VMX_PROCBASED_CTLS2, SECONDARY.enableEpt],
  ['exitControls', MSR.IA32_VMX_TRUE_EXIT_CTLS, EXIT_CONTROLS.hostAddressSpaceSize],
  ['entryControls', MSR.IA32_VMX_TRUE_ENTRY_CTLS, ENTRY_CONTROLS.ia32eModeGuest],
]

const STATE: readonly (readonly [VmcsFieldName, number])[] = [
  ['hostCsSelector', SELECTOR.code],
  ['hostTrSelector', SELECTOR.task],
  ['guestRflags', RFLAGS.fixed1],
  ['guestDr7', DR7_RESET],
  ['guestCsSelector', SELECTOR.code],
  ['guestCsLimit', FLAT_LIMIT],
  ['guestCsAccessRights', TYPE.codeReadAccessed | S | P | L | G],
  ...(['Ss', 'Ds', 'Es', 'Fs', 'Gs'] as const).flatMap((name): [VmcsFieldName, number][] => [
    [`host${name}Selector`, SELECTOR.data],
    [`guest${name}Selector`, SELECTOR.data],
    [`guest${name}Limit`, FLAT_LIMIT],
    [`guest${name}AccessRights`, TYPE.dataReadWriteAccessed | S | P | DB | G],
  ]),
  ['guestLdtrAccessRights', unusable],
  ['guestTrSelector', SELECTOR.task],
  ['guestTrLimit', TSS_LIMIT],
  ['guestTrAccessRights', TYPE.busyTss | P],
]

/** Fills the current VMCS, which was all zeros. */
export function* fillVmcs(port: GuestPort, eptPointer: Word64): Software {
  function* write(name: VmcsFieldName, value: Word64): Software {
    yield* port.execute({ op: 'vmwrite', field: VMCS[name], value })
  }
  function* read(msr: number): Software<number> {
    return (yield* port.execute({ op: 'rdmsr', msr })).low
  }
  for (const [name, capability, wanted] of CONTROLS) {
    yield* write(name, [(wanted | (yield* read(capability))) >>> 0, 0])
  }
  const cr0 = ((yield* read(MSR.IA32_VMX_CR0_FIXED0)) | CR0.ET) >>> 0
  const cr4 = ((yield* read(MSR.IA32_VMX_CR4_FIXED0)) | CR4.PAE) >>> 0
  for (const side of ['host', 'guest'] as const) {
    yield* write(`${side}Cr0`, [cr0, 0])
    yield* write(`${side}Cr4`, [cr4, 0])
  }
  for (const [name, value] of STATE) yield* write(name, [value, 0])
  yield* write('vmcsLinkPointer', NO_VMCS)
  yield* write('eptPointer', eptPointer)
}
