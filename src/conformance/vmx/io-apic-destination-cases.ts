/** Destinations and the end of interrupts at the I/O APIC: derived from x86/ioapic.c of kvm-unit-tests. */
import { IO_APIC } from '../../interrupts/formats/io-apic.ts'
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import type { ProcessorCase } from './case.ts'
import {
  ALL,
  entryAt,
  LEVEL,
  LOGICAL,
  line,
  PIN,
  pulse,
  redirect,
  remoteIrr,
  row,
  writeRegister,
} from './io-apic-bench.ts'

export const IO_APIC_DESTINATION_CASES: readonly ProcessorCase[] = [
  row(
    'physical',
    'test_ioapic_physical_destination_mode',
    'a physical destination reaches that processor',
    bench => {
      redirect(bench, PIN, 0x85 | LEVEL, 1)
      line(bench, true)
      bench.same('processor 0', bench.handled(0x85, 0), 0)
      bench.same(
        'processor 1',
        bench.handled(0x85, 1, () => line(bench, false)),
        1,
      )
      bench.same('Remote IRR', remoteIrr(bench), false)
    },
    2,
  ),
  ...[0b001, 0b011, 0b101, 0b111].map(destination =>
    row(
      `logical-${destination}`,
      'test_ioapic_logical_destination_mode',
      `a logical destination of ${destination.toString(2)} reaches those members`,
      bench => {
        for (const { number } of bench.processors) bench.writeApic(LOCAL_APIC.LDR, 1 << (24 + number), number)
        redirect(bench, PIN, 0x86 | LOGICAL, destination)
        pulse(bench)
        for (const { number } of bench.processors) {
          bench.same(`processor ${number}`, bench.handled(0x86, number), (destination >>> number) & 1)
        }
      },
      3,
    ),
  ),
  row(
    'reconfigure',
    'test_ioapic_self_reconfigure',
    'an EOI reaches an entry whose destination was changed meanwhile',
    bench => {
      redirect(bench, PIN, 0x84 | LEVEL)
      line(bench, true)
      bench.handled(0x84, 0, () => {
        line(bench, false)
        writeRegister(bench, entryAt(PIN) + 1, 1 << 24)
        bench.same('Remote IRR', remoteIrr(bench), true)
      })
      bench.same('Remote IRR after EOI', remoteIrr(bench), false)
    },
    2,
  ),
  row(
    'nested',
    'test_ioapic_self_reconfigure',
    'a higher level waits for RFLAGS.IF and is handled inside the lower',
    bench => {
      redirect(bench, PIN - 1, 0x64 | LEVEL)
      redirect(bench, PIN, 0x84 | LEVEL)
      line(bench, true, PIN - 1)
      bench.same('lower', bench.taken(), 0x64)
      bench.run({ op: 'cli' })
      line(bench, true)
      bench.same('with interrupts off', bench.taken(), -1)
      bench.run({ op: 'sti' })
      bench.run({ op: 'nop' })
      bench.same('higher', bench.taken(), 0x84)
      line(bench, false)
      line(bench, false, PIN - 1)
      bench.writeApic(LOCAL_APIC.EOI, 0)
      bench.writeApic(LOCAL_APIC.EOI, 0)
      bench.same('Remote IRR', remoteIrr(bench) || remoteIrr(bench, PIN - 1), false)
    },
  ),
  row(
    'eoi-register',
    'test_ioapic_level_intr',
    'the EOI register clears Remote IRR of its vector, as an EOI message does',
    bench => {
      redirect(bench, PIN, 0x77 | LEVEL)
      line(bench, true)
      line(bench, false)
      bench.ioApic.writeDword(IO_APIC.EOI, 0x76, ALL)
      bench.same('Remote IRR after another vector', remoteIrr(bench), true)
      bench.ioApic.writeDword(IO_APIC.EOI, 0x77, ALL)
      bench.same('Remote IRR', remoteIrr(bench), false)
    },
  ),
  row(
    'eoi-suppressed',
    'test_ioapic_level_intr',
    'with EOI broadcasts suppressed Remote IRR stays',
    bench => {
      bench.writeApic(LOCAL_APIC.SVR, 0x11ff)
      redirect(bench, PIN, 0x77 | LEVEL)
      line(bench, true)
      bench.handled(0x77, 0, () => line(bench, false))
      bench.same('Remote IRR', remoteIrr(bench), true)
    },
  ),
]
