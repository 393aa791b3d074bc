/** The VMCS of a stream's guest: what its fields hold at the start, for either kind of memory virtualization. */
import { ENTRY_CONTROLS, EXIT_CONTROLS, PIN_BASED, PRIMARY, SECONDARY } from '../../vmx/formats/controls.ts'
import { ACCESS_RIGHTS } from '../../vmx/formats/events.ts'
import { CR4, MSR, RFLAGS } from '../../vmx/formats/msrs.ts'
import { NO_VMCS, type VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import { eptPointer } from '../vmcs.ts'
import { PAGING_CR0, pagingCr4 } from './processor-boot.ts'
import type { GuestStart, TechniqueHost } from './technique.ts'

const { S, P, L, DB, G, unusable } = ACCESS_RIGHTS
const CODE = 11 | S | P | G
const DATA = 3 | S | P | DB | G
const FLAT = 0xffff_ffff
const HOST = { code: 0x10, data: 0x18, task: 0x40 } as const
const VPID = 1

export const PAGE_FAULT_BIT = 1 << 14

/** Controls by the capability MSR that says which bits must be 1. */
export const CONTROL_FIELDS: readonly {
  readonly field: VmcsFieldName
  readonly capability: number
  readonly wanted: (plan: VmxPlan) => number
}[] = [
  {
    field: 'pinBasedControls',
    capability: MSR.IA32_VMX_TRUE_PINBASED_CTLS,
    wanted: () => PIN_BASED.externalInterruptExiting | PIN_BASED.nmiExiting,
  },
  {
    field: 'primaryProcessorBasedControls',
    capability: MSR.IA32_VMX_TRUE_PROCBASED_CTLS,
    wanted: ({ ept, host }) =>
      PRIMARY.hltExiting |
      PRIMARY.unconditionalIoExiting |
      PRIMARY.cr8LoadExiting |
      PRIMARY.cr8StoreExiting |
      (ept || host.features.taggedTlb ? PRIMARY.activateSecondaryControls : 0) |
      (ept ? 0 : PRIMARY.cr3LoadExiting | PRIMARY.cr3StoreExiting | PRIMARY.invlpgExiting),
  },
  {
    field: 'exitControls',
    capability: MSR.IA32_VMX_TRUE_EXIT_CTLS,
    wanted: () =>
      EXIT_CONTROLS.hostAddressSpaceSize |
      EXIT_CONTROLS.acknowledgeInterruptOnExit |
      EXIT_CONTROLS.saveEfer |
      EXIT_CONTROLS.loadEfer,
  },
  {
    field: 'entryControls',
    capability: MSR.IA32_VMX_TRUE_ENTRY_CTLS,
    wanted: ({ host }) => ENTRY_CONTROLS.loadEfer | (host.bits === 64 ? ENTRY_CONTROLS.ia32eModeGuest : 0),
  },
]

export interface VmxPlan {
  readonly host: TechniqueHost
  readonly start: GuestStart
  readonly ept: boolean
  /** Page of the EPT root, or physical address of the first shadow table. */
  readonly eptRoot: number
  readonly guestCr3: number
}

const EFER_GUEST = { 32: 0, 64: 0xd01 } as const
const EFER_HOST = 0xd01

/** Every field besides the controls: name, low and high word. */
export function vmcsFields(plan: VmxPlan): readonly (readonly [VmcsFieldName, number, number?])[] {
  const { host, start, ept, eptRoot, guestCr3 } = plan
  const { bits, features } = host
  const data = (['Ss', 'Ds', 'Es', 'Fs', 'Gs'] as const).flatMap(
    (name): (readonly [VmcsFieldName, number])[] => [
      [`guest${name}Selector`, start.data],
      [`guest${name}Limit`, FLAT],
      [`guest${name}AccessRights`, DATA],
      [`host${name}Selector`, HOST.data],
    ],
  )
  return [
    ...(ept || features.taggedTlb
      ? ([
          [
            'secondaryProcessorBasedControls',
            (ept ? SECONDARY.enableEpt : 0) | (features.taggedTlb ? SECONDARY.enableVpid : 0),
          ],
        ] as const)
      : []),
    ...(features.taggedTlb ? ([['virtualProcessorIdentifier', VPID]] as const) : []),
    ...(ept ? ([['eptPointer', ...eptPointer(eptRoot)]] as const) : []),
    ['exceptionBitmap', ept ? 0 : PAGE_FAULT_BIT],
    ['cr4GuestHostMask', CR4.VMXE],
    ['cr4ReadShadow', pagingCr4(bits)],
    ['hostCr0', PAGING_CR0],
    ['hostCr4', CR4.PAE | CR4.VMXE],
    ['hostEfer', EFER_HOST],
    ['hostCsSelector', HOST.code],
    ['hostTrSelector', HOST.task],
    ['guestCr0', PAGING_CR0],
    ['guestCr3', guestCr3],
    ['guestCr4', pagingCr4(bits) | CR4.VMXE],
    ['guestEfer', EFER_GUEST[bits]],
    ['guestDr7', 0x400],
    ['guestRflags', RFLAGS.fixed1],
    ['guestRip', start.rip],
    ['guestRsp', start.rsp],
    ['vmcsLinkPointer', ...NO_VMCS],
    ['guestCsSelector', start.code],
    ['guestCsLimit', FLAT],
    ['guestCsAccessRights', CODE | (bits === 64 ? L : DB)],
    ...data,
    ['guestLdtrAccessRights', unusable],
    ['guestTrSelector', start.task],
    ['guestTrBase', start.taskBase],
    ['guestTrLimit', 0x67],
    ['guestTrAccessRights', 11 | P],
    ['guestGdtrBase', start.gdt.base],
    ['guestGdtrLimit', start.gdt.limit],
    ['guestIdtrBase', start.idt.base],
    ['guestIdtrLimit', start.idt.limit],
  ]
}
