/** Cases of the APIC timer, derived from x86/apic.c of kvm-unit-tests. */
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import type { ProcessorCase } from './case.ts'
import { type InterruptBench, interruptCase } from './interrupt-bench.ts'

const { LVT_TIMER, TIMER_INITIAL, TIMER_CURRENT, TIMER_DIVIDE } = LOCAL_APIC
const VECTOR = 0xee
const PERIODIC = 1 << 17
const DEADLINE = 2 << 17
const MASKED = 1 << 16
const BY_1 = 0xb
const TSC = 0x10
const TSC_DEADLINE = 0x6e0
const INITIAL = 0x10000

/** One-shot unless `mode` says otherwise, divisor 1. */
function start(bench: InterruptBench, mode = 0, initial = INITIAL): void {
  bench.writeApic(LVT_TIMER, mode | VECTOR)
  bench.writeApic(TIMER_DIVIDE, BY_1)
  bench.writeApic(TIMER_INITIAL, initial)
}

const timer = (
  id: string,
  test: string,
  states: string,
  act: (bench: InterruptBench) => void,
): ProcessorCase => interruptCase(`apic.timer.${id}`, `x86/apic.c ${test}`, states, act)

const DIVISORS = [
  [0x0, 2],
  [0x1, 4],
  [0x2, 8],
  [0x3, 16],
  [0x8, 32],
  [0x9, 64],
  [0xa, 128],
  [0xb, 1],
] as const

const setDeadline = (bench: InterruptBench, delay: number): void => {
  const deadline = bench.readMsr(TSC) + delay
  bench.run({ op: 'wrmsr', msr: TSC_DEADLINE, value: [deadline, 0] })
}

export const TIMER_CASES: readonly ProcessorCase[] = [
  timer(
    'oneShot',
    'test_apic_timer_one_shot',
    'one-shot: one interrupt, no earlier than asked for',
    bench => {
      start(bench)
      bench.pass(INITIAL - 1)
      bench.same('interrupts early', bench.handled(VECTOR), 0)
      bench.pass(1)
      bench.same('interrupts', bench.handled(VECTOR), 1)
      bench.pass(INITIAL * 4)
      bench.same('interrupts afterwards', bench.handled(VECTOR), 0)
    },
  ),
  ...DIVISORS.map(([configuration, divisor]) =>
    timer(
      `divide-${divisor}`,
      'test_apic_timer_one_shot',
      `divide configuration ${configuration.toString(16).toUpperCase()}H counts once in ${divisor} ticks`,
      bench => {
        bench.writeApic(LVT_TIMER, VECTOR)
        bench.writeApic(TIMER_DIVIDE, configuration)
        bench.writeApic(TIMER_INITIAL, 100)
        bench.pass(10 * divisor)
        bench.same('current count', bench.readApic(TIMER_CURRENT), 90)
        bench.pass(90 * divisor - 1)
        bench.same('interrupts early', bench.handled(VECTOR), 0)
        bench.pass(1)
        bench.same('interrupts', bench.handled(VECTOR), 1)
      },
    ),
  ),
  timer('zero-count', 'test_apic_change_mode', 'after a one-shot the current count is 0', bench => {
    start(bench)
    bench.same('current count', bench.readApic(TIMER_CURRENT), INITIAL)
    bench.pass(INITIAL)
    bench.same('current count', bench.readApic(TIMER_CURRENT), 0)
  }),
  timer('mode-keeps-initial', 'test_apic_change_mode', 'a change of mode keeps the initial count', bench => {
    bench.writeApic(TIMER_INITIAL, 0x99_9999)
    bench.writeApic(LVT_TIMER, PERIODIC | VECTOR)
    bench.same('initial count', bench.readApic(TIMER_INITIAL), 0x99_9999)
  }),
  timer(
    'to-periodic',
    'test_apic_change_mode',
    'one-shot changed to periodic while counting goes on from where it is, then wraps around',
    bench => {
      start(bench)
      bench.pass(INITIAL - 100)
      bench.writeApic(LVT_TIMER, PERIODIC | VECTOR)
      bench.same('current count', bench.readApic(TIMER_CURRENT), 100)
      bench.pass(110)
      bench.same('current count after the end', bench.readApic(TIMER_CURRENT), INITIAL - 10)
    },
  ),
  timer(
    'to-oneShot',
    'test_apic_change_mode',
    'periodic changed to one-shot while counting ends at 0',
    bench => {
      start(bench, PERIODIC)
      bench.pass(INITIAL + INITIAL / 2)
      bench.writeApic(LVT_TIMER, VECTOR)
      bench.same('current count', bench.readApic(TIMER_CURRENT), INITIAL / 2)
      bench.pass(INITIAL)
      bench.same('current count at the end', bench.readApic(TIMER_CURRENT), 0)
    },
  ),
  timer(
    'stays-at-zero',
    'test_apic_change_mode',
    'an expired one-shot changed to periodic does not start by that',
    bench => {
      start(bench)
      bench.pass(INITIAL)
      bench.writeApic(LVT_TIMER, PERIODIC | VECTOR)
      bench.pass(INITIAL * 2)
      bench.same('current count', bench.readApic(TIMER_CURRENT), 0)
      bench.same('interrupts', bench.handled(VECTOR), 1)
    },
  ),
  timer('periodic', 'test_apic_change_mode', 'periodic: an interrupt in every round', bench => {
    start(bench, PERIODIC)
    for (let round = 0; round < 3; round++) {
      bench.pass(INITIAL)
      bench.same(`interrupts of round ${round}`, bench.handled(VECTOR), 1)
    }
  }),
  timer('stopped', 'test_apic_change_mode', 'an initial count of 0 stops the timer', bench => {
    start(bench, PERIODIC)
    bench.writeApic(TIMER_INITIAL, 0)
    bench.pass(INITIAL * 2)
    bench.same('interrupts', bench.handled(VECTOR), 0)
    bench.same('current count', bench.readApic(TIMER_CURRENT), 0)
  }),
  timer('masked', 'test_apic_timer_one_shot', 'a masked timer counts, but does not interrupt', bench => {
    start(bench, MASKED)
    bench.pass(100)
    bench.same('current count', bench.readApic(TIMER_CURRENT), INITIAL - 100)
    bench.pass(INITIAL)
    bench.same('interrupts', bench.handled(VECTOR), 0)
  }),
  timer(
    'deadline-enumerated',
    'enable_tsc_deadline_timer',
    'CPUID.1:ECX[24] tells of the TSC deadline',
    bench => {
      bench.same('CPUID.1:ECX[24]', (bench.run({ op: 'cpuid', leaf: 1 }).ecx >>> 24) & 1, 1)
    },
  ),
  timer(
    'deadline-past',
    'test_tsc_deadline_timer',
    'a TSC deadline that is over interrupts at once',
    bench => {
      bench.pass(1000)
      bench.writeApic(LVT_TIMER, DEADLINE | VECTOR)
      setDeadline(bench, 0)
      bench.pass(0)
      bench.same('interrupts', bench.handled(VECTOR), 1)
    },
  ),
  timer('deadline-cleared', 'test_tsc_deadline_timer', 'an expired deadline reads 0', bench => {
    bench.pass(1000)
    bench.writeApic(LVT_TIMER, DEADLINE | VECTOR)
    setDeadline(bench, 50)
    bench.same('armed', bench.readMsr(TSC_DEADLINE), 1050)
    bench.pass(50)
    bench.same('IA32_TSC_DEADLINE', bench.readMsr(TSC_DEADLINE), 0)
    bench.same('interrupts', bench.handled(VECTOR), 1)
  }),
  timer('deadline-disarmed', 'test_tsc_deadline_timer', 'a deadline of 0 disarms the timer', bench => {
    bench.writeApic(LVT_TIMER, DEADLINE | VECTOR)
    setDeadline(bench, 50)
    bench.run({ op: 'wrmsr', msr: TSC_DEADLINE, value: [0, 0] })
    bench.pass(100)
    bench.same('interrupts', bench.handled(VECTOR), 0)
  }),
  timer(
    'deadline-other-mode',
    'test_tsc_deadline_timer',
    'outside TSC-deadline mode a write of the deadline is ignored, and it reads 0',
    bench => {
      bench.writeApic(LVT_TIMER, VECTOR)
      setDeadline(bench, 50)
      bench.same('IA32_TSC_DEADLINE', bench.readMsr(TSC_DEADLINE), 0)
      bench.pass(100)
      bench.same('interrupts', bench.handled(VECTOR), 0)
    },
  ),
  timer(
    'deadline-ignores-count',
    'test_tsc_deadline_timer',
    'in TSC-deadline mode a write of the initial count is ignored, and the current count reads 0',
    bench => {
      start(bench, DEADLINE)
      bench.same('current count', bench.readApic(TIMER_CURRENT), 0)
      bench.pass(INITIAL * 2)
      bench.same('interrupts', bench.handled(VECTOR), 0)
    },
  ),
  timer(
    'deadline-mode-disarms',
    'test_tsc_deadline_timer',
    'a change between counting and the TSC deadline disarms the timer',
    bench => {
      start(bench)
      bench.writeApic(LVT_TIMER, DEADLINE | VECTOR)
      bench.pass(INITIAL * 2)
      bench.same('interrupts', bench.handled(VECTOR), 0)
    },
  ),
]
