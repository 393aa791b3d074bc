/**
 * Derived from vmx_vmcs_shadow_test: every encoding under each setting of its two bitmap bits. A guest's VMREAD and VMWRITE
 * exit, or act on the shadow, each by its own bit.
 */
import type { Word64 } from '../../vmx/formats/operations.ts'
import { type VmcsField, vmcsFieldWidth } from '../../vmx/formats/vmcs.ts'
import { EXISTING_FIELDS } from '../../vmx/index.ts'
import { AT } from './machine.ts'
import { CALL } from './settings.ts'
import { ANY_FIELD, exiting, inShadow, readOf, SHADOWING, shadowRow, writeOf } from './shadow-settings.ts'
import { type Expectation, enter, fails, holds, type Row, run, type Step, set } from './step-case.ts'

const INVALID: Expectation = { outcome: 'vmFailInvalid' }
const UNSUPPORTED = fails(12)
const NONE: Word64 = [0xffff_ffff, 0xffff_ffff]
const MAGIC: Word64 = [0xdead_0000, 0xfeed_0000]

/** What a field of a width keeps of a value. */
function kept(encoding: number, [low, high]: Word64): Word64 {
  const width = vmcsFieldWidth(encoding)
  if (width === 16) return [low & 0xffff, 0]
  return width === 32 || (encoding & 1) !== 0 ? [low, 0] : [low, high]
}

const permit = (encoding: number, { read, write }: { read: boolean; write: boolean }): Step[] => [
  exiting(AT.vmreadBitmap, encoding, !read),
  exiting(AT.vmwriteBitmap, encoding, !write),
]
const readExits = (encoding: number): Step[] => [enter(), run(readOf(encoding), { exit: 'vmread' })]
const writeExits = (encoding: number): Step[] => [enter(), run(writeOf(encoding), { exit: 'vmwrite' })]
/** An operation that does not exit; then the guest is left. */
const stays = (step: Step): Step[] => [enter(), step, run(CALL, { exit: 'vmcall' })]
const prepare = (encoding: number, value: Word64): Step[] => inShadow(run(writeOf(encoding, value)))
const shadowHolds = (encoding: number, [low, high]: Word64): Step[] =>
  inShadow(run(readOf(encoding), { outcome: 'done', low, high }))

/** An encoding that the processor has, or a field's upper half. */
function supported(encoding: number): Step[] {
  const value: Word64 = [MAGIC[0] + encoding, MAGIC[1] + encoding]
  const [low, high] = kept(encoding, value)
  return [
    ...SHADOWING,
    ...permit(encoding, { read: false, write: false }),
    ...writeExits(encoding),
    ...readExits(encoding),
    ...permit(encoding, { read: true, write: false }),
    ...prepare(encoding, value),
    ...writeExits(encoding),
    ...stays(run(readOf(encoding), { outcome: 'done', low, high })),
    ...permit(encoding, { read: false, write: true }),
    ...stays(run(writeOf(encoding))),
    ...shadowHolds(encoding, [0, 0]),
    ...readExits(encoding),
    ...permit(encoding, { read: true, write: true }),
    ...stays(run(writeOf(encoding, value))),
    ...shadowHolds(encoding, [low, high]),
    ...stays(run(readOf(encoding), { outcome: 'done', low, high })),
  ]
}

/** One that it lacks: the bits work, then the access fails, and the VMCS of the guest keeps the error. */
const unsupported = (encoding: number): Step[] => [
  ...SHADOWING,
  ...permit(encoding, { read: false, write: false }),
  ...writeExits(encoding),
  ...readExits(encoding),
  ...permit(encoding, { read: true, write: true }),
  ...stays(run(writeOf(encoding), UNSUPPORTED)),
  ...stays(run(readOf(encoding), UNSUPPORTED)),
  holds('instructionError', 12),
  ...inShadow(holds('instructionError', 0)),
]

/** Without a shadow there is nothing to act on: the bits work, then the access fails without an error number. */
const unlinked = (encoding: number): Step[] => [
  ...SHADOWING,
  set('vmcsLinkPointer', NONE),
  ...permit(encoding, { read: false, write: false }),
  ...writeExits(encoding),
  ...readExits(encoding),
  ...permit(encoding, { read: true, write: true }),
  ...stays(run(writeOf(encoding), INVALID)),
  ...stays(run(readOf(encoding), INVALID)),
]

const BASES = Array.from({ length: 32 }, (_, i) => i * 0x400)
/** Index 1FFH of each width and type, which no field has, and the encodings with bit 12. */
const ABSENT = BASES.map(base => base + 0x3fe)
const halves: [string, number][] = EXISTING_FIELDS.flatMap(({ name, encoding, width }: VmcsField) => [
  [name, encoding] as [string, number],
  ...(width === 64 ? [[`${name}.high`, encoding + 1] as [string, number]] : []),
])

export const SHADOW_FIELD_ROWS: readonly Row[] = [
  ...halves.map(([name, encoding]) =>
    shadowRow(
      `field.${name}`,
      `${name} is read from and written to the shadow, each access by its own bitmap`,
      supported(encoding),
      ANY_FIELD,
    ),
  ),
  ...ABSENT.map(encoding =>
    shadowRow(
      `absent.${encoding.toString(16)}`,
      `encoding ${encoding.toString(16)} exits by its bits, else fails with error 12`,
      unsupported(encoding),
      ANY_FIELD,
    ),
  ),
  ...['guestRip', 'hostRip', 'exitReason', 'pinBasedControls', 'guestTrSelector', 'tscOffset'].map(name => {
    const { encoding } = EXISTING_FIELDS.find(field => field.name === name)!
    return shadowRow(
      `unlinked.${name}`,
      `with no VMCS linked, ${name} exits by its bits, else fails invalid`,
      unlinked(encoding),
      ANY_FIELD,
    )
  }),
  ...Array.from({ length: 17 }, (_, i) => 2 ** (i + 15)).map(encoding =>
    shadowRow(
      `reserved.${encoding.toString(16)}`,
      `encoding ${encoding.toString(16)} exits whatever the bitmaps say`,
      [...SHADOWING, ...writeExits(encoding), ...readExits(encoding)],
      ANY_FIELD,
    ),
  ),
]
