/** Derived from "instruction intercept": which instructions of a guest exit, and with what. */
import { PRIMARY as PROC, SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { ExitReasonName } from '../../vmx/formats/exit-reasons.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { GUEST } from './machine.ts'
import { CPL3, DONE, primary, secondary } from './settings.ts'
import { type Expectation, faults, guestRow, type Row, type Step } from './step-case.ts'

const INSTRUCTIONS = 'instruction intercept'

const ADDRESS = [0x1234_5678, 0] as const

/** Operations that a control makes exit: name, operation, setting that turns it on, exit; without it they complete. */
const CONTROLLED: readonly (readonly [string, Operation, Step, ExitReasonName, number, number])[] = [
  ['HLT', { op: 'hlt' }, primary(0), 'hlt', 0, 1],
  ['INVLPG', { op: 'invlpg', address: ADDRESS }, primary(PROC.invlpgExiting), 'invlpg', 0x1234_5678, 3],
  ['MWAIT', { op: 'mwait' }, primary(PROC.mwaitExiting), 'mwait', 0, 3],
  ['RDPMC', { op: 'rdpmc', counter: 0 }, primary(PROC.rdpmcExiting), 'rdpmc', 0, 2],
  ['RDTSC', { op: 'rdtsc' }, primary(PROC.rdtscExiting), 'rdtsc', 0, 2],
  [
    'CR3 load',
    { op: 'movToCr', cr: 3, value: [GUEST.pml4, 0] },
    primary(PROC.cr3LoadExiting),
    'controlRegisterAccess',
    0x3,
    3,
  ],
  ['CR3 store', { op: 'movFromCr', cr: 3 }, primary(PROC.cr3StoreExiting), 'controlRegisterAccess', 0x13, 3],
  [
    'CR8 load',
    { op: 'movToCr', cr: 8, value: [0, 0] },
    primary(PROC.cr8LoadExiting),
    'controlRegisterAccess',
    0x8,
    3,
  ],
  ['CR8 store', { op: 'movFromCr', cr: 8 }, primary(PROC.cr8StoreExiting), 'controlRegisterAccess', 0x18, 3],
  [
    'MOV to DR',
    { op: 'movToDr', dr: 3, value: [0, 0], register: 2 },
    primary(PROC.movDrExiting),
    'movDr',
    0x203,
    3,
  ],
  ['MOV from DR', { op: 'movFromDr', dr: 7, register: 1 }, primary(PROC.movDrExiting), 'movDr', 0x117, 3],
  ['MONITOR', { op: 'monitor', address: [GUEST.data, 0] }, primary(PROC.monitorExiting), 'monitor', 0, 3],
  ['PAUSE', { op: 'pause' }, primary(PROC.pauseExiting), 'pause', 0, 2],
  ['WBINVD', { op: 'wbinvd' }, secondary(PROC2.wbinvdExiting), 'wbinvd', 0, 2],
  ['SGDT', { op: 'sgdt' }, secondary(PROC2.descriptorTableExiting), 'gdtrIdtrAccess', 0, 3],
  [
    'LGDT',
    { op: 'lgdt', base: [GUEST.gdt, 0], limit: 0x3f },
    secondary(PROC2.descriptorTableExiting),
    'gdtrIdtrAccess',
    0,
    3,
  ],
  ['SIDT', { op: 'sidt' }, secondary(PROC2.descriptorTableExiting), 'gdtrIdtrAccess', 0, 3],
  [
    'LIDT',
    { op: 'lidt', base: [GUEST.idt, 0], limit: 0xfff },
    secondary(PROC2.descriptorTableExiting),
    'gdtrIdtrAccess',
    0,
    3,
  ],
  ['SLDT', { op: 'sldt' }, secondary(PROC2.descriptorTableExiting), 'ldtrTrAccess', 0, 3],
  ['LLDT', { op: 'lldt', selector: 0 }, secondary(PROC2.descriptorTableExiting), 'ldtrTrAccess', 0, 3],
  ['STR', { op: 'str' }, secondary(PROC2.descriptorTableExiting), 'ldtrTrAccess', 0, 3],
  ['RDRAND', { op: 'rdrand' }, secondary(PROC2.rdrandExiting), 'rdrand', 0, 3],
  ['RDSEED', { op: 'rdseed' }, secondary(PROC2.rdseedExiting), 'rdseed', 0, 3],
]

const NOT_PRIVILEGED: readonly string[] = [
  'PAUSE',
  'RDTSC',
  'SGDT',
  'SIDT',
  'SLDT',
  'STR',
  'RDRAND',
  'RDSEED',
]

/** MOV DR exits before the privilege check; these raise #UD instead of #GP. */
const BEFORE_PRIVILEGE: readonly string[] = ['MOV to DR', 'MOV from DR']

const UNDEFINED_AT_CPL3: readonly string[] = ['MONITOR', 'MWAIT']

const outcomeWithout = (name: string): Expectation => (name === 'HLT' ? { outcome: 'halted' } : DONE)

const controlled: Row[] = CONTROLLED.flatMap(([name, operation, on, exit, qualification, length]) => {
  const off = name === 'HLT' ? [primary(0, PROC.hltExiting)] : []
  const atUserLevel: Expectation = UNDEFINED_AT_CPL3.includes(name)
    ? faults(6)
    : name === 'RDPMC' || !NOT_PRIVILEGED.includes(name)
      ? faults(13)
      : { exit }
  return [
    guestRow(`intercept.${name}.on`, INSTRUCTIONS, `${name} exits if its control is set`, [on], operation, {
      exit,
      qualification,
      length,
    }),
    guestRow(
      `intercept.${name}.off`,
      INSTRUCTIONS,
      `${name} does not exit otherwise`,
      off,
      operation,
      outcomeWithout(name),
    ),
    guestRow(
      `intercept.${name}.user`,
      INSTRUCTIONS,
      BEFORE_PRIVILEGE.includes(name)
        ? `${name} exits before the privilege check`
        : `${name} at CPL 3: privilege is checked before the exit`,
      [...CPL3, on],
      operation,
      BEFORE_PRIVILEGE.includes(name) ? { exit } : atUserLevel,
    ),
  ]
})

/** Operations that always exit, and whether that is so at CPL 3. */
const ALWAYS: readonly (readonly [string, Operation, ExitReasonName, number, boolean])[] = [
  ['CPUID', { op: 'cpuid', leaf: 0 }, 'cpuid', 2, true],
  ['INVD', { op: 'invd' }, 'invd', 2, false],
  ['VMCALL', { op: 'vmcall', number: 0 }, 'vmcall', 3, true],
  ['VMCLEAR', { op: 'vmclear', address: 0 }, 'vmclear', 4, true],
  ['VMLAUNCH', { op: 'vmlaunch' }, 'vmlaunch', 3, true],
  ['VMPTRLD', { op: 'vmptrld', address: 0 }, 'vmptrld', 3, true],
  ['VMPTRST', { op: 'vmptrst' }, 'vmptrst', 3, true],
  ['VMREAD', { op: 'vmread', field: 0x4402 }, 'vmread', 3, true],
  ['VMRESUME', { op: 'vmresume' }, 'vmresume', 3, true],
  ['VMWRITE', { op: 'vmwrite', field: 0x4402, value: [0, 0] }, 'vmwrite', 3, true],
  ['VMXOFF', { op: 'vmxoff' }, 'vmxoff', 3, true],
  ['VMXON', { op: 'vmxon', address: 0 }, 'vmxon', 4, true],
  ['INVEPT', { op: 'invept', type: 2 }, 'invept', 5, true],
  ['INVVPID', { op: 'invvpid', type: 2 }, 'invvpid', 5, true],
]

const always: Row[] = ALWAYS.flatMap(([name, operation, exit, length, atUserLevel]) => [
  guestRow(`intercept.${name}`, INSTRUCTIONS, `${name} always exits`, [], operation, {
    exit,
    qualification: 0,
    length,
  }),
  guestRow(
    `intercept.${name}.user`,
    INSTRUCTIONS,
    `${name} at CPL 3 ${atUserLevel ? 'exits all the same' : 'raises #GP first'}`,
    CPL3,
    operation,
    atUserLevel ? { exit } : faults(13),
  ),
])

export const INSTRUCTION_EXIT_ROWS: readonly Row[] = [...controlled, ...always]
