/** Derived from the tests of signals, virtualized APIC accesses and task switches. */
import { PRIMARY as PROC, SECONDARY as PROC2 } from '../../vmx/formats/controls.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { AT, EXIT, GUEST, SECONDARY } from './machine.ts'
import { CALL, guest, handler, IDT, NOP, pin, primary } from './settings.ts'
import {
  type Expectation,
  enter,
  guestRow,
  holds,
  memory,
  type Row,
  run,
  type Step,
  set,
} from './step-case.ts'

const INTERRUPT = 'interrupt'

const NMI = 4

const INIT = 5

const STARTUP = 6

const FIXED = 0

/** Enables the local APIC by SVR. */
const APIC_ON = run({ op: 'write', address: 0xfee0_00f0, width: 4, value: [0x1ff, 0] })

const message = (deliveryMode: number, vector = 0): Step => ({ message: deliveryMode, vector })

const signals: Row[] = [
  {
    id: 'signal.nmi',
    source: 'nmi_hlt',
    states: 'an NMI exits with NMI exiting',
    steps: [enter(), message(NMI), run(NOP, { exit: 'exceptionOrNmi', interruption: 0x8000_0202 })],
  },
  {
    id: 'signal.nmi.hlt',
    source: 'nmi_hlt',
    states: 'an NMI ends HLT with an exit that leaves the state HLT',
    steps: [
      set('guestActivityState', 1),
      enter(),
      message(NMI),
      run(NOP, { exit: 'exceptionOrNmi' }),
      holds('guestActivityState', 1),
    ],
  },
  {
    id: 'signal.nmi.free',
    source: 'nmi_hlt',
    states: 'without NMI exiting the guest takes it',
    steps: [pin(0x17), enter(), message(NMI), run(NOP), { takes: 2 }, { takes: -1 }],
  },
  {
    id: 'signal.nmi.blocked',
    source: 'nmi_hlt',
    states: 'and a second one only after IRET',
    steps: [
      pin(0x17),
      enter(),
      message(NMI),
      { takes: 2 },
      message(NMI),
      { takes: -1 },
      run({ op: 'iret' }),
      { takes: 2 },
    ],
  },
  {
    id: 'signal.init',
    source: 'vmx_init_signal_test',
    states: 'INIT exits',
    steps: [enter(), message(INIT), run(NOP, { exit: 'init' })],
  },
  {
    id: 'signal.init.root',
    source: 'vmx_init_signal_test',
    states: 'INIT is blocked in root operation, and exits right after the entry',
    steps: [message(INIT), run(NOP), enter(), run(NOP, { exit: 'init' })],
  },
  {
    id: 'signal.init.off',
    source: 'vmx_init_signal_test',
    states: 'a blocked INIT is processed after VMXOFF',
    steps: [
      message(INIT),
      run(NOP),
      run({ op: 'vmxoff' }),
      run(NOP, { outcome: 'halted' }),
      message(STARTUP, 8),
      run(NOP),
    ],
  },
  {
    id: 'signal.sipi',
    source: 'vmx_sipi_signal_test',
    states: 'a start-up message exits from wait-for-SIPI with its vector',
    steps: [
      set('guestActivityState', 3),
      enter(),
      message(STARTUP, 0x12),
      run(NOP, { exit: 'startUpIpi', qualification: 0x12 }),
    ],
  },
  {
    id: 'signal.sipi.nmi',
    source: 'vmx_sipi_signal_test',
    states: 'nothing else does',
    steps: [
      set('guestActivityState', 3),
      enter(),
      message(NMI),
      run(NOP, { outcome: 'halted' }),
      message(INIT),
      run(NOP, { outcome: 'halted' }),
    ],
  },
  {
    id: 'signal.interrupt',
    source: 'vmx_pending_event_test',
    states: 'an external interrupt exits, its vector told only if it is acknowledged',
    steps: [APIC_ON, enter(), message(FIXED, 0x41), run(NOP, { exit: 'externalInterrupt', interruption: 0 })],
  },
  {
    id: 'signal.interrupt.acknowledged',
    source: 'vmx_pending_event_test',
    states: 'acknowledged on exit, the vector is told',
    steps: [
      APIC_ON,
      set('exitControls', EXIT | (1 << 15)),
      enter(),
      message(FIXED, 0x41),
      run(NOP, { exit: 'externalInterrupt', interruption: 0x8000_0041 }),
    ],
  },
  {
    id: 'signal.interrupt.IF',
    source: 'vmx_pending_event_test',
    states: 'whether or not IF is set',
    steps: [
      APIC_ON,
      set('guestRflags', 2),
      enter(),
      message(FIXED, 0x41),
      run(NOP, { exit: 'externalInterrupt' }),
    ],
  },
  {
    id: 'signal.interrupt.hlt',
    source: 'vmx_pending_event_hlt_test',
    states: 'and in HLT, which it leaves as the state',
    steps: [
      APIC_ON,
      set('guestActivityState', 1),
      enter(),
      message(FIXED, 0x41),
      run(NOP, { exit: 'externalInterrupt' }),
      holds('guestActivityState', 1),
    ],
  },
  {
    id: 'signal.interrupt.shutdown',
    source: 'vmx_pending_event_hlt_test',
    states: 'but not in shutdown',
    steps: [
      APIC_ON,
      set('guestActivityState', 2),
      enter(),
      message(FIXED, 0x41),
      run(NOP, { outcome: 'halted' }),
    ],
  },
  {
    id: 'signal.interrupt.pending',
    source: 'vmx_pending_event_test',
    states: 'one that waits in root operation exits before the first instruction',
    steps: [
      APIC_ON,
      message(FIXED, 0x41),
      enter(),
      run(NOP, { exit: 'externalInterrupt' }),
      holds('guestRip', GUEST.code),
    ],
  },
  {
    id: 'signal.interrupt.free',
    source: INTERRUPT,
    states: 'without exiting the guest takes it while IF is set',
    steps: [APIC_ON, pin(0x1e), enter(), message(FIXED, 0x41), run(NOP), { takes: 0x41 }],
  },
  {
    id: 'signal.interrupt.free.IF',
    source: INTERRUPT,
    states: 'and not while it is clear',
    steps: [APIC_ON, pin(0x1e), set('guestRflags', 2), enter(), message(FIXED, 0x41), { takes: -1 }],
  },
]

/** A page of guest memory that is the APIC-access page, and the controls that virtualize it. */
const apicPage = (secondaryControls: number): Step[] => [
  primary(PROC.useTprShadow),
  set('virtualApicAddress', AT.virtualApic),
  set('secondaryProcessorBasedControls', SECONDARY | PROC2.virtualizeApicAccesses | secondaryControls),
  set('apicAccessAddress', AT.guest + GUEST.data),
]

const apicWrite = (offset: number): Operation => ({
  op: 'writeLinear',
  address: [GUEST.data + offset, 0],
  width: 4,
  value: [0, 0],
})

const apic: Row[] = [
  guestRow(
    'apicPage.read',
    'apic_reg_virt_test',
    'a read that is not virtualized exits with its offset',
    apicPage(0),
    { op: 'readLinear', address: [GUEST.data + 0x20, 0], width: 4 },
    { exit: 'apicAccess', qualification: 0x20 },
  ),
  guestRow('apicPage.write', 'apic_reg_virt_test', 'so does a write', apicPage(0), apicWrite(0x20), {
    exit: 'apicAccess',
    qualification: 0x1020,
  }),
  guestRow(
    'apicPage.fetch',
    'apic_reg_virt_test',
    'and a fetch',
    apicPage(0),
    { op: 'fetchLinear', address: [GUEST.data, 0] },
    { exit: 'apicAccess', qualification: 0x2000 },
  ),
  guestRow(
    'apicPage.walk',
    'apic_reg_virt_test',
    'a page walk over the page exits as a guest-physical access',
    [...apicPage(0), set('apicAccessAddress', AT.guest + GUEST.pt)],
    apicWrite(0x20),
    { exit: 'apicAccess', qualification: 0xf000 },
  ),
  {
    id: 'apicPage.registerWrite',
    source: 'apic_reg_virt_test',
    states: 'a virtualized write of a register that needs help exits after the instruction',
    steps: [
      ...apicPage(PROC2.apicRegisterVirtualization),
      enter(),
      run(apicWrite(0x320)),
      run(NOP, { exit: 'apicWrite', qualification: 0x320 }),
    ],
  },
  {
    id: 'apicPage.eoi',
    source: 'vmx_eoi_virt_test',
    states: 'an EOI whose vector is in the EOI-exit bitmap exits after the instruction',
    steps: [
      ...apicPage(PROC2.virtualInterruptDelivery),
      set('guestInterruptStatus', 0x4100),
      set('eoiExitBitmap1', 2),
      memory(AT.virtualApic + 0x120, 2),
      enter(),
      run(apicWrite(0xb0)),
      run(NOP, { exit: 'virtualizedEoi', qualification: 0x41 }),
    ],
  },
  {
    id: 'apicPage.delivery',
    source: 'vmx_basic_vid_test',
    states: 'a virtual interrupt goes through the IDT without an exit',
    steps: [
      ...apicPage(PROC2.virtualInterruptDelivery),
      set('guestInterruptStatus', 0x41),
      memory(AT.virtualApic + 0x220, 2),
      enter(),
      run(NOP, { outcome: 'interrupted', vector: 0x41 }),
      run(CALL, { exit: 'vmcall' }),
      holds('guestRip', handler(0x41)),
      holds('guestInterruptStatus', 0x4100),
    ],
    capabilities: IDT,
  },
]

/** Legacy guests have task switches; the GDT has an available TSS at 28H. */
const LEGACY: readonly Step[] = [
  set('entryControls', 0x11fb),
  set('guestCsAccessRights', 0xc09b),
  set('guestPdpte0', GUEST.pd | 1),
]

const tssAt = (selector: number, high: number, limit = 0x67): Step => guest(GUEST.gdt + selector, limit, high)

const task = (source: 0 | 1 | 2 | 3, selector = 0x28): Operation => ({ op: 'taskSwitch', selector, source })

const TASK = 'instruction intercept'

const GP28: Expectation = { outcome: 'exception', vector: 13, error: 0x28 }

const tasks: Row[] = [
  ...([0, 2, 3] as const).map(source =>
    guestRow(
      `task.${source}`,
      TASK,
      `a task switch of source ${source} exits`,
      [...LEGACY, tssAt(0x28, 0x8900)],
      task(source),
      { exit: 'taskSwitch', qualification: ((source << 30) | 0x28) >>> 0 },
    ),
  ),
  guestRow(
    'task.iret',
    TASK,
    'so does one by IRET, to a busy TSS',
    [...LEGACY, tssAt(0x28, 0x8b00)],
    task(1),
    { exit: 'taskSwitch', qualification: 0x4000_0028 },
  ),
  guestRow(
    'task.busy',
    TASK,
    'a busy TSS raises #GP before the exit',
    [...LEGACY, tssAt(0x28, 0x8b00)],
    task(0),
    GP28,
  ),
  guestRow('task.absent', TASK, 'an absent one #NP', [...LEGACY, tssAt(0x28, 0x0900)], task(0), {
    outcome: 'exception',
    vector: 11,
    error: 0x28,
  }),
  guestRow('task.limit', TASK, 'one that is too short #TS', [...LEGACY, tssAt(0x28, 0x8900, 0x60)], task(0), {
    outcome: 'exception',
    vector: 10,
    error: 0x28,
  }),
  guestRow('task.beyond', TASK, 'a selector beyond the GDT #GP', LEGACY, task(0, 0x1000), {
    outcome: 'exception',
    vector: 13,
    error: 0x1000,
  }),
  guestRow('task.long', TASK, 'IA-32e mode has no task switches', [tssAt(0x28, 0x8900)], task(0), GP28),
]

export const SIGNAL_ROWS: readonly Row[] = [...signals, ...apic, ...tasks]
