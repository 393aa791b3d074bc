/** Cases of the local APIC, derived from x86/apic.c of kvm-unit-tests. */
import { APIC_BASE, LOCAL_APIC, XAPIC_BASE } from '../../interrupts/formats/local-apic.ts'
import { MSR } from '../../vmx/formats/msrs.ts'
import { DESTINATION_CASES } from './apic-destination-cases.ts'
import { TIMER_CASES } from './apic-timer-cases.ts'
import type { ProcessorCase } from './case.ts'
import { type InterruptBench, interruptCase } from './interrupt-bench.ts'

const { EN, EXTD, BSP } = APIC_BASE
const BASE = XAPIC_BASE | BSP
const NMI = 0x400
const SELF = 1 << 18

const modeOf = (bench: InterruptBench): number => bench.readMsr(MSR.IA32_APIC_BASE) & (EN | EXTD)

/** Transitions of IA32_APIC_BASE: from a state, to another, and whether WRMSR faults. */
const TRANSITIONS: readonly (readonly [string, number, string, number, boolean])[] = [
  ['xAPIC', EN, 'disabled', 0, false],
  ['xAPIC', EN, 'x2APIC', EN | EXTD, false],
  ['xAPIC', EN, 'invalid', EXTD, true],
  ['x2APIC', EN | EXTD, 'disabled', 0, false],
  ['x2APIC', EN | EXTD, 'xAPIC', EN, true],
  ['x2APIC', EN | EXTD, 'invalid', EXTD, true],
  ['disabled', 0, 'xAPIC', EN, false],
  ['disabled', 0, 'x2APIC', EN | EXTD, true],
  ['disabled', 0, 'invalid', EXTD, true],
]

const transitionCases = TRANSITIONS.map(([from, fromBits, to, toBits, faults]) =>
  interruptCase(
    `apic.base.${from}-${to}`,
    'x86/apic.c test_enable_x2apic',
    `IA32_APIC_BASE from ${from} to ${to} ${faults ? 'raises #GP' : 'is allowed'}`,
    bench => {
      if (fromBits !== EN)
        bench.run({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value: [(BASE | fromBits) >>> 0, 0] })
      bench.same('mode before', modeOf(bench), fromBits)
      bench.same('#GP', bench.msrFaults(MSR.IA32_APIC_BASE, BASE | toBits), faults)
      bench.same('mode after', modeOf(bench), faults ? fromBits : toBits)
    },
  ),
)

/** Values of IA32_APIC_BASE with a reserved bit. */
const RESERVED_BASE: readonly (readonly [string, number, number])[] = [
  ['bit 0', BASE | EN | 1, 0],
  ['bit 7', BASE | EN | (1 << 7), 0],
  ['bit 9', BASE | EN | (1 << 9), 0],
  ['the first bit beyond MAXPHYADDR', BASE | EN, 1 << 14],
  ['bit 63', BASE | EN, 0x8000_0000],
]
const reservedBaseCases = RESERVED_BASE.map(([what, low, high], i) =>
  interruptCase(
    `apic.base.reserved-${i}`,
    'x86/apic.c test_apicbase',
    `${what} of IA32_APIC_BASE is reserved`,
    bench => bench.same('#GP', bench.msrFaults(MSR.IA32_APIC_BASE, low, high), true),
  ),
)

const ALTERNATE = 0xfed4_0000
const readAt = (bench: InterruptBench, address: number): number =>
  bench.run({ op: 'read', address, width: 4 }).low

const disableCases: ProcessorCase[] = [
  interruptCase(
    'apic.base.relocated',
    'x86/apic.c test_apicbase',
    'the xAPIC page answers where IA32_APIC_BASE says, and no longer where it was',
    bench => {
      const version = bench.readApic(LOCAL_APIC.VERSION)
      bench.run({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value: [(ALTERNATE | BSP | EN) >>> 0, 0] })
      bench.same('version at the new place', readAt(bench, ALTERNATE + LOCAL_APIC.VERSION), version)
      bench.same('old place', readAt(bench, XAPIC_BASE + LOCAL_APIC.VERSION), 0xffff_ffff)
    },
  ),
  ...(['disabled', 'x2APIC'] as const).map(mode =>
    interruptCase(
      `apic.disable.mmio-${mode}`,
      'x86/apic.c verify_disabled_apic_mmio',
      `in ${mode === 'disabled' ? 'the disabled state' : 'x2APIC mode'} nothing answers at the xAPIC page`,
      bench => {
        const bits = mode === 'disabled' ? 0 : EN | EXTD
        bench.run({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value: [(BASE | bits) >>> 0, 0] })
        bench.run({ op: 'write', address: XAPIC_BASE + LOCAL_APIC.TPR, width: 4, value: [0x20, 0] })
        bench.same('version', readAt(bench, XAPIC_BASE + LOCAL_APIC.VERSION), 0xffff_ffff)
        bench.same('TPR', readAt(bench, XAPIC_BASE + LOCAL_APIC.TPR), 0xffff_ffff)
      },
    ),
  ),
  ...(['xAPIC', 'x2APIC', 'disabled'] as const).map(mode =>
    interruptCase(
      `apic.cr8.${mode}`,
      'x86/apic.c verify_disabled_apic_mmio, test_apic_disable',
      `CR8 holds what was moved there in ${mode === 'disabled' ? 'the disabled state' : `${mode} mode`}${mode === 'disabled' ? '' : ', which is TPR[7:4]'}`,
      bench => {
        const bits = mode === 'disabled' ? 0 : mode === 'xAPIC' ? EN : EN | EXTD
        bench.run({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value: [(BASE | bits) >>> 0, 0] })
        for (const value of [0, 5, 15]) {
          bench.run({ op: 'movToCr', cr: 8, value: [value, 0] })
          bench.same('CR8', bench.run({ op: 'movFromCr', cr: 8 }).low, value)
          if (mode !== 'disabled') bench.same('TPR', bench.readApic(LOCAL_APIC.TPR), value << 4)
        }
      },
    ),
  ),
  interruptCase(
    'apic.id.xapic',
    'x86/apic.c test_apic_id',
    'the xAPIC identifier equals CPUID.1:EBX[31:24]',
    bench => {
      const { ebx } = bench.run({ op: 'cpuid', leaf: 1 }, 1)
      bench.same('id', bench.readApic(LOCAL_APIC.ID, 1) >>> 24, ebx >>> 24)
    },
    2,
  ),
  interruptCase(
    'apic.id.x2apic-read-only',
    'x86/apic.c test_apic_id',
    'a write of the x2APIC identifier raises #GP',
    bench => {
      bench.toX2apic()
      bench.same('#GP', bench.msrFaults(0x802, 1), true)
    },
  ),
  interruptCase(
    'apic.id.x2apic',
    'x86/apic.c test_apic_id',
    'the x2APIC identifier equals CPUID.0BH:EDX',
    bench => {
      bench.toX2apic()
      const { edx } = bench.run({ op: 'cpuid', leaf: 0xb }, 1)
      bench.same('id', bench.readApic(LOCAL_APIC.ID, 1), edx)
    },
    2,
  ),
  interruptCase(
    'apic.id.after-reset',
    'x86/apic.c test_apic_id',
    'back from x2APIC mode by way of the disabled state, the xAPIC identifier is the old one',
    bench => {
      bench.toX2apic()
      for (const bits of [0, EN]) {
        bench.run({ op: 'wrmsr', msr: MSR.IA32_APIC_BASE, value: [(XAPIC_BASE | bits) >>> 0, 0] }, 1)
      }
      bench.same('id', bench.readApic(LOCAL_APIC.ID, 1), 1 << 24)
    },
    2,
  ),
]

const selfCases = (['xAPIC', 'x2APIC'] as const).flatMap(mode => [
  interruptCase(
    `apic.selfIpi.${mode}.command`,
    `x86/apic.c test_self_ipi_${mode.toLowerCase()}`,
    `in ${mode} mode the self shorthand interrupts the sender once`,
    bench => {
      if (mode === 'x2APIC') bench.toX2apic()
      bench.command(SELF | 0xf1, 0)
      bench.same('interrupts', bench.handled(0xf1), 1)
    },
  ),
  interruptCase(
    `apic.selfIpi.${mode}.merged`,
    `x86/apic.c test_self_ipi_${mode.toLowerCase()}`,
    `in ${mode} mode two requests of a vector before its handler are one interrupt`,
    bench => {
      if (mode === 'x2APIC') bench.toX2apic()
      bench.command(SELF | 0xf1, 0)
      bench.command(SELF | 0xf1, 0)
      bench.same('interrupts', bench.handled(0xf1), 1)
    },
  ),
])

const registerCases = [
  interruptCase(
    'apic.selfIpi.register',
    'x86/apic.c test_self_ipi_x2apic',
    'the SELF IPI register interrupts its processor',
    bench => {
      bench.toX2apic()
      bench.same('#GP', bench.msrFaults(0x83f, 0xf1), false)
      bench.same('interrupts', bench.handled(0xf1), 1)
    },
  ),
  ...(
    [
      ['TPR bit 8', 0x808, 0x100, 0],
      ['a value for EOI', 0x80b, 1, 0],
      ['a value for ESR', 0x828, 1, 0],
      ['SVR bit 16', 0x80f, 0x1_01ff, 0],
      ['ICR bit 13', 0x830, 0x2000, 0],
      ['ICR bit 16', 0x830, 0x1_0000, 0],
      ['ICR bit 20', 0x830, 0x10_0000, 0],
      ['bits 63:32 of LVT error', 0x837, 0x1_0000, 1],
      ['LVT timer bit 19', 0x832, 0x9_0000, 0],
      ['LVT LINT0 bit 17', 0x835, 0x3_0000, 0],
      ['divide configuration bit 2', 0x83e, 4, 0],
      ['SELF IPI bit 8', 0x83f, 0x100, 0],
      ['the version', 0x803, 0, 0],
      ['LDR', 0x80d, 0, 0],
      ['PPR', 0x80a, 0, 0],
      ['DFR, which is not there', 0x80e, 0, 0],
      ['the high half of ICR, which is not there', 0x831, 0, 0],
      ['ISR', 0x810, 0, 0],
      ['the current count', 0x839, 0, 0],
      ['a register that is not there', 0x801, 0, 0],
    ] as const
  ).map(([what, msr, low, high], i) =>
    interruptCase(
      `apic.x2apic.fault-${i}`,
      'x86/vmx_tests.c virt_x2apic_mode_test (registers passed through)',
      `in x2APIC mode WRMSR of ${what} raises #GP`,
      bench => {
        bench.toX2apic()
        bench.same('#GP', bench.msrFaults(msr, low, high), true)
      },
    ),
  ),
  ...([0x80b, 0x83f, 0x80e, 0x831, 0x840, 0x8ff] as const).map(msr =>
    interruptCase(
      `apic.x2apic.read-fault-${msr.toString(16)}`,
      'x86/vmx_tests.c virt_x2apic_mode_test (registers passed through)',
      `in x2APIC mode RDMSR of ${msr.toString(16).toUpperCase()}H raises #GP`,
      bench => {
        bench.toX2apic()
        const { outcome, vector } = bench.run({ op: 'rdmsr', msr })
        bench.same('outcome', `${outcome} ${vector}`, 'exception 13')
      },
    ),
  ),
  interruptCase(
    'apic.x2apic.msrs-in-xapic-mode',
    'x86/apic.c test_enable_x2apic',
    'in xAPIC mode the x2APIC MSRs raise #GP',
    bench => bench.same('#GP', bench.msrFaults(0x808, 0), true),
  ),
]

/** Takes NMIs until none is left; `inside` runs in each handler. */
function nmis(bench: InterruptBench, inside: (nth: number) => void = () => undefined): number {
  let count = 0
  while (bench.taken() === 2) {
    inside(++count)
    bench.run({ op: 'iret' })
    bench.run({ op: 'nop' })
  }
  return count
}

const nmiCases = [
  interruptCase(
    'apic.nmi.one',
    'x86/apic.c test_multiple_nmi',
    'an NMI message is taken whatever RFLAGS.IF says',
    bench => {
      bench.run({ op: 'cli' })
      bench.command(NMI, 0, 1)
      bench.same('NMIs', nmis(bench), 1)
    },
    2,
  ),
  interruptCase(
    'apic.nmi.merged',
    'x86/apic.c test_multiple_nmi',
    'NMIs that arrive before any is taken are one',
    bench => {
      for (const sender of [0, 1, 1]) bench.command(NMI, 0, sender)
      bench.same('NMIs', nmis(bench), 1)
    },
    2,
  ),
  interruptCase(
    'apic.nmi.pending',
    'x86/apic.c test_pending_nmi',
    'ten NMIs during the handler of one are one more, after its IRET',
    bench => {
      bench.command(NMI, 0)
      const inside = (nth: number): void => {
        if (nth === 1) for (let i = 0; i < 10; i++) bench.command(NMI, 0)
        bench.same('a second NMI inside the handler', bench.taken(), -1)
      }
      bench.same('NMIs', nmis(bench, inside), 2)
    },
  ),
  interruptCase(
    'apic.nmi.vector-ignored',
    'x86/apic.c test_multiple_nmi',
    'the vector field of an NMI command is ignored',
    bench => {
      bench.command(NMI | 0x44, 0)
      bench.same('taken', bench.taken(), 2)
    },
  ),
]

const PERFORMANCE_ENTRY = LOCAL_APIC.LVT_PERFORMANCE
const EXT_INT = 7 << 8
const sourceCases = [
  interruptCase(
    'apic.extint.lint0',
    'x86/apic.c mask_pic_interrupts (its counterpart)',
    'an ExtINT on LINT0 is taken when RFLAGS.IF allows it, without ISR and EOI',
    bench => {
      const { apic } = bench.processors[0]!
      bench.writeApic(LOCAL_APIC.LVT_LINT0, EXT_INT | 0x33)
      bench.run({ op: 'cli' })
      apic.drive(0, true)
      bench.same('taken while interrupts are off', bench.taken(), -1)
      bench.run({ op: 'sti' })
      bench.run({ op: 'nop' })
      bench.same('taken', bench.taken(), 0x33)
      bench.same('in service', apic.view().inService.length, 0)
    },
  ),
  interruptCase(
    'apic.lvt.masked-after-pmi',
    'x86/apic.c (local vector table)',
    'a performance-monitoring interrupt masks its entry of the local vector table',
    bench => {
      bench.writeApic(PERFORMANCE_ENTRY, 0x55)
      bench.processors[0]!.apic.raise('performance')
      bench.same('interrupts', bench.handled(0x55), 1)
      bench.same('entry', bench.readApic(PERFORMANCE_ENTRY), 0x1_0055)
    },
  ),
]

export const APIC_CASES: readonly ProcessorCase[] = [
  ...transitionCases,
  ...reservedBaseCases,
  ...disableCases,
  ...selfCases,
  ...registerCases,
  ...nmiCases,
  ...sourceCases,
  ...DESTINATION_CASES,
  ...TIMER_CASES,
]
