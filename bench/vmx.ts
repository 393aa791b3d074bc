/**
 * Prices of a logical processor: nanoseconds per operation of a guest without exit, with a VM exit and entry, through a
 * shadow VMCS, through an EPT hit and miss, by linear address through its own paging (a hit, and a walk of 4 levels through 4 levels), and with an
 * injected interrupt. Medians of interleaved rounds; then bytes allocated per operation.
 */
import { Engine } from '../src/engine/index.ts'
import { ApicBus } from '../src/interrupts/index.ts'
import { PhysicalMemory, SystemAddressMap } from '../src/memory/index.ts'
import type { Operation } from '../src/vmx/formats/operations.ts'
import { VMCS } from '../src/vmx/formats/vmcs.ts'
import { LogicalProcessor } from '../src/vmx/index.ts'
import { FIELDS } from '../test/vmx/rig.ts'
import { type Contestant, measure, report } from './measure.ts'

const engine = new Engine()
engine.trace.enabled = false
const memory = new PhysicalMemory([
  { base: 0, size: 0x8000_0000 },
  { base: 0x1_0000_0000, size: 0x8_0000_0000 },
])
const cpu = new LogicalProcessor(
  { number: 0, apicId: 0 },
  {
    map: new SystemAddressMap(memory),
    bus: new ApicBus(),
    ports: { in: () => 0, out: () => undefined },
    engine,
  },
)
const VMXON_REGION = 0x1_0000_1000
const VMCS_REGION = 0x1_0000_2000
const SHADOW_VMCS = 0x1_0000_3000
/** Zeros: nothing exits. */
const ACCESS_BITMAP = 0x1_0000_4000

cpu.execute({ op: 'wrmsr', msr: 0x3a, value: [5, 0] })
const revision = cpu.execute({ op: 'rdmsr', msr: 0x480 }).low & 0x7fff_ffff
memory.writeDword(VMXON_REGION, revision)
memory.writeDword(VMCS_REGION, revision)
memory.writeDword(SHADOW_VMCS, (revision | 0x8000_0000) >>> 0)
// Guest pages 0 to 0x7FFFF by 4-KiB entries onto host memory from 8 GiB on; tables above 4 GiB.
const TABLES = 0x1_0010_0000
const entry = (table: number, index: number, target: number, bits: number): void => {
  memory.writeDword(table + index * 8, (target | bits) >>> 0)
  memory.writeDword(table + index * 8 + 4, target / 2 ** 32)
}
entry(TABLES, 0, TABLES + 0x1000, 7)
for (let gigabyte = 0; gigabyte < 2; gigabyte++) {
  const directory = TABLES + 0x2000 + gigabyte * 0x1000
  entry(TABLES + 0x1000, gigabyte, directory, 7)
  for (let i = 0; i < 512; i++) {
    const table = TABLES + 0x10_0000 + (gigabyte * 512 + i) * 0x1000
    entry(directory, i, table, 7)
    for (let page = 0; page < 512; page++) {
      entry(table, page, 0x2_0000_0000 + ((gigabyte * 512 + i) * 512 + page) * 0x1000, 0x37)
    }
  }
}
// The guest's own tables, in its memory from 4 MiB on: linear addresses are guest-physical ones.
const GUEST_TABLES = 0x40_0000
const guestEntry = (table: number, index: number, target: number): void => {
  memory.writeDword(0x2_0000_0000 + table + index * 8, (target | 0x67) >>> 0)
}
guestEntry(GUEST_TABLES, 0, GUEST_TABLES + 0x1000)
for (let gigabyte = 0; gigabyte < 2; gigabyte++) {
  const directory = GUEST_TABLES + 0x2000 + gigabyte * 0x1000
  guestEntry(GUEST_TABLES + 0x1000, gigabyte, directory)
  for (let i = 0; i < 512; i++) {
    const table = GUEST_TABLES + 0x10_0000 + (gigabyte * 512 + i) * 0x1000
    guestEntry(directory, i, table)
    for (let page = 0; page < 512; page++) {
      guestEntry(table, page, ((gigabyte * 512 + i) * 512 + page) * 0x1000)
    }
  }
}
cpu.execute({ op: 'vmxon', address: VMXON_REGION })
cpu.execute({ op: 'vmclear', address: VMCS_REGION })
cpu.execute({ op: 'vmptrld', address: VMCS_REGION })
for (const [field, low, high = 0] of FIELDS) cpu.execute({ op: 'vmwrite', field, value: [low, high] })
cpu.execute({ op: 'vmwrite', field: VMCS.eptPointer, value: [(TABLES % 2 ** 32) | 0x1e, 1] })
cpu.execute({ op: 'vmwrite', field: VMCS.guestCr3, value: [GUEST_TABLES, 0] })
// EPT and VMCS shadowing.
cpu.execute({ op: 'vmwrite', field: VMCS.secondaryProcessorBasedControls, value: [0x4002, 0] })
for (const [field, address] of [
  [VMCS.vmreadBitmapAddress, ACCESS_BITMAP],
  [VMCS.vmwriteBitmapAddress, ACCESS_BITMAP],
  [VMCS.vmcsLinkPointer, SHADOW_VMCS],
] as const) {
  cpu.execute({ op: 'vmwrite', field, value: [address % 2 ** 32, 1] })
}
if (cpu.execute({ op: 'vmlaunch' }).outcome !== 'done')
  throw new Error(JSON.stringify(cpu.brokenEntryRules()))

const PAUSE: Operation = { op: 'pause' }
const HIT: Operation = { op: 'read', address: 0x1234_5678, width: 4 }
const CPUID: Operation = { op: 'cpuid', leaf: 0 }
const RESUME: Operation = { op: 'vmresume' }
const IRET: Operation = { op: 'iret' }
const VMREAD: Operation = { op: 'vmread', field: VMCS.exitReason }
const INJECT: Operation = {
  op: 'vmwrite',
  field: VMCS.entryInterruptionInformation,
  value: [0x8000_0041, 0],
}
/** One page in every 512, so that no cached mapping is met again. */
const MISSES: readonly Operation[] = Array.from({ length: 1024 }, (_, i) => ({
  op: 'read',
  address: i * 0x20_0000 + 0x10,
  width: 4,
}))

const LINEAR_HIT: Operation = { op: 'readLinear', address: [0x1234_5678, 0], width: 4 }
const LINEAR_MISSES: readonly Operation[] = Array.from({ length: 1024 }, (_, i) => ({
  op: 'readLinear',
  address: [i * 0x20_0000 + 0x10, 0],
  width: 4,
}))

const contestants: readonly Contestant[] = [
  {
    name: 'no exit (PAUSE)',
    count: 2_000_000,
    run: count => {
      for (let i = 0; i < count; i++) cpu.execute(PAUSE)
    },
  },
  {
    name: 'guest read, EPT hit',
    count: 2_000_000,
    run: count => {
      for (let i = 0; i < count; i++) cpu.execute(HIT)
    },
  },
  {
    name: 'guest read, EPT miss',
    count: 500_000,
    run: count => {
      for (let i = 0; i < count; i++) cpu.execute(MISSES[i & 1023]!)
    },
  },
  {
    name: 'guest read by linear address, hit',
    count: 2_000_000,
    run: count => {
      for (let i = 0; i < count; i++) cpu.execute(LINEAR_HIT)
    },
  },
  {
    name: 'guest read by linear address, 2-D walk',
    count: 200_000,
    run: count => {
      for (let i = 0; i < count; i++) cpu.execute(LINEAR_MISSES[i & 1023]!)
    },
  },
  {
    name: 'guest VMREAD, from a shadow VMCS',
    count: 2_000_000,
    run: count => {
      for (let i = 0; i < count; i++) cpu.execute(VMREAD)
    },
  },
  {
    name: 'exit (CPUID), VMREAD, VMRESUME',
    count: 100_000,
    run: count => {
      for (let i = 0; i < count; i++) {
        cpu.execute(CPUID)
        cpu.execute(VMREAD)
        cpu.execute(RESUME)
      }
    },
  },
  {
    name: 'exit, injected interrupt, IRET',
    count: 100_000,
    run: count => {
      for (let i = 0; i < count; i++) {
        cpu.execute(CPUID)
        cpu.execute(INJECT)
        cpu.execute(RESUME)
        cpu.execute(IRET)
      }
    },
  },
]

report(measure(contestants))
console.log()
for (const { name, run } of contestants) {
  const before = process.memoryUsage().heapUsed
  run(20_000)
  const bytes = (process.memoryUsage().heapUsed - before) / 20_000
  console.log(`${name}: ${bytes.toFixed(1)} bytes allocated`)
}
