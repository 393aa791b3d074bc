/** Derived from the EPT tests of reserved and ignored bits. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { AT, GUEST } from './machine.ts'
import { DONE, secondary } from './settings.ts'
import { type Expectation, guestRow, memory, type Row, type Step, set } from './step-case.ts'

const LINEAR = [GUEST.data + 0x10, 0] as const

const READ: Operation = { op: 'readLinear', address: LINEAR, width: 4 }

const WRITE: Operation = { op: 'writeLinear', address: LINEAR, width: 4, value: [7, 0] }

const FETCH: Operation = { op: 'fetchLinear', address: LINEAR }

const HOST_PAGE = AT.guest + GUEST.data

const DATA_ENTRY = AT.pt + (GUEST.data >>> 12) * 8

/** The EPT entry of the data page: address, memory type WB, and the given bits. */
const data = (bits: number, high = 0): Step => memory(DATA_ENTRY, (HOST_PAGE | 0x30 | bits) >>> 0, high)

/** Bits of the qualification. */
const Q = { R: 1, W: 2, X: 4, linear: 0x80, final: 0x100, user: 0x200, writable: 0x400 } as const

const KIND = { read: [READ, Q.R], write: [WRITE, Q.W], fetch: [FETCH, Q.X] } as const

const FINAL = Q.linear | Q.final | Q.user | Q.writable

const violation = (kind: keyof typeof KIND, rights: number): Expectation => ({
  exit: 'eptViolation',
  qualification: KIND[kind][1] | (rights << 3) | FINAL,
  linear: GUEST.data + 0x10,
  physical: GUEST.data + 0x10,
})

/** With mode-based execute control, bit 10 is the right of fetches from user-mode addresses. */
const MBEC = secondary(PROC2.modeBasedExecuteControl)

/** The tables above have to allow user-mode fetches as well. */
const ABOVE = [memory(AT.pml4, AT.pdpt | 0x407), memory(AT.pdpt, AT.pd | 0x407), memory(AT.pd, AT.pt | 0x407)]

const MISCONFIGURED: Expectation = {
  exit: 'eptMisconfiguration',
  qualification: 0,
  physical: GUEST.data + 0x10,
}

const misconfigurations: Row[] = [
  guestRow(
    'ept.misconfig.W',
    'ept_access_test_write_only',
    'write without read is a misconfiguration',
    [data(2)],
    READ,
    MISCONFIGURED,
  ),
  guestRow(
    'ept.misconfig.WX',
    'ept_access_test_write_execute',
    'so is write and execute',
    [data(6)],
    READ,
    MISCONFIGURED,
  ),
  guestRow(
    'ept.misconfig.X',
    'ept_access_test_execute_only',
    'so is execute-only where the processor lacks it',
    [data(4)],
    READ,
    MISCONFIGURED,
    { executeOnlyEpt: false },
  ),
  guestRow(
    'ept.misconfig.XU',
    'ept_access_test_execute_user_only',
    'and execute for user mode only',
    [MBEC, ...ABOVE, data(0x400)],
    READ,
    MISCONFIGURED,
    { executeOnlyEpt: false },
  ),
  ...[2, 3, 7].map(type =>
    guestRow(
      `ept.misconfig.type${type}`,
      'ept_access_test_reserved_bits',
      `memory type ${type} is reserved`,
      [memory(DATA_ENTRY, HOST_PAGE | 7 | (type << 3))],
      READ,
      MISCONFIGURED,
    ),
  ),
  ...[0, 1, 4, 5, 6].map(type =>
    guestRow(
      `ept.type${type}`,
      'ept_access_test_ignored_bits',
      `memory type ${type} is legal`,
      [memory(DATA_ENTRY, HOST_PAGE | 7 | (type << 3))],
      READ,
      DONE,
    ),
  ),
  ...[46, 47, 48, 49, 50, 51].map(bit =>
    guestRow(
      `ept.misconfig.bit${bit}`,
      'ept_access_test_reserved_bits',
      `address bit ${bit} beyond the width is reserved`,
      [data(7, 1 << (bit - 32))],
      READ,
      MISCONFIGURED,
    ),
  ),
  ...[3, 4, 5, 6, 7].map(bit =>
    guestRow(
      `ept.misconfig.pml4.bit${bit}`,
      'ept_access_test_reserved_bits',
      `PML4E bit ${bit} is reserved`,
      [memory(AT.pml4, AT.pdpt | 7 | (1 << bit))],
      READ,
      { exit: 'eptMisconfiguration' },
    ),
  ),
  ...[3, 4, 5, 6].flatMap(bit => [
    guestRow(
      `ept.misconfig.pdpt.bit${bit}`,
      'ept_access_test_reserved_bits',
      `PDPTE bit ${bit} is reserved in an entry that names a table`,
      [memory(AT.pdpt, AT.pd | 7 | (1 << bit))],
      READ,
      { exit: 'eptMisconfiguration' },
    ),
    guestRow(
      `ept.misconfig.pd.bit${bit}`,
      'ept_access_test_reserved_bits',
      `PDE bit ${bit} is reserved in an entry that names a table`,
      [memory(AT.pd, AT.pt | 7 | (1 << bit))],
      READ,
      { exit: 'eptMisconfiguration' },
    ),
  ]),
  ...[12, 15, 20].map(bit =>
    guestRow(
      `ept.misconfig.2M.bit${bit}`,
      'ept_access_test_force_2m_page',
      `bit ${bit} of an entry that maps 2 MiB is reserved`,
      [memory(AT.pd, AT.guest | 0xb7 | (1 << bit))],
      READ,
      { exit: 'eptMisconfiguration' },
    ),
  ),
  ...[12, 21, 29].map(bit =>
    guestRow(
      `ept.misconfig.1G.bit${bit}`,
      'ept_access_test_reserved_bits',
      `bit ${bit} of an entry that maps 1 GiB is reserved`,
      [memory(AT.pdpt, (0xb7 | (1 << bit)) >>> 0)],
      READ,
      { exit: 'eptMisconfiguration' },
    ),
  ),
  guestRow(
    'ept.misconfig.1G',
    'ept_access_test_reserved_bits',
    '1-GiB pages are reserved where the processor lacks them',
    [memory(AT.pdpt, 0xb7)],
    READ,
    { exit: 'eptMisconfiguration' },
    { gigabyteEptPages: false },
  ),
  guestRow(
    'ept.2M',
    'ept_access_test_force_2m_page',
    'a 2-MiB page',
    [memory(AT.pd, AT.guest | 0xb7)],
    READ,
    DONE,
  ),
  guestRow(
    'ept.order',
    'ept_access_test_reserved_bits',
    'a misconfiguration above comes before a violation below',
    [memory(AT.pd, AT.pt | 0xf), data(0)],
    READ,
    { exit: 'eptMisconfiguration' },
  ),
  guestRow(
    'ept.notPresent.reserved',
    'ept_access_test_not_present',
    'an entry that is not present is never misconfigured',
    [memory(DATA_ENTRY, 0xffff_fff8, 0xffff_ffff)],
    READ,
    violation('read', 0),
  ),
  ...[8, 9, 10, 11, 52, 57, 58, 60, 61, 62, 63].map(bit =>
    guestRow(
      `ept.ignored.bit${bit}`,
      'ept_access_test_ignored_bits',
      `bit ${bit} is ignored`,
      [bit < 32 ? data(7 | (1 << bit)) : data(7, (1 << (bit - 32)) >>> 0)],
      READ,
      DONE,
    ),
  ),
  guestRow(
    'ept.5levels',
    'test_ept_eptp',
    'a walk of five levels',
    [set('eptPointer', AT.pml5 | 0x26)],
    READ,
    DONE,
  ),
  ...[3, 7].map(bit =>
    guestRow(
      `ept.misconfig.pml5.bit${bit}`,
      'test_ept_eptp',
      `PML5E bit ${bit} is reserved`,
      [set('eptPointer', AT.pml5 | 0x26), memory(AT.pml5, AT.pml4 | 7 | (1 << bit))],
      READ,
      { exit: 'eptMisconfiguration' },
    ),
  ),
]

export const MISCONFIGURATION_ROWS: readonly Row[] = [...misconfigurations]
