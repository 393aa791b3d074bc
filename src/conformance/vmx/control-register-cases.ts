/** Derived from "CR shadowing" and the tests of control registers: masks, shadows, CR3 targets, CR8. */
import { PRIMARY as PROC } from '../../vmx/formats/controls.ts'
import { AT, GUEST } from './machine.ts'
import { DONE, primary } from './settings.ts'
import { enter, faults, guestRow, holds, memory, type Row, run, type Step, set } from './step-case.ts'

const CRS = 'CR shadowing'

const mask = (cr: 0 | 4, owned: number, shadow: number): Step[] => [
  set(`cr${cr}GuestHostMask`, owned >>> 0),
  set(`cr${cr}ReadShadow`, shadow >>> 0),
]

const TS_MP = 0xa

const controlRegisters: Row[] = [
  guestRow(
    'cr.read.owned',
    CRS,
    'the guest reads the shadow of bits that the host owns',
    mask(0, TS_MP, TS_MP),
    { op: 'movFromCr', cr: 0 },
    { outcome: 'done', low: 0x8001_003b },
  ),
  guestRow(
    'cr.read.free',
    CRS,
    'and its own value of the others',
    mask(0, 0, TS_MP),
    { op: 'movFromCr', cr: 0 },
    { outcome: 'done', low: 0x8001_0031 },
  ),
  guestRow(
    'cr.smsw',
    CRS,
    'SMSW reads as MOV does',
    mask(0, TS_MP, TS_MP),
    { op: 'smsw' },
    { outcome: 'done', low: 0x8001_003b },
  ),
  guestRow(
    'cr.read.cr4',
    CRS,
    'CR4 is shadowed in the same way',
    mask(4, 0x2000, 0),
    { op: 'movFromCr', cr: 4 },
    { outcome: 'done', low: 0x20 },
  ),
  guestRow(
    'cr.write.same',
    CRS,
    'writing the shadow value does not exit',
    mask(0, TS_MP, TS_MP),
    { op: 'movToCr', cr: 0, value: [0x8001_003b, 0] },
    DONE,
  ),
  guestRow(
    'cr.write.different',
    CRS,
    'writing another value exits',
    mask(0, TS_MP, TS_MP),
    { op: 'movToCr', cr: 0, value: [0x8001_0031, 0], register: 3 },
    { exit: 'controlRegisterAccess', qualification: 0x300, length: 3 },
  ),
  guestRow(
    'cr.write.cr4',
    CRS,
    'so does CR4',
    mask(4, 0x4, 0),
    { op: 'movToCr', cr: 4, value: [0x2024, 0], register: 1 },
    { exit: 'controlRegisterAccess', qualification: 0x104 },
  ),
  guestRow(
    'cr.write.fixed',
    'vmx_cr_load_test',
    'clearing CR0.NE raises #GP in VMX operation',
    [],
    { op: 'movToCr', cr: 0, value: [0x8001_0011, 0] },
    faults(13),
  ),
  guestRow(
    'cr.write.vmxe',
    'vmx_cr_load_test',
    'clearing CR4.VMXE raises #GP in VMX operation',
    [],
    { op: 'movToCr', cr: 4, value: [0x20, 0] },
    faults(13),
  ),
  guestRow(
    'cr.write.reserved',
    'vmx_cr_load_test',
    'CR4 bit 15 raises #GP',
    [],
    { op: 'movToCr', cr: 4, value: [0xa020, 0] },
    faults(13),
  ),
  guestRow(
    'cr.write.paging',
    'vmx_cr_load_test',
    'clearing CR0.PG of another than an unrestricted guest raises #GP',
    [],
    { op: 'movToCr', cr: 0, value: [0x31, 0] },
    faults(13),
  ),
  {
    id: 'cr.kept',
    source: CRS,
    states: 'bits that the host owns keep their value, whatever is written',
    steps: [
      ...mask(0, TS_MP, TS_MP),
      enter(),
      run({ op: 'movToCr', cr: 0, value: [0x8001_003f, 0] }),
      run({ op: 'vmcall', number: 0 }, { exit: 'vmcall' }),
      holds('guestCr0', 0x8001_0035),
    ],
  },
  guestRow(
    'cr.clts.owned',
    CRS,
    'CLTS exits if the host owns TS and its shadow is 1',
    mask(0, 8, 8),
    { op: 'clts' },
    { exit: 'controlRegisterAccess', qualification: 0x20, length: 2 },
  ),
  guestRow(
    'cr.clts.clear',
    CRS,
    'CLTS does nothing if the host owns TS and its shadow is 0',
    mask(0, 8, 0),
    { op: 'clts' },
    DONE,
  ),
  guestRow(
    'cr.clts.free',
    CRS,
    'CLTS clears a TS that is the guest’s own',
    [set('guestCr0', 0x8001_0039)],
    { op: 'clts' },
    DONE,
  ),
  guestRow(
    'cr.lmsw.pe',
    CRS,
    'LMSW that sets an owned PE exits if the shadow is 0',
    mask(0, 1, 0),
    { op: 'lmsw', source: 1 },
    { exit: 'controlRegisterAccess', qualification: 0x1_0030 },
  ),
  guestRow(
    'cr.lmsw.peClear',
    CRS,
    'LMSW that clears PE does not exit for it',
    mask(0, 1, 1),
    { op: 'lmsw', source: 0 },
    DONE,
  ),
  guestRow(
    'cr.lmsw.ts',
    CRS,
    'LMSW exits if an owned TS differs from its shadow',
    mask(0, 8, 0),
    { op: 'lmsw', source: 9, register: 2 },
    { exit: 'controlRegisterAccess', qualification: 0x9_0230 },
  ),
  guestRow(
    'cr.lmsw.memory',
    CRS,
    'LMSW from memory tells the linear address',
    [...mask(0, 8, 0), memory(AT.guest + GUEST.data, 9)],
    { op: 'lmsw', source: 0, address: [GUEST.data, 0] },
    { exit: 'controlRegisterAccess', qualification: 0x9_0070, linear: GUEST.data },
  ),
  ...[0, 1, 2, 3].map(n =>
    guestRow(
      `cr3.target${n}`,
      'test_cr3_targets',
      `CR3-target value ${n} may be loaded without an exit`,
      [
        primary(PROC.cr3LoadExiting),
        set('cr3TargetCount', n + 1),
        set(`cr3TargetValue${n as 0 | 1 | 2 | 3}`, GUEST.pml4),
      ],
      { op: 'movToCr', cr: 3, value: [GUEST.pml4, 0] },
      DONE,
    ),
  ),
  guestRow(
    'cr3.beyondCount',
    'test_cr3_targets',
    'a target value beyond the count does not help',
    [primary(PROC.cr3LoadExiting), set('cr3TargetCount', 1), set('cr3TargetValue1', GUEST.pml4)],
    { op: 'movToCr', cr: 3, value: [GUEST.pml4, 0] },
    { exit: 'controlRegisterAccess', qualification: 3 },
  ),
  guestRow(
    'cr8.shadow',
    'vmx_apic_passthrough_tpr_threshold_test',
    'with the TPR shadow CR8 is VTPR bits 7:4',
    [
      primary(PROC.useTprShadow),
      set('virtualApicAddress', AT.virtualApic),
      memory(AT.virtualApic + 0x80, 0x50),
    ],
    { op: 'movFromCr', cr: 8 },
    { outcome: 'done', low: 5 },
  ),
  {
    id: 'cr8.threshold',
    source: 'vmx_apic_passthrough_tpr_threshold_test',
    states: 'MOV to CR8 below the threshold exits after the instruction',
    steps: [
      primary(PROC.useTprShadow),
      set('virtualApicAddress', AT.virtualApic),
      memory(AT.virtualApic + 0x80, 0x50),
      set('tprThreshold', 4),
      enter(),
      run({ op: 'movToCr', cr: 8, value: [3, 0] }),
      run({ op: 'nop' }, { exit: 'tprBelowThreshold' }),
      memoryAt(0x30),
      holds('guestRip', GUEST.code + 3),
    ],
  },
]

function memoryAt(vtpr: number): Step {
  return { memoryHolds: AT.virtualApic + 0x80, words: [vtpr] }
}

export const CONTROL_REGISTER_ROWS: readonly Row[] = [...controlRegisters]
