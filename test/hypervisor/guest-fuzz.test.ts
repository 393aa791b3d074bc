import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { drive, type Software } from '../../src/engine/index.ts'
import { INTERRUPT_DELIVERY } from '../../src/hypervisor/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'

const VF = '0000:01:10.0'
const word = fc.integer({ min: 0, max: 0xffff_ffff })
const value = fc.tuple(word, word)
/** Memory, its end, device memory with the MSI-X page, holes, the xAPIC page, the far end of address space. */
const address = fc
  .tuple(
    fc.constantFrom(
      0,
      0x20_0000 - 0x20,
      0xc000_0000,
      0xfee0_0000,
      0x40_0000_0000,
      0x40_0000_4000,
      2 ** 47,
      2 ** 51,
    ),
    fc.integer({ min: 0, max: 0x3fff }),
  )
  .map(([base, offset]) => base + offset)
const selector = fc
  .tuple(fc.constantFrom(0, 1, 2, 31), fc.integer({ min: 0, max: 0xff }))
  .map(([slot, offset]) => (0x8000_0000 | (slot << 11) | offset) >>> 0)

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.constantFrom<Operation>(
    { op: 'hlt' },
    { op: 'sti' },
    { op: 'cli' },
    { op: 'iret' },
    { op: 'movSs' },
    { op: 'vmlaunch' },
  ),
  fc.record({
    op: fc.constant('out' as const),
    port: fc.constant(0xcf8),
    width: fc.constant(4 as const),
    value: selector,
  }),
  fc.record({
    op: fc.constant('out' as const),
    port: fc.constantFrom(0xcfc, 0xae00, 0xae04, 0xae08, 0x80),
    width: fc.constant(4 as const),
    value: fc.oneof(word, fc.constantFrom(0, 6, 0xffff_ffff, 0xc000_0000, 0x8000_0000)),
  }),
  fc.record({
    op: fc.constant('in' as const),
    port: fc.integer({ min: 0xcf6, max: 0xd00 }),
    width: fc.constantFrom(1, 2, 4),
  }),
  fc.record({ op: fc.constant('rdmsr' as const), msr: fc.integer({ min: 0x7ff, max: 0x900 }) }),
  fc.record({ op: fc.constant('wrmsr' as const), msr: fc.integer({ min: 0x7ff, max: 0x840 }), value }),
  fc.record({
    op: fc.constant('wrmsr' as const),
    msr: fc.constantFrom(0x1b, 0x83f, 0x830),
    value: fc.tuple(
      fc.constantFrom(0x41, 0xfee0_0800, 0xfee0_0c00, 0xfee0_0000, 0x4_0055),
      fc.constantFrom(0, 1),
    ),
  }),
  fc.record({ op: fc.constant('read' as const), address, width: fc.constantFrom(1, 2, 4, 8) }),
  fc.record({ op: fc.constant('write' as const), address, width: fc.constant(8 as const), value }),
  fc.record({
    op: fc.constant('write' as const),
    address,
    width: fc.constant(1 as const),
    value: fc.tuple(fc.nat(255), fc.constant(0)),
  }),
  fc.record({ op: fc.constant('fetch' as const), address }),
)

test.each(INTERRUPT_DELIVERY)(
  'whatever a guest with %s interrupts executes, it harms itself at most: the host goes on and gets everything back',
  interrupts => {
    const document = JSON.parse(readFileSync('topologies/one-socket-82576.json', 'utf8'))
    for (const unit of document.iommu.units) unit.capabilities = { ...unit.capabilities, PI: 1 }
    const platform = drive(
      SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }),
      () => false,
    )
    const { host, hypervisor, engine } = platform
    const run = <Result>(software: Software<Result>): Result => drive(software, engine.advance)
    run(host.setNumVfs('0000:01:00.0', 0))
    run(host.setNumVfs('0000:01:00.0', 2))
    run(hypervisor.createVm({ name: 'bystander', vcpus: 1, memoryMiB: 2, interrupts }))
    run(hypervisor.attach('bystander', '0000:01:10.2'))
    hypervisor.writeGuest('bystander', 0x10_0000, Uint8Array.of(1, 2, 3, 4))
    const before = host.memory.save()
    const streams = fc.array(
      fc.record({
        vcpu: fc.integer({ min: 0, max: 1 }),
        operations: fc.array(operation, { maxLength: 25 }),
        fire: fc.option(fc.integer({ min: 0, max: 2 })),
      }),
      { maxLength: 5 },
    )
    fc.assert(
      fc.property(streams, runs => {
        run(hypervisor.createVm({ name: 'wild', vcpus: 2, memoryMiB: 2, interrupts }))
        run(hypervisor.attach('wild', VF))
        for (const { vcpu, operations, fire } of runs) {
          run(hypervisor.runVcpu('wild', vcpu, operations))
          if (fire !== null) run(platform.fire(VF, fire))
        }
        expect(run(platform.fire('0000:01:10.2', 1)).route).toMatchObject({ vm: 'bystander', pending: false })
        run(hypervisor.deleteVm('wild'))
        expect(host.memory.save()).toEqual(before)
        expect([...hypervisor.readGuest('bystander', 0x10_0000, 4)]).toEqual([1, 2, 3, 4])
      }),
      { numRuns: 40 },
    )
  },
)
