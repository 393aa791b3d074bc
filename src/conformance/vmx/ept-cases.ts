/** Derived from the EPT access tests: rights, modes, guest paging structures, order. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { AT, GUEST } from './machine.ts'
import { DONE, secondary } from './settings.ts'
import { type Expectation, faults, guestRow, memory, type Row, type Step, set } from './step-case.ts'

const FLAGS = set('eptPointer', AT.pml4 | 0x5e)

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

const right = (kind: keyof typeof KIND): number => KIND[kind][1]

const RIGHTS: readonly (readonly [string, number])[] = [
  ['not_present', 0],
  ['read_only', 1],
  ['read_write', 3],
  ['execute_only', 4],
  ['read_execute', 5],
  ['read_write_execute', 7],
]

const KINDS = ['read', 'write', 'fetch'] as const

const violation = (kind: keyof typeof KIND, rights: number): Expectation => ({
  exit: 'eptViolation',
  qualification: KIND[kind][1] | (rights << 3) | FINAL,
  linear: GUEST.data + 0x10,
  physical: GUEST.data + 0x10,
})

const rights: Row[] = RIGHTS.flatMap(([name, granted]) =>
  KINDS.map(kind => {
    const allowed = (granted & right(kind)) !== 0
    return guestRow(
      `ept.${name}.${kind}`,
      `ept_access_test_${name}`,
      `a ${kind} of a page with rights ${granted} ${allowed ? 'is allowed' : 'violates them'}`,
      [data(granted)],
      KIND[kind][0],
      allowed ? DONE : violation(kind, granted),
    )
  }),
)

/** With mode-based execute control, bit 10 is the right of fetches from user-mode addresses. */
const MBEC = secondary(PROC2.modeBasedExecuteControl)

/** The guest's own entry of the data page without U/S: a supervisor-mode address. */
const SUPERVISOR = memory(AT.guest + GUEST.pt + (GUEST.data >>> 12) * 8, GUEST.data | 3)

/** The tables above have to allow user-mode fetches as well. */
const ABOVE = [memory(AT.pml4, AT.pdpt | 0x407), memory(AT.pdpt, AT.pd | 0x407), memory(AT.pd, AT.pt | 0x407)]

/** Guest tables and code need no such right: they are read, and this core fetches only when asked. */
const modes: Row[] = (
  [
    ['execute_user_only', 0x400],
    ['execute_only', 0x4],
    ['execute_both', 0x404],
    ['read_execute_user_only', 0x401],
    ['read_execute', 0x5],
    ['read_execute_both', 0x405],
    ['read_write_execute_user_only', 0x403],
    ['read_write_execute_both', 0x407],
  ] as const
).flatMap(([name, bits]) =>
  (
    [
      ['supervisor', 4],
      ['user', 0x400],
    ] as const
  ).map(([mode, needed]) => {
    const allowed = (bits & needed) !== 0
    const told = ((bits & 7) << 3) | (bits & 0x400 ? 0x40 : 0)
    const address = mode === 'user' ? Q.user : 0
    return guestRow(
      `ept.mbec.${name}.${mode}`,
      `ept_access_test_${name}`,
      `with mode-based control a ${mode}-mode fetch with bits ${bits.toString(16)} ${allowed ? 'is allowed' : 'is a violation'}`,
      [MBEC, ...ABOVE, data(bits), ...(mode === 'user' ? [] : [SUPERVISOR])],
      FETCH,
      allowed
        ? DONE
        : { exit: 'eptViolation', qualification: Q.X | told | Q.linear | Q.final | Q.writable | address },
    )
  }),
)

/** Rights of EPT on the guest's page table, and A and D in its entry of the data page. */
const GUEST_TABLE = AT.pt + (GUEST.pt >>> 12) * 8

const table = (bits: number): Step => memory(GUEST_TABLE, (AT.guest + GUEST.pt) | 0x30 | bits)

const leaf = (flags: number): Step =>
  memory(AT.guest + GUEST.pt + (GUEST.data >>> 12) * 8, GUEST.data | 7 | flags)

const A = 0x20

const AD = 0x60

const WALK = Q.linear

const structures: Row[] = (
  [
    ['not_present_ad_disabled', false, 0, AD, 'read', Q.R],
    ['not_present_ad_disabled', false, 0, AD, 'write', Q.R],
    ['not_present_ad_disabled', false, 0, AD, 'fetch', Q.R],
    ['not_present_ad_enabled', true, 0, AD, 'read', Q.R | Q.W],
    ['not_present_ad_enabled', true, 0, AD, 'write', Q.R | Q.W],
    ['not_present_ad_enabled', true, 0, AD, 'fetch', Q.R | Q.W],
    ['read_only_ad_disabled', false, 1, 0, 'read', Q.R | Q.W | 8],
    ['read_only_ad_disabled', false, 1, 0, 'write', Q.R | Q.W | 8],
    ['read_only_ad_disabled', false, 1, A, 'read', -1],
    ['read_only_ad_disabled', false, 1, A, 'write', Q.R | Q.W | 8],
    ['read_only_ad_disabled', false, 1, A, 'fetch', -1],
    ['read_only_ad_disabled', false, 1, AD, 'read', -1],
    ['read_only_ad_disabled', false, 1, AD, 'write', -1],
    ['read_only_ad_enabled', true, 1, 0, 'read', Q.R | Q.W | 8],
    ['read_only_ad_enabled', true, 1, A, 'read', Q.R | Q.W | 8],
    ['read_only_ad_enabled', true, 1, AD, 'read', Q.R | Q.W | 8],
    ['read_only_ad_enabled', true, 1, AD, 'write', Q.R | Q.W | 8],
    ['read_only_ad_enabled', true, 1, AD, 'fetch', Q.R | Q.W | 8],
    ['read_write', false, 3, 0, 'read', -1],
    ['read_write', false, 3, 0, 'write', -1],
    ['read_write', false, 3, 0, 'fetch', -1],
    ['read_write_execute', false, 7, 0, 'read', -1],
    ['read_execute_ad_disabled', false, 5, 0, 'read', Q.R | Q.W | 0x28],
    ['read_execute_ad_disabled', false, 5, AD, 'write', -1],
    ['read_execute_ad_enabled', true, 5, AD, 'read', Q.R | Q.W | 0x28],
  ] as const
).map(([name, flags, bits, entry, kind, qualification]) =>
  guestRow(
    `ept.paddr.${name}.${kind}.${entry}`,
    `ept_access_test_paddr_${name}`,
    `a ${kind} through a guest page table with rights ${bits} and flags ${entry} ${qualification < 0 ? 'is allowed' : 'violates them'}`,
    [...(flags ? [FLAGS] : []), leaf(entry), table(bits)],
    KIND[kind][0],
    qualification < 0
      ? DONE
      : {
          exit: 'eptViolation',
          qualification: qualification | WALK,
          linear: GUEST.data + 0x10,
          physical: GUEST.pt,
        },
  ),
)

const order: Row[] = [
  guestRow(
    'ept.pageFault',
    'ept_access_test_paddr_not_present_page_fault',
    'a page fault of the guest comes before EPT looks at the page itself',
    [leaf(0), memory(AT.guest + GUEST.pt + (GUEST.data >>> 12) * 8, 0), data(0)],
    READ,
    { outcome: 'exception', vector: 14, error: 0 },
  ),
  guestRow(
    'ept.cr3Load',
    'vmx_mtf_pdpte_test',
    'loading PDPTEs from a guest-physical address without rights has no linear address',
    [set('entryControls', 0x11fb), set('guestCsAccessRights', 0xc09b), data(0)],
    { op: 'movToCr', cr: 3, value: [GUEST.data, 0] },
    { exit: 'eptViolation', qualification: Q.R, physical: GUEST.data },
  ),
  guestRow(
    'ept.cr3Load.reserved',
    'vmx_pae_test',
    'a reserved bit in a PDPTE makes MOV to CR3 raise #GP',
    [set('entryControls', 0x11fb), set('guestCsAccessRights', 0xc09b), memory(HOST_PAGE, 0x21)],
    { op: 'movToCr', cr: 3, value: [GUEST.data, 0] },
    faults(13),
  ),
  guestRow(
    'ept.beyond',
    'ept_access_test_not_present',
    'a guest-physical address that a 4-level walk does not reach violates',
    [],
    { op: 'read', address: 2 ** 48, width: 1 },
    { exit: 'eptViolation' },
    { physicalAddressWidth: 52 },
  ),
]

export const EPT_ROWS: readonly Row[] = [...rights, ...modes, ...structures, ...order]
