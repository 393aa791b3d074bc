/** Derived from the tests of accessed and dirty flags, page-modification logging and virtualization exceptions. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { AT, GUEST } from './machine.ts'
import { CALL, secondary } from './settings.ts'
import { enter, guestRow, holds, memory, memoryHolds, type Row, run, type Step, set } from './step-case.ts'

const FLAGS = set('eptPointer', AT.pml4 | 0x5e)

const LINEAR = [GUEST.data + 0x10, 0] as const

const READ: Operation = { op: 'readLinear', address: LINEAR, width: 4 }

const WRITE: Operation = { op: 'writeLinear', address: LINEAR, width: 4, value: [7, 0] }

const HOST_PAGE = AT.guest + GUEST.data

const DATA_ENTRY = AT.pt + (GUEST.data >>> 12) * 8

/** The EPT entry of the data page: address, memory type WB, and the given bits. */
const data = (bits: number, high = 0): Step => memory(DATA_ENTRY, (HOST_PAGE | 0x30 | bits) >>> 0, high)

/** Bits of the qualification. */
const Q = { R: 1, W: 2, X: 4, linear: 0x80, final: 0x100, user: 0x200, writable: 0x400 } as const

const FINAL = Q.linear | Q.final | Q.user | Q.writable

/** Rights of EPT on the guest's page table, and A and D in its entry of the data page. */
const GUEST_TABLE = AT.pt + (GUEST.pt >>> 12) * 8

const table = (bits: number): Step => memory(GUEST_TABLE, (AT.guest + GUEST.pt) | 0x30 | bits)

const leaf = (flags: number): Step =>
  memory(AT.guest + GUEST.pt + (GUEST.data >>> 12) * 8, GUEST.data | 7 | flags)

const AD = 0x60

const flagRows: Row[] = [
  {
    id: 'ept.flags.read',
    source: 'EPT A/D enabled',
    states: 'a read sets the accessed flag of every entry it uses, and no dirty flag',
    steps: [
      FLAGS,
      data(7),
      leaf(AD),
      enter(),
      run(READ),
      memoryHolds(DATA_ENTRY, HOST_PAGE | 0x137),
      memoryHolds(AT.pml4, AT.pdpt | 0x107),
      memoryHolds(AT.pd, AT.pt | 0x107),
    ],
  },
  {
    id: 'ept.flags.write',
    source: 'EPT A/D enabled',
    states: 'a write sets the dirty flag too',
    steps: [FLAGS, data(7), enter(), run(WRITE), memoryHolds(DATA_ENTRY, HOST_PAGE | 0x337)],
  },
  {
    id: 'ept.flags.afterRead',
    source: 'EPT A/D enabled',
    states: 'even if the mapping was cached by a read',
    steps: [FLAGS, data(7), enter(), run(READ), run(WRITE), memoryHolds(DATA_ENTRY, HOST_PAGE | 0x337)],
  },
  {
    id: 'ept.flags.disabled',
    source: 'EPT A/D disabled',
    states: 'without the flags in EPTP no entry changes',
    steps: [data(7), enter(), run(WRITE), memoryHolds(DATA_ENTRY, HOST_PAGE | 0x37)],
  },
  {
    id: 'ept.flags.structures',
    source: 'EPT A/D enabled',
    states: 'accesses to guest paging structures make their pages dirty',
    steps: [FLAGS, table(7), enter(), run(READ), memoryHolds(GUEST_TABLE, (AT.guest + GUEST.pt) | 0x337)],
  },
]

const PML = [FLAGS, secondary(PROC2.enablePml), set('pmlAddress', AT.pml)] as const

const pml: Row[] = [
  {
    id: 'pml.log',
    source: 'PML',
    states: 'a write that makes a page dirty is logged, and the index goes down',
    steps: [
      ...PML,
      set('pmlIndex', 511),
      enter(),
      run({ op: 'write', address: GUEST.data + 0x123, width: 1, value: [1, 0] }),
      memoryHolds(AT.pml + 511 * 8, GUEST.data, 0),
      run(CALL, { exit: 'vmcall' }),
      holds('pmlIndex', 510),
    ],
  },
  {
    id: 'pml.once',
    source: 'PML',
    states: 'a page that is dirty already is not logged again',
    steps: [
      ...PML,
      set('pmlIndex', 511),
      enter(),
      run({ op: 'write', address: GUEST.data, width: 1, value: [1, 0] }),
      run({ op: 'write', address: GUEST.data + 8, width: 1, value: [1, 0] }),
      run(CALL, { exit: 'vmcall' }),
      holds('pmlIndex', 510),
    ],
  },
  {
    id: 'pml.wrap',
    source: 'PML',
    states: 'after entry 0 the index is FFFFH',
    steps: [
      ...PML,
      set('pmlIndex', 0),
      enter(),
      run({ op: 'write', address: GUEST.data, width: 1, value: [1, 0] }),
      run(CALL, { exit: 'vmcall' }),
      holds('pmlIndex', 0xffff),
    ],
  },
  {
    id: 'pml.full',
    source: 'PML',
    states: 'a full log exits before the write, and no flag is set',
    steps: [
      ...PML,
      data(7),
      set('pmlIndex', 0xffff),
      enter(),
      run(
        { op: 'write', address: GUEST.data, width: 4, value: [1, 0] },
        { exit: 'pageModificationLogFull', qualification: 0 },
      ),
      memoryHolds(DATA_ENTRY, HOST_PAGE | 0x37),
      memoryHolds(HOST_PAGE, 0),
    ],
  },
  {
    id: 'pml.read',
    source: 'PML',
    states: 'a read is not logged',
    steps: [
      ...PML,
      set('pmlIndex', 511),
      enter(),
      run({ op: 'read', address: GUEST.data, width: 1 }),
      run(CALL, { exit: 'vmcall' }),
      holds('pmlIndex', 511),
    ],
  },
]

const VE = [
  secondary(PROC2.eptViolationVe),
  set('virtualizationExceptionInformationAddress', AT.virtualizationException),
] as const

const virtualizationExceptions: Row[] = [
  {
    id: 've.convertible',
    source: 'ept_access_test_not_present',
    states: 'a convertible violation raises #VE and tells the information area',
    steps: [
      ...VE,
      set('eptpIndex', 5),
      data(0),
      enter(),
      run(READ, { outcome: 'exception', vector: 20, error: 0 }),
      memoryHolds(
        AT.virtualizationException,
        48,
        0xffff_ffff,
        Q.R | FINAL,
        0,
        GUEST.data + 0x10,
        0,
        GUEST.data + 0x10,
        0,
        5,
      ),
    ],
  },
  guestRow(
    've.suppressed',
    'ept_access_test_ignored_bits',
    'bit 63 of the entry suppresses it',
    [...VE, data(0, 0x8000_0000)],
    READ,
    { exit: 'eptViolation' },
  ),
  guestRow(
    've.busy',
    'ept_access_test_ignored_bits',
    'so does an information area in use',
    [...VE, memory(AT.virtualizationException + 4, 1), data(0)],
    READ,
    { exit: 'eptViolation' },
  ),
  guestRow(
    've.exception',
    'ept_access_test_ignored_bits',
    'the exception bitmap may make it exit',
    [...VE, set('exceptionBitmap', 1 << 20), data(0)],
    READ,
    { exit: 'exceptionOrNmi', interruption: 0x8000_0314 },
  ),
  guestRow(
    've.misconfiguration',
    'ept_access_test_ignored_bits',
    'misconfigurations are never converted',
    [...VE, data(2)],
    READ,
    { exit: 'eptMisconfiguration' },
  ),
]

export const EPT_FLAG_ROWS: readonly Row[] = [...flagRows, ...pml, ...virtualizationExceptions]
