/** Derived from vmx_vmcs_shadow_test. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { VMCS } from '../../vmx/formats/vmcs.ts'
import { AT, GUEST } from './machine.ts'
import { CALL, secondary } from './settings.ts'
import { type Expectation, enter, fails, holds, memory, type Row, run, type Step, set } from './step-case.ts'

const INVALID: Expectation = { outcome: 'vmFailInvalid' }

const simple = (id: string, source: string, states: string, ...steps: readonly Step[]): Row => ({
  id: `vmx.${id}`,
  source,
  states,
  steps,
})

const SHADOWING: readonly Step[] = [
  memory(AT.otherVmcs, 0x8000_4e42),
  secondary(PROC2.vmcsShadowing),
  set('vmreadBitmapAddress', AT.vmreadBitmap),
  set('vmwriteBitmapAddress', AT.vmwriteBitmap),
  set('vmcsLinkPointer', AT.otherVmcs),
]

const shadowRead = (field: number): Operation => ({ op: 'vmread', field })

const shadowWrite = (field: number): Operation => ({ op: 'vmwrite', field, value: [0x77, 0] })

const bitOf = (bitmap: number, field: number): Step =>
  memory(bitmap + (field >>> 5) * 4, (1 << (field & 31)) >>> 0)

const SHADOW = 'vmx_vmcs_shadow_test'

const shadows: Row[] = [
  simple(
    'shadow.off',
    SHADOW,
    'without VMCS shadowing VMREAD of a guest exits',
    enter(),
    run(shadowRead(VMCS.guestRip), { exit: 'vmread' }),
  ),
  simple(
    'shadow.roundTrip',
    SHADOW,
    'with it VMWRITE and VMREAD act on the shadow',
    ...SHADOWING,
    enter(),
    run(shadowWrite(VMCS.guestRsp)),
    run(shadowRead(VMCS.guestRsp), { outcome: 'done', low: 0x77 }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestRsp', GUEST.stack),
  ),
  ...(['guestRip', 'hostRip', 'pinBasedControls', 'guestTrSelector', 'tscOffset'] as const).flatMap(name => [
    simple(
      `shadow.read.${name}`,
      SHADOW,
      `a set bit in the VMREAD bitmap makes ${name} exit`,
      ...SHADOWING,
      bitOf(AT.vmreadBitmap, VMCS[name]),
      enter(),
      run(shadowRead(VMCS[name]), { exit: 'vmread' }),
    ),
    simple(
      `shadow.write.${name}`,
      SHADOW,
      `a set bit in the VMWRITE bitmap makes ${name} exit`,
      ...SHADOWING,
      bitOf(AT.vmwriteBitmap, VMCS[name]),
      enter(),
      run(shadowWrite(VMCS[name]), { exit: 'vmwrite' }),
    ),
    simple(
      `shadow.free.${name}`,
      SHADOW,
      `clear bits let a guest access ${name}`,
      ...SHADOWING,
      enter(),
      run(shadowWrite(VMCS[name])),
      run(shadowRead(VMCS[name])),
    ),
  ]),
  simple(
    'shadow.beyond',
    SHADOW,
    'an encoding above 7FFFH exits',
    ...SHADOWING,
    enter(),
    run(shadowRead(0x8000), { exit: 'vmread' }),
  ),
  simple(
    'shadow.unsupported',
    SHADOW,
    'an unsupported one fails with error 12',
    ...SHADOWING,
    enter(),
    run(shadowRead(0x1000), fails(12)),
  ),
  simple(
    'shadow.readOnly',
    SHADOW,
    'a read-only one with error 13',
    ...SHADOWING,
    enter(),
    run(shadowWrite(VMCS.exitReason), fails(13)),
  ),
  simple(
    'shadow.noLink',
    SHADOW,
    'without a link VMREAD fails invalid',
    ...SHADOWING,
    set('vmcsLinkPointer', [0xffff_ffff, 0xffff_ffff]),
    enter(),
    run(shadowRead(VMCS.guestRip), INVALID),
  ),
  simple(
    'shadow.launch',
    SHADOW,
    'a shadow VMCS cannot be launched',
    memory(AT.otherVmcs, 0x8000_4e42),
    run({ op: 'vmptrld', address: AT.otherVmcs }),
    run({ op: 'vmlaunch' }, INVALID),
  ),
]

export const SHADOW_ROWS: readonly Row[] = [...shadows]
