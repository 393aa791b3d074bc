/** Derived from vmx_guest_state_area_test. */
import { ENTRY_CONTROLS, SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'

import { AT, ENTRY, SECONDARY } from './machine.ts'
import { bit, canonicalRows, DONE, patRows } from './settings.ts'
import { entryFails, entryRow, memory, type Row, type Step, set } from './step-case.ts'

const GUEST = entryFails(0)

const loadGuest = (control: number): Step => set('entryControls', ENTRY | control)

/** A guest in legacy PAE mode. */
const LEGACY: readonly Step[] = [set('entryControls', ENTRY & ~0x200), set('guestCsAccessRights', 0xc09b)]

const UNRESTRICTED = set('secondaryProcessorBasedControls', SECONDARY | PROC2.unrestrictedGuest)

const guestValues: readonly (readonly [string, string, string, readonly Step[], boolean | 2 | 4])[] = [
  ...[3, 5, 15, 22, 31, 32, 63].map(
    n =>
      [
        `RFLAGS.bit${n}`,
        'vmx_guest_state_area_test',
        `guest RFLAGS bit ${n} must be 0`,
        [set('guestRflags', n < 32 ? (0x2 | (1 << n)) >>> 0 : [2, (1 << (n - 32)) >>> 0])],
        false,
      ] as const,
  ),
  [
    'RFLAGS.bit1',
    'vmx_guest_state_area_test',
    'guest RFLAGS bit 1 must be 1',
    [set('guestRflags', 0)],
    false,
  ],
  [
    'RFLAGS.VM',
    'vmx_guest_state_area_test',
    'an IA-32e mode guest is not in virtual-8086 mode',
    [set('guestRflags', 0x2_0002)],
    false,
  ],
  [
    'CR0.PG',
    'vmentry_unrestricted_guest_test',
    'an unrestricted guest may not page without protection',
    [UNRESTRICTED, set('guestCr0', 0x8000_0030)],
    false,
  ],
  [
    'CR0.off',
    'vmentry_unrestricted_guest_test',
    'an unrestricted guest may have paging off',
    [...LEGACY, UNRESTRICTED, set('guestCr0', 0x31)],
    true,
  ],
  [
    'CR0.restricted',
    'vmentry_unrestricted_guest_test',
    'another guest may not have paging off',
    [...LEGACY, set('guestCr0', 0x31)],
    false,
  ],
  ['CR0.NE', 'vmx_cr_load_test', 'guest CR0.NE must be 1', [set('guestCr0', 0x8001_0011)], false],
  ['CR4.VMXE', 'vmx_cr_load_test', 'guest CR4.VMXE must be 1', [set('guestCr4', 0x20)], false],
  ...[12, 15, 19, 22, 31].map(
    n =>
      [
        `CR4.bit${n}`,
        'vmx_cr_load_test',
        `guest CR4 bit ${n} must be 0`,
        [set('guestCr4', (0x2020 | (1 << n)) >>> 0)],
        false,
      ] as const,
  ),
  ['CR4.PAE', 'vmx_cr_load_test', 'an IA-32e mode guest has CR4.PAE set', [set('guestCr4', 0x2000)], false],
  [
    'CR4.PCIDE',
    'vmx_cr_load_test',
    'CR4.PCIDE needs an IA-32e mode guest',
    [...LEGACY, set('guestCr4', 0x2_2020)],
    false,
  ],
  ...[46, 52, 63].map(
    n =>
      [
        `CR3.bit${n}`,
        'vmx_cr_load_test',
        `guest CR3 must lie below 2^46: not bit ${n}`,
        [set('guestCr3', bit(n))],
        false,
      ] as const,
  ),
  ...[32, 40, 63].map(
    n =>
      [
        `DR7.bit${n}`,
        'test_guest_dr7',
        `guest DR7 bit ${n} must be 0 if it is loaded`,
        [loadGuest(ENTRY_CONTROLS.loadDebugControls), set('guestDr7', bit(n))],
        false,
      ] as const,
  ),
  [
    'DR7.notLoaded',
    'test_guest_dr7',
    'a DR7 that is not loaded may be anything',
    [set('guestDr7', [0, 1])],
    true,
  ],
  ...[2, 16, 31].map(
    n =>
      [
        `DEBUGCTL.bit${n}`,
        'debug controls',
        `guest IA32_DEBUGCTL bit ${n} is reserved`,
        [loadGuest(ENTRY_CONTROLS.loadDebugControls), set('guestDebugctl', bit(n))],
        false,
      ] as const,
  ),
  ...[1, 9, 12, 32].map(
    n =>
      [
        `EFER.bit${n}`,
        'test_guest_efer',
        `guest EFER bit ${n} is reserved`,
        [loadGuest(ENTRY_CONTROLS.loadEfer), set('guestEfer', n < 32 ? 0x500 | (1 << n) : [0x500, 1])],
        false,
      ] as const,
  ),
  [
    'EFER.LMA',
    'test_guest_efer',
    'guest EFER.LMA is what IA-32e mode guest says',
    [loadGuest(ENTRY_CONTROLS.loadEfer), set('guestEfer', 0x100)],
    false,
  ],
  [
    'EFER.LME',
    'test_guest_efer',
    'with paging guest EFER.LME is LMA',
    [loadGuest(ENTRY_CONTROLS.loadEfer), set('guestEfer', 0x400)],
    false,
  ],
  [
    'EFER',
    'test_guest_efer',
    'guest EFER with LMA and LME',
    [loadGuest(ENTRY_CONTROLS.loadEfer), set('guestEfer', 0xd01)],
    true,
  ],
  ...[4, 35, 63].map(
    n =>
      [
        `PERF_GLOBAL_CTRL.bit${n}`,
        'test_load_guest_perf_global_ctrl',
        `guest IA32_PERF_GLOBAL_CTRL bit ${n} is reserved`,
        [loadGuest(ENTRY_CONTROLS.loadPerfGlobalCtrl), set('guestPerfGlobalCtrl', bit(n))],
        false,
      ] as const,
  ),
  ['activity4', 'test_guest_state', 'there is no activity state 4', [set('guestActivityState', 4)], false],
  ...[0, 1, 2, 3].map(
    state =>
      [
        `activity${state}`,
        'test_guest_state',
        `activity state ${state}`,
        [set('guestActivityState', state)],
        true,
      ] as const,
  ),
  [
    'activity.CPL',
    'test_guest_state',
    'HLT is for CPL 0',
    [
      set('guestActivityState', 1),
      set('guestCsSelector', 0xb),
      set('guestSsSelector', 0x13),
      set('guestCsAccessRights', 0xa0fb),
      set('guestSsAccessRights', 0xc0f3),
      ...(['Ds', 'Es', 'Fs', 'Gs'] as const).map(name => set(`guest${name}AccessRights`, 0xc0f3)),
    ],
    false,
  ],
  [
    'activity.STI',
    'test_guest_state',
    'a guest in HLT has no blocking by STI',
    [set('guestActivityState', 1), set('guestInterruptibilityState', 1)],
    false,
  ],
  [
    'activity.exception',
    'test_guest_state',
    'no general-protection exception is injected into HLT',
    [set('guestActivityState', 1), set('entryInterruptionInformation', 0x8000_0b0d)],
    false,
  ],
  [
    'activity.shutdown',
    'test_guest_state',
    'no external interrupt is injected into shutdown',
    [set('guestActivityState', 2), set('entryInterruptionInformation', 0x8000_0030)],
    false,
  ],
  [
    'activity.sipi',
    'vmx_sipi_signal_test',
    'nothing is injected into wait-for-SIPI',
    [set('guestActivityState', 3), set('entryInterruptionInformation', 0x8000_0202)],
    false,
  ],
  [
    'interruptibility.both',
    'test_guest_state',
    'STI and MOV SS do not block at once',
    [set('guestInterruptibilityState', 3)],
    false,
  ],
  [
    'interruptibility.IF',
    'test_guest_state',
    'blocking by STI needs IF',
    [set('guestInterruptibilityState', 1), set('guestRflags', 2)],
    false,
  ],
  [
    'interruptibility.SMI',
    'test_guest_state',
    'outside SMM, SMIs are not blocked',
    [set('guestInterruptibilityState', 4)],
    false,
  ],
  [
    'interruptibility.reserved',
    'test_guest_state',
    'interruptibility bit 5 is reserved',
    [set('guestInterruptibilityState', 0x20)],
    false,
  ],
  [
    'interruptibility.interrupt',
    'test_guest_state',
    'no external interrupt is injected while STI blocks',
    [set('guestInterruptibilityState', 1), set('entryInterruptionInformation', 0x8000_0030)],
    false,
  ],
  [
    'interruptibility.NMI',
    'test_guest_state',
    'no NMI is injected while MOV SS blocks',
    [set('guestInterruptibilityState', 2), set('entryInterruptionInformation', 0x8000_0202)],
    false,
  ],
  [
    'injection.IF',
    'interrupt',
    'an external interrupt is injected with IF set',
    [set('guestRflags', 2), set('entryInterruptionInformation', 0x8000_0030)],
    false,
  ],
  [
    'pendingDebug',
    'vmentry_movss_shadow_test',
    'reserved bits of the pending debug exceptions',
    [set('guestPendingDebugExceptions', 0x10)],
    false,
  ],
  [
    'pendingDebug.TF',
    'vmentry_movss_shadow_test',
    'in the shadow of MOV SS pending BS is TF',
    [set('guestInterruptibilityState', 2), set('guestRflags', 0x302)],
    false,
  ],
  [
    'pendingDebug.BS',
    'vmentry_movss_shadow_test',
    'and BS without TF is wrong too',
    [set('guestInterruptibilityState', 2), set('guestPendingDebugExceptions', 0x4000)],
    false,
  ],
  [
    'link.current',
    'vmx_vmcs_shadow_test',
    'the link pointer is not the current VMCS',
    [set('vmcsLinkPointer', AT.vmcs)],
    4,
  ],
  [
    'link.alignment',
    'vmx_vmcs_shadow_test',
    'the link pointer is aligned',
    [set('vmcsLinkPointer', AT.otherVmcs | 8)],
    4,
  ],
  [
    'link.width',
    'vmx_vmcs_shadow_test',
    'the link pointer lies below 2^46',
    [set('vmcsLinkPointer', [0, 0x4000])],
    4,
  ],
  [
    'link.revision',
    'vmx_vmcs_shadow_test',
    'the linked VMCS has the processor\u2019s revision',
    [memory(AT.otherVmcs, 1), set('vmcsLinkPointer', AT.otherVmcs)],
    4,
  ],
  [
    'link.shadow',
    'vmx_vmcs_shadow_test',
    'a shadow VMCS is linked only with VMCS shadowing',
    [memory(AT.otherVmcs, 0x8000_4e42), set('vmcsLinkPointer', AT.otherVmcs)],
    4,
  ],
  [
    'link',
    'vmx_vmcs_shadow_test',
    'another VMCS may be linked',
    [set('vmcsLinkPointer', AT.otherVmcs)],
    true,
  ],
  ...[1, 2, 5, 6, 7, 8].map(
    n =>
      [
        `PDPTE.bit${n}`,
        'test_vmx_guest_pdptes',
        `bit ${n} of a present PDPTE is reserved`,
        [...LEGACY, set('guestPdpte1', 1 | (1 << n))],
        2,
      ] as const,
  ),
  ...[46, 52, 63].map(
    n =>
      [
        `PDPTE.bit${n}`,
        'test_vmx_guest_pdptes',
        `a PDPTE lies below 2^46: not bit ${n}`,
        [...LEGACY, set('guestPdpte2', [1, (1 << (n - 32)) >>> 0])],
        2,
      ] as const,
  ),
  [
    'PDPTE.absent',
    'test_vmx_guest_pdptes',
    'a PDPTE that is not present may be anything',
    [...LEGACY, set('guestPdpte1', 0x1e6)],
    true,
  ],
  ['PDPTE', 'vmx_pae_test', 'a guest in legacy PAE mode', LEGACY, true],
]

const guestRows: Row[] = [
  ...guestValues.map(([id, source, states, setting, legal]) =>
    entryRow(
      `guest.${id}`,
      source,
      states,
      setting,
      legal === true ? DONE : legal === false ? GUEST : entryFails(legal),
    ),
  ),
  ...canonicalRows(
    'guest',
    'test_guest_segment_base_addr_fields',
    [
      'guestFsBase',
      'guestGsBase',
      'guestTrBase',
      'guestGdtrBase',
      'guestIdtrBase',
      'guestSysenterEsp',
      'guestSysenterEip',
    ],
    GUEST,
  ),
  ...patRows('guest', 'test_load_guest_pat', 'guestPat', loadGuest(ENTRY_CONTROLS.loadPat), GUEST),
]

export const GUEST_STATE_ROWS: readonly Row[] = [...guestRows]
