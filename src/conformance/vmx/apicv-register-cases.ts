/** Accesses to the virtual local APIC, by memory and by MSR: derived from apic_reg_virt and virt_x2apic_mode. */
import { LOCAL_APIC } from '../../interrupts/formats/local-apic.ts'
import type { Operation } from '../../vmx/formats/operations.ts'
import { ACCESS_PAGE, type ApicvBench, type ApicvControls, apicvCase } from './apicv-bench.ts'
import type { ProcessorCase } from './case.ts'

const { TPR, PPR, EOI, ICR_LOW, ICR_HIGH, SELF_IPI } = LOCAL_APIC
/** A value that no register has by itself. */
const MAGIC = 0x1234_5678
const OTHER = 0xa5a5_0000

/** Every register of the page that the tables of the manual name, and some that they do not. */
const REGISTERS: readonly (readonly [string, number])[] = [
  ...Object.entries(LOCAL_APIC),
  ['ISR+70H', 0x170],
  ['TMR+70H', 0x1f0],
  ['IRR+70H', 0x270],
  ['APR', 0x090],
  ['RRD', 0x0c0],
  ['040H', 0x040],
  ['3D0H', 0x3d0],
  ['800H', 0x800],
]

const within = (offset: number, ...ranges: readonly (readonly [number, number])[]): boolean =>
  ranges.some(([first, last]) => offset >= first && offset <= last)
const one = (offset: number): readonly [number, number] => [offset, offset]

/** "APIC-register virtualization": registers whose reads, and writes, are virtualized. */
const readable = (offset: number): boolean =>
  within(
    offset,
    ...[0x20, 0x30, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x380, 0x3e0].map(one),
    [0x100, 0x270],
    [0x320, 0x370],
  )
const writable = (offset: number): boolean =>
  within(
    offset,
    ...[0x20, 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x380, 0x3e0].map(one),
    [0x320, 0x370],
  )

type Reach = 'memory' | 'exit' | 'virtual'
interface Setting {
  readonly name: string
  readonly controls: ApicvControls
  readonly read: (offset: number) => Reach
  readonly write: (offset: number) => Reach
}

const only =
  (...offsets: readonly number[]) =>
  (offset: number): Reach =>
    offsets.includes(offset) ? 'virtual' : 'exit'
const all = (reach: Reach) => (): Reach => reach

const SETTINGS: readonly Setting[] = [
  {
    name: 'APIC accesses virtualized, no TPR shadow',
    controls: { apicAccesses: true, tprShadow: false },
    read: all('exit'),
    write: all('exit'),
  },
  {
    name: 'APIC accesses virtualized, TPR shadow',
    controls: { apicAccesses: true },
    read: only(TPR),
    write: only(TPR),
  },
  {
    name: 'virtual-interrupt delivery',
    controls: { apicAccesses: true, delivery: true },
    read: only(TPR),
    write: only(TPR, EOI, ICR_LOW),
  },
  {
    name: 'APIC-register virtualization',
    controls: { apicAccesses: true, registers: true },
    read: offset => (readable(offset) ? 'virtual' : 'exit'),
    write: offset => (writable(offset) ? 'virtual' : 'exit'),
  },
  {
    name: 'APIC accesses not virtualized',
    controls: { registers: true },
    read: all('memory'),
    write: all('memory'),
  },
]

const access = (offset: number, write: boolean): Operation =>
  write
    ? { op: 'write', address: ACCESS_PAGE + offset, width: 4, value: [MAGIC, 0] }
    : { op: 'read', address: ACCESS_PAGE + offset, width: 4 }

/** The VM exit that follows a virtualized write, if one does. */
function afterWrite(offset: number, { delivery = false }: ApicvControls): string {
  if (offset === TPR || offset === ICR_HIGH) return 'done 0x0'
  if (offset === EOI && delivery) return 'done 0x0'
  return `apicWrite 0x${offset.toString(16)}`
}

function checkMemoryMapped(bench: ApicvBench, setting: Setting, offset: number): void {
  const { machine } = bench
  bench.configure(setting.controls)
  bench.setRegister(offset, MAGIC)
  machine.map.writeDword(0x100_0000 + ACCESS_PAGE + offset, OTHER)
  bench.same('entry', bench.describe(bench.machine.enter()), 'done')
  const expectedRead = {
    exit: `apicAccess 0x${offset.toString(16)}`,
    virtual: `done 0x${MAGIC.toString(16)}`,
    memory: `done 0x${OTHER.toString(16)}`,
  }[setting.read(offset)]
  bench.same('read', bench.effect(access(offset, false)), expectedRead)
  if (setting.read(offset) === 'exit') machine.enter()
  bench.setRegister(offset, 0)
  const reach = setting.write(offset)
  const written = bench.effect(access(offset, true))
  if (reach === 'virtual') {
    bench.same('write', written, afterWrite(offset, setting.controls))
    const kept = offset === TPR ? MAGIC & 0xff : offset === ICR_HIGH ? 0x1200_0000 : MAGIC
    const delivered = offset === EOI && setting.controls.delivery
    bench.same('virtual register', bench.register(offset), delivered ? 0 : kept)
  } else {
    bench.same(
      'write',
      written,
      reach === 'exit' ? `apicAccess 0x${(0x1000 | offset).toString(16)}` : 'done 0x0',
    )
    bench.same('virtual register', bench.register(offset), 0)
  }
}

const memoryMapped = SETTINGS.flatMap((setting, i) =>
  REGISTERS.map(([name, offset]) =>
    apicvCase(
      `registers-${i}.${name}`,
      'apic_reg_virt_test',
      `${setting.name}: a read of ${name} ${tell(setting.read(offset))}, a write ${tell(setting.write(offset))}`,
      bench => checkMemoryMapped(bench, setting, offset),
    ),
  ),
)

function tell(reach: Reach): string {
  return {
    exit: 'causes an APIC-access exit',
    virtual: 'is virtualized',
    memory: 'reaches memory',
  }[reach]
}

/** Accesses whose form keeps them from being virtualized, on registers that otherwise are. */
const FORMS: readonly (readonly [string, string, Operation, string])[] = [
  ['8 bytes wide', 'qword', { op: 'read', address: ACCESS_PAGE + TPR, width: 8 }, 'apicAccess 0x80'],
  [
    'across the low four bytes',
    'crossing',
    { op: 'read', address: ACCESS_PAGE + TPR + 2, width: 4 },
    'apicAccess 0x82',
  ],
  [
    'beyond the low four bytes',
    'beyond',
    { op: 'read', address: ACCESS_PAGE + TPR + 4, width: 4 },
    'apicAccess 0x84',
  ],
  ['a fetch', 'fetch', { op: 'fetch', address: ACCESS_PAGE + TPR }, 'apicAccess 0x2080'],
  ['one byte wide', 'byte', { op: 'read', address: ACCESS_PAGE + TPR + 1, width: 1 }, 'done 0x56'],
  ['two bytes wide', 'word', { op: 'read', address: ACCESS_PAGE + TPR + 2, width: 2 }, 'done 0x1234'],
]
const formCases = FORMS.map(([what, id, operation, expected]) =>
  apicvCase(
    `form.${id}`,
    'apic_reg_virt_test',
    `an access to VTPR that is ${what} ${expected.startsWith('done') ? 'is virtualized' : 'causes an APIC-access exit'}`,
    bench => {
      bench.configure({ apicAccesses: true, registers: true })
      bench.setRegister(TPR, MAGIC)
      bench.machine.enter()
      bench.same('effect', bench.effect(operation), expected)
    },
  ),
)

/** Registers by MSR: every one of the first 64. */
const MSRS = REGISTERS.filter(([, offset]) => offset < 0x400)
const msrOf = (offset: number): number => 0x800 + (offset >>> 4)

interface MsrSetting {
  readonly name: string
  readonly controls: ApicvControls
  readonly virtual: (offset: number) => boolean
}
const MSR_SETTINGS: readonly MsrSetting[] = [
  {
    name: 'x2APIC mode and registers virtualized',
    controls: { x2apic: true, registers: true, passMsrs: true },
    virtual: () => true,
  },
  {
    name: 'x2APIC mode virtualized, registers not',
    controls: { x2apic: true, delivery: true, passMsrs: true },
    virtual: offset => offset === TPR,
  },
  {
    name: 'x2APIC mode not virtualized',
    controls: { registers: true, passMsrs: true },
    virtual: () => false,
  },
]

const msrReads = MSR_SETTINGS.flatMap((setting, i) =>
  MSRS.map(([name, offset]) =>
    apicvCase(
      `x2apic-${i}.read.${name}`,
      'virt_x2apic_mode_test',
      `${setting.name}, the local APIC in xAPIC mode: RDMSR of ${name} ${setting.virtual(offset) ? 'reads the virtual-APIC page' : 'raises #GP'}`,
      bench => {
        bench.configure(setting.controls)
        bench.setRegister(offset, MAGIC)
        bench.machine.enter()
        // VM entry with virtual-interrupt delivery computes VPPR anew; nothing here reads it then.
        const expected = setting.virtual(offset) ? `done 0x${MAGIC.toString(16)}` : 'exception 13'
        bench.same('effect', bench.effect({ op: 'rdmsr', msr: msrOf(offset) }), expected)
      },
    ),
  ),
)

const passedRead = MSR_SETTINGS.slice(1).map((setting, i) =>
  apicvCase(
    `x2apic-passed-${i}`,
    'virt_x2apic_mode_test',
    `${setting.name}, the local APIC in x2APIC mode: registers that are not virtualized are its own`,
    bench => {
      bench.configure(setting.controls)
      bench.run({ op: 'wrmsr', msr: 0x1b, value: [0xfee0_0d00, 0] })
      bench.setRegister(LOCAL_APIC.SVR, MAGIC)
      bench.machine.enter()
      bench.same('SVR', bench.effect({ op: 'rdmsr', msr: 0x80f }), 'done 0x1ff')
    },
  ),
)

/** WRMSR: register, value, delivery on, effect; and what the register of the virtual-APIC page holds afterwards. */
const MSR_WRITES: readonly (readonly [string, number, number, number, boolean, string, number])[] = [
  ['TPR', TPR, 0x53, 0, true, 'done 0x0', 0x53],
  ['TPR', TPR, 0x53, 0, false, 'done 0x0', 0x53],
  ['TPR with bit 8', TPR, 0x153, 0, true, 'exception 13', 0],
  ['TPR with bit 32', TPR, 0x53, 1, true, 'exception 13', 0],
  ['EOI', EOI, 0, 0, true, 'done 0x0', 0],
  ['EOI with a value', EOI, 1, 0, true, 'exception 13', 0],
  ['EOI with a high value', EOI, 0, 1, true, 'exception 13', 0],
  ['EOI, delivery off', EOI, 0, 0, false, 'exception 13', 0],
  ['SELF IPI of vector 0', SELF_IPI, 0, 0, true, 'apicWrite 0x3f0', 0],
  ['SELF IPI of vector 15', SELF_IPI, 15, 0, true, 'apicWrite 0x3f0', 15],
  ['SELF IPI of vector 16', SELF_IPI, 16, 0, true, 'interrupted 16', 16],
  ['SELF IPI of vector F1H', SELF_IPI, 0xf1, 0, true, 'interrupted 241', 0xf1],
  ['SELF IPI with bit 8', SELF_IPI, 0x1f1, 0, true, 'exception 13', 0],
  ['SELF IPI, delivery off', SELF_IPI, 0xf1, 0, false, 'exception 13', 0],
  ['ICR, which is not virtualized', ICR_LOW, 0x400f1, 0, true, 'exception 13', 0],
  ['PPR', PPR, 0, 0, true, 'exception 13', 0],
]
const msrWrites = MSR_WRITES.map(([what, offset, low, high, delivery, expected, kept], i) =>
  apicvCase(
    `x2apic.write-${i}`,
    'virt_x2apic_mode_test',
    `x2APIC mode virtualized, the local APIC in xAPIC mode: WRMSR of ${what} ends as ${expected}`,
    bench => {
      bench.configure({ x2apic: true, registers: true, delivery, passMsrs: true })
      bench.machine.enter()
      const effect = bench.effect({ op: 'wrmsr', msr: msrOf(offset), value: [low, high] })
      bench.same('effect', effect, expected)
      bench.same('virtual register', bench.register(offset), kept)
    },
  ),
)

const bitmapCases = (['rdmsr', 'wrmsr'] as const).map(op =>
  apicvCase(
    `x2apic.bitmap.${op}`,
    'virt_x2apic_mode_test',
    `the MSR bitmaps come before virtualization: ${op.toUpperCase()} that they name exits`,
    bench => {
      bench.configure({ x2apic: true, registers: true })
      bench.machine.enter()
      const operation: Operation = op === 'rdmsr' ? { op, msr: 0x808 } : { op, msr: 0x808, value: [0, 0] }
      bench.same('effect', bench.effect(operation), `${op} 0x0`)
    },
  ),
)

export const APICV_REGISTER_CASES: readonly ProcessorCase[] = [
  ...memoryMapped,
  ...formCases,
  ...msrReads,
  ...passedRead,
  ...msrWrites,
  ...bitmapCases,
]
