/** Derived from vmx_vmcs_shadow_test: what VMCS shadowing asks of VMCSs, controls and processors. */
import { SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import { VMCS } from '../../vmx/formats/vmcs.ts'
import { AT, GUEST } from './machine.ts'
import { CALL, CPL3, secondary } from './settings.ts'
import {
  ANY_FIELD,
  exiting,
  inShadow,
  NO_SHADOWING,
  readOf,
  SHADOW_REVISION,
  SHADOWING,
  shadowRow,
  writeOf,
} from './shadow-settings.ts'
import {
  type Expectation,
  enter,
  entryFails,
  fails,
  faults,
  holds,
  memory,
  type Row,
  run,
  set,
} from './step-case.ts'

const INVALID: Expectation = { outcome: 'vmFailInvalid' }
const shadow = memory(AT.otherVmcs, SHADOW_REVISION)
const loadShadow = run({ op: 'vmptrld', address: AT.otherVmcs })
const { guestRip, guestRsp, exitReason, exitQualification } = VMCS

/** VMREAD and VMWRITE of a guest. */
const accesses: Row[] = [
  shadowRow('off', 'without VMCS shadowing VMREAD and VMWRITE of a guest exit', [
    enter(),
    run(readOf(guestRip), { exit: 'vmread' }),
    enter(),
    run(writeOf(guestRip), { exit: 'vmwrite' }),
  ]),
  shadowRow('separate', 'the shadow changes, the VMCS of the guest does not', [
    ...SHADOWING,
    enter(),
    run(writeOf(guestRsp, [0x77, 0])),
    run(readOf(guestRsp), { outcome: 'done', low: 0x77 }),
    run(CALL, { exit: 'vmcall' }),
    holds('guestRsp', GUEST.stack),
    ...inShadow(holds('guestRsp', 0x77)),
  ]),
  shadowRow('neighbours', 'a bit of the bitmap is about one encoding', [
    ...SHADOWING,
    exiting(AT.vmreadBitmap, guestRip, true),
    enter(),
    run(readOf(guestRip - 2)),
    run(readOf(guestRip + 2)),
    run(readOf(guestRip), { exit: 'vmread' }),
  ]),
  shadowRow('bits', 'bits above 14 make an encoding exit that its lower bits name a shadowed field', [
    ...SHADOWING,
    enter(),
    run(readOf(guestRip + 0x8000), { exit: 'vmread' }),
    enter(),
    run(writeOf(guestRip + 0x1_0000), { exit: 'vmwrite' }),
  ]),
  shadowRow('readOnly', 'without IA32_VMX_MISC[29] VMWRITE of exit information fails with error 13', [
    ...SHADOWING,
    enter(),
    run(writeOf(exitReason), fails(13)),
    run(CALL, { exit: 'vmcall' }),
    holds('instructionError', 13),
  ]),
  shadowRow('level', 'at CPL 3 an access that does not exit raises #GP(0), one that does exits', [
    ...SHADOWING,
    ...CPL3,
    exiting(AT.vmwriteBitmap, guestRip, true),
    enter(),
    run(readOf(guestRip), faults(13)),
    run(writeOf(guestRip), { exit: 'vmwrite' }),
  ]),
]

/** "Any field may be written": IA32_VMX_MISC bit 29. */
const anyField: Row[] = [
  shadowRow('misc', 'IA32_VMX_MISC[29] tells that VMWRITE may write exit information', [
    run({ op: 'rdmsr', msr: 0x485 }, { outcome: 'done', low: 0x0004_01e5 }),
    run(writeOf(exitQualification, [1, 2]), fails(13)),
  ]),
  shadowRow(
    'misc.any',
    'with it VMWRITE writes exit information in root operation too',
    [
      run({ op: 'rdmsr', msr: 0x485 }, { outcome: 'done', low: 0x2004_01e5 }),
      run(writeOf(exitQualification, [1, 2])),
      run(readOf(exitQualification), { outcome: 'done', low: 1, high: 2 }),
    ],
    ANY_FIELD,
  ),
]

/** The shadow-VMCS indicator, bit 31 of the first dword. */
const indicator: Row[] = [
  shadowRow('load', 'a shadow VMCS may be current, read and written', [
    shadow,
    loadShadow,
    run(writeOf(guestRip, [5, 6])),
    run(readOf(guestRip), { outcome: 'done', low: 5, high: 6 }),
    run({ op: 'vmptrst' }, { outcome: 'done', low: AT.otherVmcs }),
    run({ op: 'vmclear', address: AT.otherVmcs }),
    run(readOf(guestRip), INVALID),
  ]),
  shadowRow('launch', 'VMLAUNCH of a shadow VMCS fails invalid', [
    shadow,
    loadShadow,
    run({ op: 'vmlaunch' }, INVALID),
  ]),
  shadowRow('resume', 'so does VMRESUME', [shadow, loadShadow, run({ op: 'vmresume' }, INVALID)]),
  shadowRow('launch.movSs', 'this is found before the shadow of MOV SS', [
    shadow,
    loadShadow,
    run({ op: 'movSs' }),
    run({ op: 'vmlaunch' }, INVALID),
  ]),
  shadowRow('load.revision', 'with another revision VMPTRLD of a shadow fails with error 11', [
    memory(AT.otherVmcs, SHADOW_REVISION + 1),
    run({ op: 'vmptrld', address: AT.otherVmcs }, fails(11)),
  ]),
  shadowRow('vmxon', 'a VMXON region is never a shadow', [
    run({ op: 'vmxoff' }),
    memory(AT.vmxon, SHADOW_REVISION),
    run({ op: 'vmxon', address: AT.vmxon }, INVALID),
  ]),
]

/** Processors without VMCS shadowing. */
const lacking: Row[] = [
  shadowRow(
    'lacking.load',
    'where there is no VMCS shadowing, VMPTRLD of a shadow fails with error 11',
    [shadow, run({ op: 'vmptrld', address: AT.otherVmcs }, fails(11))],
    NO_SHADOWING,
  ),
  shadowRow(
    'lacking.control',
    'there IA32_VMX_PROCBASED_CTLS2 and entries refuse the control',
    [
      run({ op: 'rdmsr', msr: 0x48b }, { outcome: 'done', low: 0, high: 0x0657_3fff }),
      secondary(PROC2.vmcsShadowing),
      enter(fails(7)),
    ],
    NO_SHADOWING,
  ),
  ...[VMCS.vmreadBitmapAddress, VMCS.vmreadBitmapAddress + 1, VMCS.vmwriteBitmapAddress].map(field =>
    shadowRow(
      `lacking.field.${field.toString(16)}`,
      `there field ${field.toString(16)} does not exist: error 12`,
      [run(readOf(field), fails(12)), run(writeOf(field), fails(12))],
      NO_SHADOWING,
    ),
  ),
]

/** "Checks on Guest Non-Register State": the VMCS link pointer. */
const link: Row[] = [
  shadowRow('link.ordinary', 'with VMCS shadowing an ordinary VMCS may not be linked', [
    ...SHADOWING,
    memory(AT.otherVmcs, SHADOW_REVISION % 0x8000_0000),
    enter(entryFails(4)),
  ]),
  shadowRow('link.off', 'without it a shadow may not', [...SHADOWING, secondary(0), enter(entryFails(4))]),
  shadowRow('link.revision', 'a shadow of another revision may not', [
    ...SHADOWING,
    memory(AT.otherVmcs, SHADOW_REVISION + 1),
    enter(entryFails(4)),
  ]),
  shadowRow('link.current', 'nor may the current VMCS', [
    ...SHADOWING,
    set('vmcsLinkPointer', AT.vmcs),
    enter(entryFails(4)),
  ]),
]

export const SHADOW_ROWS: readonly Row[] = [...accesses, ...anyField, ...indicator, ...lacking, ...link]
