/** Derived from vmx_guest_state_area_test: segments, descriptor tables, RIP. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Word64 } from '../../vmx/formats/operations.ts'
import { ENTRY, SECONDARY } from './machine.ts'
import { DONE } from './settings.ts'
import { entryFails, entryRow, type Row, type Step, set } from './step-case.ts'

const GUEST = entryFails(0)

const NOT_CANONICAL: Word64 = [0, 0x8000]

/** A guest in legacy PAE mode. */
const LEGACY: readonly Step[] = [set('entryControls', ENTRY & ~0x200), set('guestCsAccessRights', 0xc09b)]

const UNRESTRICTED = set('secondaryProcessorBasedControls', SECONDARY | PROC2.unrestrictedGuest)

const DATA = ['Ss', 'Ds', 'Es', 'Fs', 'Gs'] as const

const guestValues: readonly (readonly [string, string, string, readonly Step[], boolean])[] = [
  [
    'TR.TI',
    'test_guest_segment_sel_fields',
    'TI of the guest TR selector must be 0',
    [set('guestTrSelector', 0x1c)],
    false,
  ],
  [
    'LDTR.TI',
    'test_guest_segment_sel_fields',
    'TI of a usable guest LDTR selector must be 0',
    [set('guestLdtrAccessRights', 0x82), set('guestLdtrSelector', 4)],
    false,
  ],
  [
    'LDTR.unusable',
    'vmx_ldtr_test',
    'an unusable LDTR may have any selector',
    [set('guestLdtrSelector', 4)],
    true,
  ],
  [
    'SS.RPL',
    'test_guest_segment_sel_fields',
    'RPL of SS is that of CS',
    [set('guestSsSelector', 0x13)],
    false,
  ],
  [
    'SS.RPL.unrestricted',
    'test_guest_segment_sel_fields',
    'but not in an unrestricted guest',
    [UNRESTRICTED, set('guestSsSelector', 0x13)],
    true,
  ],
  ...(['Cs', 'Ss', 'Ds', 'Es'] as const).map(
    name =>
      [
        `${name}.base`,
        'test_guest_segment_base_addr_fields',
        `bits 63:32 of the guest ${name} base must be 0`,
        [set(`guest${name}Base`, [0, 1])],
        false,
      ] as const,
  ),
  ...DATA.flatMap(
    name =>
      [
        [
          `${name}.S`,
          'vmx_guest_state_area_test',
          `a usable ${name} has S set`,
          [set(`guest${name}AccessRights`, 0xc083)],
          false,
        ],
        [
          `${name}.P`,
          'vmx_guest_state_area_test',
          `a usable ${name} is present`,
          [set(`guest${name}AccessRights`, 0xc013)],
          false,
        ],
        [
          `${name}.reserved8`,
          'vmx_guest_state_area_test',
          `bit 8 of the ${name} access rights is reserved`,
          [set(`guest${name}AccessRights`, 0xc193)],
          false,
        ],
        [
          `${name}.reserved17`,
          'vmx_guest_state_area_test',
          `bit 17 of the ${name} access rights is reserved`,
          [set(`guest${name}AccessRights`, 0x2_c093)],
          false,
        ],
        [
          `${name}.G`,
          'vmx_guest_state_area_test',
          `${name} with a limit below 4 KiB has G clear`,
          [set(`guest${name}Limit`, 0x10)],
          false,
        ],
        [
          `${name}.unusable`,
          'vmx_guest_state_area_test',
          `an unusable ${name} may have any limit`,
          [set(`guest${name}AccessRights`, 0x1_0000), set(`guest${name}Limit`, 0x10)],
          true,
        ],
      ] as const,
  ),
  ...[9, 11, 13, 15].map(
    type =>
      [
        `CS.type${type}`,
        'vmx_guest_state_area_test',
        `CS may be of type ${type}`,
        [set('guestCsAccessRights', 0xa090 | type)],
        true,
      ] as const,
  ),
  ...[0, 1, 2, 3, 4, 7, 8, 10, 12, 14].map(
    type =>
      [
        `CS.type${type}`,
        'vmx_guest_state_area_test',
        `CS may not be of type ${type}`,
        [set('guestCsAccessRights', 0xa090 | type)],
        false,
      ] as const,
  ),
  ...[0, 1, 2, 4, 5, 6, 11].map(
    type =>
      [
        `SS.type${type}`,
        'vmx_guest_state_area_test',
        `SS may not be of type ${type}`,
        [set('guestSsAccessRights', 0xc090 | type)],
        false,
      ] as const,
  ),
  [
    'CS.D',
    'vmx_guest_state_area_test',
    '64-bit code has D clear',
    [set('guestCsAccessRights', 0xe09b)],
    false,
  ],
  [
    'CS.DPL',
    'vmx_guest_state_area_test',
    'DPL of non-conforming code is that of SS',
    [set('guestCsAccessRights', 0xa0fb)],
    false,
  ],
  ['TR.unusable', 'vmx_guest_state_area_test', 'TR is usable', [set('guestTrAccessRights', 0x1_008b)], false],
  [
    'TR.type3',
    'vmx_guest_state_area_test',
    'an IA-32e mode guest has no 16-bit TSS',
    [set('guestTrAccessRights', 0x83)],
    false,
  ],
  ['TR.type9', 'vmx_guest_state_area_test', 'the TSS is busy', [set('guestTrAccessRights', 0x89)], false],
  [
    'TR.legacy',
    'vmx_guest_state_area_test',
    'a legacy guest may have a 16-bit TSS',
    [...LEGACY, set('guestTrAccessRights', 0x83)],
    true,
  ],
  [
    'GDTR.limit',
    'vmx_guest_state_area_test',
    'bits 31:16 of the GDTR limit must be 0',
    [set('guestGdtrLimit', 0x1_0000)],
    false,
  ],
  [
    'IDTR.limit',
    'vmx_guest_state_area_test',
    'bits 31:16 of the IDTR limit must be 0',
    [set('guestIdtrLimit', 0x1_0000)],
    false,
  ],
  ['RIP', 'vmx_canonical_test', 'RIP of 64-bit code is canonical', [set('guestRip', NOT_CANONICAL)], false],
  [
    'RIP.legacy',
    'vmx_guest_state_area_test',
    'RIP of other code is below 2^32',
    [...LEGACY, set('guestRip', [0, 1])],
    false,
  ],
]

export const GUEST_SEGMENT_ROWS: readonly Row[] = guestValues.map(([id, source, states, setting, legal]) =>
  entryRow(`guest.${id}`, source, states, setting, legal ? DONE : GUEST),
)
