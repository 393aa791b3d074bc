/** Cases of the I/O APIC, derived from x86/ioapic.c of kvm-unit-tests. */
import { IO_APIC, IO_APIC_INDEX } from '../../interrupts/formats/io-apic.ts'
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import type { ProcessorCase } from './case.ts'
import {
  ACTIVE_LOW,
  ALL,
  entryAt,
  LEVEL,
  line,
  MASKED,
  PIN,
  pulse,
  REMOTE_IRR,
  readRegister,
  redirect,
  remoteIrr,
  row,
  setMask,
  triggerMode,
  writeRegister,
} from './io-apic-bench.ts'
import { IO_APIC_DESTINATION_CASES } from './io-apic-destination-cases.ts'

const registerCases = [
  row('version', 'ioapic_reg_version', 'the version register is read-only', bench => {
    const before = readRegister(bench, IO_APIC_INDEX.VER)
    writeRegister(bench, IO_APIC_INDEX.VER, ~before)
    bench.same('version', readRegister(bench, IO_APIC_INDEX.VER), before)
  }),
  row('id', 'ioapic_reg_id', 'of the identifier register bits 27:24 alone are writable', bench => {
    const before = readRegister(bench, IO_APIC_INDEX.ID)
    writeRegister(bench, IO_APIC_INDEX.ID, ~before)
    bench.same('changed bits', (readRegister(bench, IO_APIC_INDEX.ID) ^ before) >>> 0, 0x0f00_0000)
  }),
  row('arbitration', 'ioapic_arbitration_id', 'the arbitration register follows the identifier', bench => {
    writeRegister(bench, IO_APIC_INDEX.ID, 0x0f00_0000)
    bench.same('arbitration', readRegister(bench, IO_APIC_INDEX.ARB), 0x0f00_0000)
    writeRegister(bench, IO_APIC_INDEX.ARB, 0)
    bench.same('arbitration', readRegister(bench, IO_APIC_INDEX.ARB), 0x0f00_0000)
  }),
  row('reset', 'test_ioapic_edge_mask', 'after reset every entry is masked', bench => {
    for (let pin = 0; pin < 24; pin++) bench.same(`entry ${pin}`, readRegister(bench, entryAt(pin)), MASKED)
  }),
  row(
    'read-only-bits',
    'test_ioapic_self_reconfigure',
    'delivery status and Remote IRR are read-only',
    bench => {
      writeRegister(bench, entryAt(PIN), ALL)
      bench.same('entry', readRegister(bench, entryAt(PIN)) & ((1 << 12) | REMOTE_IRR), 0)
    },
  ),
  row('select', 'ioapic_reg_id', 'IOREGSEL holds eight bits', bench => {
    bench.ioApic.writeDword(IO_APIC.IOREGSEL, 0xffff_ff01, ALL)
    bench.same('IOREGSEL', bench.ioApic.readDword(IO_APIC.IOREGSEL), 1)
  }),
]

const edgeCases = [
  row('edge', 'test_ioapic_edge_intr', 'an edge is one interrupt', bench => {
    redirect(bench, PIN, 0x76)
    pulse(bench)
    bench.same('interrupts', bench.handled(0x76), 1)
  }),
  row('edge.held', 'test_ioapic_edge_intr', 'a line that stays asserted is no second edge', bench => {
    redirect(bench, PIN, 0x76)
    line(bench, true)
    line(bench, true)
    bench.same('interrupts', bench.handled(0x76), 1)
  }),
  row('edge.masked', 'test_ioapic_edge_mask', 'an edge while masked is lost, the next one is not', bench => {
    redirect(bench, PIN, 0x81)
    setMask(bench, true)
    pulse(bench)
    bench.same('interrupts while masked', bench.handled(0x81), 0)
    setMask(bench, false)
    bench.same('interrupts by unmasking', bench.handled(0x81), 0)
    line(bench, true)
    bench.same('interrupts unmasked', bench.handled(0x81), 1)
  }),
  row(
    'edge.active-low',
    'test_ioapic_edge_intr',
    'with active-low polarity the falling edge counts',
    bench => {
      line(bench, true)
      redirect(bench, PIN, 0x76 | ACTIVE_LOW)
      line(bench, false)
      bench.same('falling edge', bench.handled(0x76), 1)
      line(bench, true)
      bench.same('rising edge', bench.handled(0x76), 0)
    },
  ),
  row(
    'simultaneous',
    'test_ioapic_simultaneous',
    'of two edges at once the higher vector is handled first, then the other',
    bench => {
      redirect(bench, PIN, 0x78)
      redirect(bench, PIN + 1, 0x66)
      bench.run({ op: 'cli' })
      pulse(bench, PIN + 1)
      pulse(bench)
      bench.same('taken while interrupts are off', bench.taken(), -1)
      bench.run({ op: 'sti' })
      bench.run({ op: 'nop' })
      bench.same('first', bench.taken(), 0x78)
      bench.writeApic(LOCAL_APIC.EOI, 0)
      bench.same('second', bench.taken(), 0x66)
    },
  ),
]

const levelCases = [
  row('level', 'test_ioapic_level_intr', 'a level is one interrupt for each time it is asserted', bench => {
    redirect(bench, PIN, 0x77 | LEVEL)
    line(bench, true)
    bench.same(
      'interrupts',
      bench.handled(0x77, 0, () => line(bench, false)),
      1,
    )
  }),
  row('level.remote-irr', 'test_ioapic_level_intr', 'Remote IRR is set from acceptance to EOI', bench => {
    redirect(bench, PIN, 0x77 | LEVEL)
    line(bench, true)
    bench.same('Remote IRR', remoteIrr(bench), true)
    bench.handled(0x77, 0, () => {
      line(bench, false)
      bench.same('Remote IRR in the handler', remoteIrr(bench), true)
    })
    bench.same('Remote IRR after EOI', remoteIrr(bench), false)
  }),
  row(
    'level.coalesce',
    'test_ioapic_level_coalesce',
    'a level that falls and rises before EOI is one interrupt',
    bench => {
      redirect(bench, PIN, 0x98 | LEVEL)
      line(bench, true)
      const handler = (): void => {
        line(bench, false)
        line(bench, true)
        line(bench, false)
      }
      bench.same('interrupts', bench.handled(0x98, 0, handler), 1)
    },
  ),
  row(
    'level.sequential',
    'test_ioapic_level_sequential',
    'two assertions with an EOI between are two interrupts',
    bench => {
      redirect(bench, PIN, 0x99 | LEVEL)
      let times = 0
      for (let i = 0; i < 2; i++) {
        line(bench, true)
        times += bench.handled(0x99, 0, () => line(bench, false))
      }
      bench.same('interrupts', times, 2)
    },
  ),
  row(
    'level.retrigger',
    'test_ioapic_level_retrigger',
    'a level still asserted at EOI interrupts again',
    bench => {
      redirect(bench, PIN, 0x9a | LEVEL)
      line(bench, true)
      let times = 0
      const handler = (): void => {
        if (++times === 2) line(bench, false)
      }
      bench.same('interrupts', bench.handled(0x9a, 0, handler), 2)
    },
  ),
  row(
    'level.masked',
    'test_ioapic_level_mask',
    'a level asserted while masked interrupts when unmasked',
    bench => {
      redirect(bench, PIN, 0x82 | LEVEL)
      setMask(bench, true)
      line(bench, true)
      bench.same('interrupts while masked', bench.handled(0x82), 0)
      setMask(bench, false)
      bench.same(
        'interrupts unmasked',
        bench.handled(0x82, 0, () => line(bench, false)),
        1,
      )
    },
  ),
  row(
    'level.retrigger-mask',
    'test_ioapic_level_retrigger_mask',
    'masked in its handler, a level interrupts again when unmasked',
    bench => {
      redirect(bench, PIN, 0x83 | LEVEL)
      line(bench, true)
      bench.same(
        'first',
        bench.handled(0x83, 0, () => setMask(bench, true)),
        1,
      )
      setMask(bench, false)
      bench.same(
        'second',
        bench.handled(0x83, 0, () => setMask(bench, true)),
        1,
      )
    },
  ),
  row(
    'level.active-low',
    'test_ioapic_level_intr',
    'with active-low polarity a low line is asserted',
    bench => {
      line(bench, true)
      redirect(bench, PIN, 0x77 | LEVEL | ACTIVE_LOW)
      bench.same('high line', bench.handled(0x77), 0)
      line(bench, false)
      bench.same(
        'low line',
        bench.handled(0x77, 0, () => line(bench, true)),
        1,
      )
    },
  ),
  row(
    'level.to-edge',
    'test_ioapic_edge_tmr',
    'an entry changed from level to edge loses Remote IRR',
    bench => {
      redirect(bench, PIN, 0x79 | LEVEL)
      line(bench, true)
      bench.same('Remote IRR', remoteIrr(bench), true)
      redirect(bench, PIN, 0x79)
      bench.same('Remote IRR as edge', remoteIrr(bench), false)
    },
  ),
]

/** TMR of vector 79H before, and in the handler of, an interrupt: [trigger mode of the one before, of this one]. */
const tmrCases = (
  [
    ['edge', 'edge'],
    ['edge', 'level'],
    ['level', 'edge'],
    ['level', 'level'],
  ] as const
).map(([before, now]) =>
  row(
    `tmr.${before}-${now}`,
    `test_ioapic_${now}_tmr`,
    `TMR of a vector that was ${before}-triggered last follows its next, ${now}-triggered interrupt`,
    bench => {
      const vector = 0x79
      const fire = (mode: 'edge' | 'level'): boolean => {
        let seen = false
        redirect(bench, PIN, vector | (mode === 'level' ? LEVEL : 0))
        line(bench, true)
        if (mode === 'edge') line(bench, false)
        bench.handled(vector, 0, () => {
          seen = triggerMode(bench, vector)
          line(bench, false)
        })
        return seen
      }
      fire(before)
      bench.same('TMR before', triggerMode(bench, vector), before === 'level')
      bench.same('TMR in the handler', fire(now), now === 'level')
    },
  ),
)

export const IO_APIC_CASES: readonly ProcessorCase[] = [
  ...registerCases,
  ...edgeCases,
  ...levelCases,
  ...tmrCases,
  ...IO_APIC_DESTINATION_CASES,
]
