/** Derived from the tests of exceptions and page faults. */

import { GUEST } from './machine.ts'
import { bitmap, guest, NOP, VALID } from './settings.ts'
import { enter, guestRow, type Row, run, set } from './step-case.ts'

const EXCEPTIONS = 'vmx_exception_test'

const exceptions: Row[] = [
  ...(
    [
      ['DE', 0, { op: 'fault', vector: 0 }],
      ['BR', 5, { op: 'fault', vector: 5 }],
      ['UD', 6, { op: 'ud2' }],
      ['NM', 7, { op: 'fault', vector: 7 }],
      ['MF', 16, { op: 'fault', vector: 16 }],
      ['XM', 19, { op: 'fault', vector: 19 }],
    ] as const
  ).flatMap(([name, vector, operation]) => [
    guestRow(
      `exception.${name}`,
      EXCEPTIONS,
      `#${name} exits if its bit is set`,
      [bitmap(vector)],
      operation,
      { exit: 'exceptionOrNmi', interruption: (VALID | 0x300 | vector) >>> 0 },
    ),
    guestRow(`exception.${name}.free`, EXCEPTIONS, `#${name} reaches the guest otherwise`, [], operation, {
      outcome: 'exception',
      vector,
    }),
  ]),
  ...(
    [
      ['TS', 10],
      ['NP', 11],
      ['SS', 12],
      ['GP', 13],
      ['AC', 17],
    ] as const
  ).map(([name, vector]) =>
    guestRow(
      `exception.${name}`,
      EXCEPTIONS,
      `#${name} exits with its error code`,
      [bitmap(vector)],
      { op: 'fault', vector, error: 0x18 },
      { exit: 'exceptionOrNmi', interruption: (VALID | 0xb00 | vector) >>> 0, errorCode: 0x18 },
    ),
  ),
  guestRow(
    'exception.GP.canonical',
    EXCEPTIONS,
    'a non-canonical address raises #GP',
    [bitmap(13)],
    { op: 'readLinear', address: [0, 0x8000], width: 1 },
    { exit: 'exceptionOrNmi', interruption: 0x8000_0b0d, errorCode: 0 },
  ),
  guestRow(
    'exception.BP',
    EXCEPTIONS,
    'INT3 exits as a software exception with its length',
    [bitmap(3)],
    { op: 'int3' },
    { exit: 'exceptionOrNmi', interruption: 0x8000_0603, length: 1 },
  ),
  guestRow(
    'exception.OF',
    EXCEPTIONS,
    'so does INTO',
    [bitmap(4)],
    { op: 'into' },
    { exit: 'exceptionOrNmi', interruption: 0x8000_0604, length: 1 },
  ),
  guestRow(
    'exception.INT1',
    'vmx_db_test',
    'INT1 exits as a privileged software exception',
    [bitmap(1)],
    { op: 'int1' },
    { exit: 'exceptionOrNmi', interruption: 0x8000_0501, length: 1 },
  ),
  guestRow(
    'exception.INTn',
    EXCEPTIONS,
    'INT n is no exception',
    [bitmap(...Array.from({ length: 32 }, (_, i) => i))],
    { op: 'int', vector: 13 },
    { outcome: 'exception', vector: 13 },
  ),
  {
    id: 'exception.step',
    source: 'vmx_db_test',
    states: 'a single step exits after the instruction with BS in the qualification',
    steps: [
      bitmap(1),
      set('guestRflags', 0x302),
      enter(),
      run(NOP),
      run(NOP, { exit: 'exceptionOrNmi', interruption: 0x8000_0301, qualification: 0x4000 }),
    ],
  },
  {
    id: 'exception.step.free',
    source: 'vmx_db_test',
    states: 'and reaches the guest if #DB is not selected',
    steps: [set('guestRflags', 0x302), enter(), run(NOP), run(NOP, { outcome: 'exception', vector: 1 })],
  },
  guestRow(
    'exception.GD',
    'vmx_db_test',
    'general detect tells BD',
    [bitmap(1), set('entryControls', 0x13ff), set('guestDr7', 0x2400)],
    { op: 'movFromDr', dr: 0 },
    { exit: 'exceptionOrNmi', interruption: 0x8000_0301, qualification: 0x2000 },
  ),
]

/** vmx_pf_exception_test: bitmap bit, mask, match; a supervisor write to a page that is not present has error code 2. */
const PAGE_FAULTS: readonly (readonly [boolean, number, number, boolean])[] = [
  [true, 0, 0, true],
  [false, 0, 0, false],
  [true, 2, 2, true],
  [true, 2, 0, false],
  [false, 2, 0, true],
  [false, 2, 2, false],
  [true, 1, 1, false],
  [false, 1, 1, true],
  [true, 0x1f, 2, true],
  [true, 0, 1, false],
  [false, 0, 1, true],
]

const pageFaults: Row[] = PAGE_FAULTS.map(([selected, mask, match, exits]) =>
  guestRow(
    `pageFault.${selected}.${mask}.${match}`,
    'vmx_pf_exception_test',
    `with bit 14 ${selected ? 'set' : 'clear'}, mask ${mask} and match ${match}, a page fault of code 2 ${exits ? 'exits' : 'reaches the guest'}`,
    [
      ...(selected ? [bitmap(14)] : []),
      set('pageFaultErrorCodeMask', mask),
      set('pageFaultErrorCodeMatch', match),
      guest(GUEST.pt + 5 * 8, 0),
    ],
    { op: 'writeLinear', address: [GUEST.data + 8, 0], width: 4, value: [0, 0] },
    exits
      ? { exit: 'exceptionOrNmi', interruption: 0x8000_0b0e, errorCode: 2, qualification: GUEST.data + 8 }
      : { outcome: 'exception', vector: 14, error: 2 },
  ),
)

export const EXCEPTION_ROWS: readonly Row[] = [...exceptions, ...pageFaults]
