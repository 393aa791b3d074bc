/** Derived from the tests of windows, the preemption timer and the monitor trap flag. */
import { PIN_BASED, PRIMARY as PROC } from '../../vmx/formats/controls.ts'

import { EXIT, GUEST, PIN, PRIMARY } from './machine.ts'
import { CALL, DONE, handler, IDT, inject, NOP, pin, primary } from './settings.ts'
import { enter, guestRow, holds, type Row, run, set } from './step-case.ts'

const WINDOW = 'vmx_intr_window_test'

const NMI_WINDOW = 'vmx_nmi_window_test'

const NMI_PIN = PIN | PIN_BASED.virtualNmis

const windows: Row[] = [
  guestRow(
    'window.open',
    WINDOW,
    'an open interrupt window exits at once',
    [primary(PROC.interruptWindowExiting)],
    NOP,
    { exit: 'interruptWindow' },
  ),
  guestRow(
    'window.IF',
    WINDOW,
    'not while IF is clear',
    [primary(PROC.interruptWindowExiting), set('guestRflags', 2)],
    NOP,
    DONE,
  ),
  {
    id: 'window.sti',
    source: WINDOW,
    states: 'and after STI only behind the next instruction',
    steps: [
      primary(PROC.interruptWindowExiting),
      set('guestRflags', 2),
      enter(),
      run({ op: 'sti' }),
      run(NOP, DONE),
      run(NOP, { exit: 'interruptWindow' }),
    ],
  },
  guestRow(
    'window.stiBlocking',
    WINDOW,
    'blocking by STI keeps the window shut',
    [primary(PROC.interruptWindowExiting), set('guestInterruptibilityState', 1)],
    NOP,
    DONE,
  ),
  guestRow(
    'window.movSsBlocking',
    WINDOW,
    'so does blocking by MOV SS',
    [primary(PROC.interruptWindowExiting), set('guestInterruptibilityState', 2)],
    NOP,
    DONE,
  ),
  guestRow(
    'window.hlt',
    WINDOW,
    'the window opens in HLT',
    [primary(PROC.interruptWindowExiting), set('guestActivityState', 1)],
    NOP,
    { exit: 'interruptWindow' },
  ),
  {
    id: 'window.hlt.state',
    source: WINDOW,
    states: 'and the exit leaves the guest in HLT',
    steps: [
      primary(PROC.interruptWindowExiting),
      set('guestActivityState', 1),
      enter(),
      run(NOP, { exit: 'interruptWindow' }),
      holds('guestActivityState', 1),
    ],
  },
  guestRow(
    'window.shutdown',
    WINDOW,
    'it does not open in shutdown',
    [primary(PROC.interruptWindowExiting), set('guestActivityState', 2)],
    NOP,
    { outcome: 'halted' },
  ),
  guestRow(
    'nmiWindow.open',
    NMI_WINDOW,
    'an open NMI window exits at once',
    [pin(NMI_PIN), primary(PROC.nmiWindowExiting)],
    NOP,
    { exit: 'nmiWindow' },
  ),
  guestRow(
    'nmiWindow.blocked',
    NMI_WINDOW,
    'virtual-NMI blocking keeps it shut',
    [pin(NMI_PIN), primary(PROC.nmiWindowExiting), set('guestInterruptibilityState', 8)],
    NOP,
    DONE,
  ),
  {
    id: 'nmiWindow.iret',
    source: NMI_WINDOW,
    states: 'IRET ends virtual-NMI blocking',
    steps: [
      pin(NMI_PIN),
      primary(PROC.nmiWindowExiting),
      set('guestInterruptibilityState', 8),
      enter(),
      run({ op: 'iret' }),
      run(NOP, { exit: 'nmiWindow' }),
    ],
  },
  guestRow(
    'nmiWindow.movSs',
    NMI_WINDOW,
    'blocking by MOV SS keeps it shut',
    [pin(NMI_PIN), primary(PROC.nmiWindowExiting), set('guestInterruptibilityState', 2)],
    NOP,
    DONE,
  ),
  guestRow(
    'nmiWindow.sti',
    NMI_WINDOW,
    'blocking by STI does not',
    [pin(NMI_PIN), primary(PROC.nmiWindowExiting), set('guestInterruptibilityState', 1)],
    NOP,
    { exit: 'nmiWindow' },
  ),
  guestRow(
    'nmiWindow.hlt',
    NMI_WINDOW,
    'it opens in HLT',
    [pin(NMI_PIN), primary(PROC.nmiWindowExiting), set('guestActivityState', 1)],
    NOP,
    { exit: 'nmiWindow' },
  ),
  guestRow(
    'nmiWindow.shutdown',
    NMI_WINDOW,
    'and in shutdown',
    [pin(NMI_PIN), primary(PROC.nmiWindowExiting), set('guestActivityState', 2)],
    NOP,
    { exit: 'nmiWindow' },
  ),
  {
    id: 'nmiWindow.inject',
    source: NMI_WINDOW,
    states: 'an injected NMI shuts it',
    steps: [
      pin(NMI_PIN),
      primary(PROC.nmiWindowExiting),
      ...inject(0x202),
      enter({ outcome: 'done', vector: 2 }),
      run(NOP),
      run({ op: 'iret' }),
      run(NOP, { exit: 'nmiWindow' }),
    ],
  },
]

/** Milliseconds of a preemption timer with a rate of 2^5: 32 nanoseconds a count. */
const TIMER = pin(PIN | PIN_BASED.activatePreemptionTimer)

const TIMER_TEST = 'preemption timer'

const timers: Row[] = [
  guestRow(
    'timer.zero',
    'vmx_preemption_timer_zero_test',
    'a timer of 0 exits before the first instruction',
    [TIMER, set('preemptionTimerValue', 0)],
    NOP,
    { exit: 'preemptionTimerExpired' },
  ),
  {
    id: 'timer.zero.injection',
    source: 'vmx_preemption_timer_zero_test',
    states: 'an event injected with a timer of 0 is delivered first',
    steps: [
      TIMER,
      set('preemptionTimerValue', 0),
      ...inject(0x301),
      enter({ outcome: 'done', vector: 1 }),
      run(NOP, { exit: 'preemptionTimerExpired' }),
      holds('guestRip', handler(1)),
    ],
    capabilities: IDT,
  },
  {
    id: 'timer.running',
    source: 'vmx_preemption_timer_expiry_test',
    states: 'the timer counts once for 32 ticks of the time-stamp counter',
    steps: [
      TIMER,
      set('preemptionTimerValue', 10),
      enter(),
      { advance: 10 * 32 - 1 },
      run(NOP),
      { advance: 1 },
      run(NOP, { exit: 'preemptionTimerExpired' }),
    ],
  },
  {
    id: 'timer.saved',
    source: TIMER_TEST,
    states: 'what is left is saved if the control says so',
    steps: [
      TIMER,
      set('exitControls', EXIT | (1 << 22)),
      set('preemptionTimerValue', 100),
      enter(),
      { advance: 32 * 40 },
      run(CALL, { exit: 'vmcall' }),
      holds('preemptionTimerValue', 60),
    ],
  },
  {
    id: 'timer.notSaved',
    source: TIMER_TEST,
    states: 'and stays as written otherwise',
    steps: [
      TIMER,
      set('preemptionTimerValue', 100),
      enter(),
      { advance: 32 * 40 },
      run(CALL, { exit: 'vmcall' }),
      holds('preemptionTimerValue', 100),
    ],
  },
  {
    id: 'timer.expired.saved',
    source: TIMER_TEST,
    states: 'an expired timer is saved as 0',
    steps: [
      TIMER,
      set('exitControls', EXIT | (1 << 22)),
      set('preemptionTimerValue', 1),
      enter(),
      { advance: 1000 },
      run(NOP, { exit: 'preemptionTimerExpired' }),
      holds('preemptionTimerValue', 0),
    ],
  },
  guestRow('timer.hlt', TIMER_TEST, 'the timer expires in HLT', [TIMER, set('guestActivityState', 1)], NOP, {
    exit: 'preemptionTimerExpired',
  }),
  guestRow('timer.shutdown', TIMER_TEST, 'and in shutdown', [TIMER, set('guestActivityState', 2)], NOP, {
    exit: 'preemptionTimerExpired',
  }),
  guestRow('timer.sipi', TIMER_TEST, 'but not in wait-for-SIPI', [TIMER, set('guestActivityState', 3)], NOP, {
    outcome: 'halted',
  }),
  {
    id: 'timer.step',
    source: 'vmx_preemption_timer_tf_test',
    states: 'a pending single step is delivered before the timer exits',
    steps: [
      TIMER,
      set('preemptionTimerValue', 0),
      set('guestRflags', 0x102),
      set('guestPendingDebugExceptions', 0x4000),
      enter(),
      run(NOP, { outcome: 'exception', vector: 1 }),
      run(NOP, { exit: 'preemptionTimerExpired' }),
    ],
  },
]

const MTF = primary(PROC.monitorTrapFlag)

const MTF_TEST = 'vmx_mtf_test'

const traps: Row[] = [
  {
    id: 'mtf.step',
    source: MTF_TEST,
    states: 'the monitor trap flag exits after one instruction',
    steps: [MTF, enter(), run(NOP), run(NOP, { exit: 'monitorTrapFlag' }), holds('guestRip', GUEST.code + 1)],
  },
  {
    id: 'mtf.injection',
    source: MTF_TEST,
    states: 'and before the first of an injected handler',
    steps: [
      MTF,
      ...inject(0x30),
      enter({ outcome: 'done', vector: 0x30 }),
      run(NOP, { exit: 'monitorTrapFlag' }),
      holds('guestRip', handler(0x30)),
    ],
    capabilities: IDT,
  },
  {
    id: 'mtf.fault',
    source: MTF_TEST,
    states: 'and at the handler of an instruction that faults',
    steps: [
      MTF,
      enter(),
      run({ op: 'movToCr', cr: 0, value: [0, 0] }, { outcome: 'exception', vector: 13 }),
      run(NOP, { exit: 'monitorTrapFlag' }),
      holds('guestRip', handler(13)),
    ],
    capabilities: IDT,
  },
  {
    id: 'mtf.pending',
    source: MTF_TEST,
    states: 'an injected pending monitor trap flag exits at once, without the control',
    steps: [...inject(0x700), enter(), run(NOP, { exit: 'monitorTrapFlag' }), holds('guestRip', GUEST.code)],
  },
  {
    id: 'mtf.step.debug',
    source: MTF_TEST,
    states: 'it comes before a single step, which stays pending',
    steps: [
      MTF,
      set('guestRflags', 0x302),
      enter(),
      run(NOP),
      run(NOP, { exit: 'monitorTrapFlag' }),
      holds('guestPendingDebugExceptions', 0x4000),
    ],
  },
  {
    id: 'mtf.hlt',
    source: MTF_TEST,
    states: 'after HLT it exits from the HLT state',
    steps: [
      set('primaryProcessorBasedControls', (PRIMARY & ~PROC.hltExiting) | PROC.monitorTrapFlag),
      enter(),
      run({ op: 'hlt' }, { outcome: 'halted' }),
      run(NOP, { exit: 'monitorTrapFlag' }),
      holds('guestActivityState', 1),
    ],
  },
]

export const WINDOW_ROWS: readonly Row[] = [...windows, ...timers, ...traps]
