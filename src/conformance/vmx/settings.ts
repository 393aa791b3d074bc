/** Settings and operations that rows of several files share. */

import type { Operation, Word64 } from '../../vmx/formats/operations.ts'
import type { VmcsFieldName } from '../../vmx/formats/vmcs.ts'
import type { ProcessorCapabilities } from '../../vmx/index.ts'
import { AT, GUEST, PRIMARY, SECONDARY } from './machine.ts'
import { type Expectation, entryRow, memory, type Row, type Step, set } from './step-case.ts'

export const DONE = { outcome: 'done' } as const
export const VALID = 0x8000_0000
export const NOP: Operation = { op: 'nop' }
export const CALL: Operation = { op: 'vmcall', number: 0 }
/** Events of the guest go through its IDT. */
export const IDT: Partial<ProcessorCapabilities> = { eventDelivery: 'idt' }

/** Controls beside, and without, those of the ready guest. */
export const primary = (more: number, less = 0): Step =>
  set('primaryProcessorBasedControls', ((PRIMARY & ~less) | more) >>> 0)
export const secondary = (more: number): Step => set('secondaryProcessorBasedControls', SECONDARY | more)
export const pin = (value: number): Step => set('pinBasedControls', value)

/** The guest runs at CPL 3. */
export const CPL3: readonly Step[] = [
  set('guestCsSelector', 0xb),
  set('guestSsSelector', 0x13),
  set('guestCsAccessRights', 0xa0fb),
  set('guestSsAccessRights', 0xc0f3),
  ...(['Ds', 'Es', 'Fs', 'Gs'] as const).map(name => set(`guest${name}AccessRights`, 0xc0f3)),
]

/** The entry injects an event. */
export const inject = (information: number, length = 0, errorCode = 0): Step[] => [
  set('entryInterruptionInformation', (VALID | information) >>> 0),
  set('entryInstructionLength', length),
  set('entryExceptionErrorCode', errorCode),
]
export const handler = (vector: number): number => GUEST.handlers + vector * 16
/** Dwords of guest memory. */
export const guest = (address: number, ...words: readonly number[]): Step =>
  memory(AT.guest + address, ...words)
export const bitmap = (...vectors: readonly number[]): Step =>
  set(
    'exceptionBitmap',
    vectors.reduce((bits, vector) => (bits | (1 << vector)) >>> 0, 0),
  )

/** Bit `n` of 64. */
export const bit = (n: number): number | Word64 => (n < 32 ? (1 << n) >>> 0 : [0, (1 << (n - 32)) >>> 0])

const NOT_CANONICAL: Word64 = [0, 0x8000]
const CANONICAL: readonly Word64[] = [
  [0, 0],
  [0xffff_ffff, 0x7fff],
  [0, 0xffff_8000],
]

/** Fields that must hold canonical addresses. */
export const canonicalRows = (
  prefix: string,
  source: string,
  fields: readonly VmcsFieldName[],
  failure: Expectation,
): Row[] =>
  fields.flatMap(field => [
    entryRow(
      `${prefix}.${field}.notCanonical`,
      source,
      `${field} must be canonical`,
      [set(field, NOT_CANONICAL)],
      failure,
    ),
    ...CANONICAL.map((value, i) =>
      entryRow(
        `${prefix}.${field}.canonical${i}`,
        source,
        `${field} may be canonical address ${i}`,
        [set(field, value)],
        DONE,
      ),
    ),
  ])

const PAT_TYPES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0x80] as const
const legalPat = (type: number): boolean => [0, 1, 4, 5, 6, 7].includes(type)

/** Memory types in some bytes of a PAT that the entry checks. */
export const patRows = (
  prefix: string,
  source: string,
  field: VmcsFieldName,
  load: Step,
  failure: Expectation,
): Row[] =>
  [0, 3, 7].flatMap(byte =>
    PAT_TYPES.map(type =>
      entryRow(
        `${prefix}.PAT${byte}.type${type}`,
        source,
        `byte ${byte} of ${field} may ${legalPat(type) ? '' : 'not '}be ${type}`,
        [load, set(field, byte < 4 ? [(type << (byte * 8)) >>> 0, 0] : [0, (type << (byte * 8 - 32)) >>> 0])],
        legalPat(type) ? DONE : failure,
      ),
    ),
  )
