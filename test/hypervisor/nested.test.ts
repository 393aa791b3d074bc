/** L2 under L1 under the hypervisor. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AT, READY_FIELDS, VmxMachine } from '../../src/conformance/vmx/machine.ts'
import type { RowMachine } from '../../src/conformance/vmx/step-case.ts'
import { FIELDS } from '../../src/hypervisor/nested/vmcs12.ts'
import { EXIT_REASON } from '../../src/vmx/formats/exit-reasons.ts'
import { MSR } from '../../src/vmx/formats/msrs.ts'
import type { Word64 } from '../../src/vmx/formats/operations.ts'
import type { VmcsFieldName } from '../../src/vmx/formats/vmcs.ts'
import { bareHost } from './bare-host.ts'
import { L1Machine } from './l1-machine.ts'

/** Words of controls, and the MSR that says which of their bits L1 may set. */
const CONTROLS: readonly (readonly [VmcsFieldName, number])[] = [
  ['pinBasedControls', MSR.IA32_VMX_TRUE_PINBASED_CTLS],
  ['primaryProcessorBasedControls', MSR.IA32_VMX_TRUE_PROCBASED_CTLS],
  ['secondaryProcessorBasedControls', MSR.IA32_VMX_PROCBASED_CTLS2],
  ['exitControls', MSR.IA32_VMX_TRUE_EXIT_CTLS],
  ['entryControls', MSR.IA32_VMX_TRUE_ENTRY_CTLS],
]
/** Not drawn: capabilities differ in them (EPTP, activity), or areas would be walked for hours. */
const LEFT_OUT: readonly VmcsFieldName[] = [
  'eptPointer',
  'guestActivityState',
  'exitMsrLoadCount',
  'exitMsrStoreCount',
  'entryMsrLoadCount',
  ...CONTROLS.map(([name]) => name),
]
const drawn = FIELDS.filter(({ name, type }) => type !== 'exitInformation' && !LEFT_OUT.includes(name)).map(
  ({ name }) => name,
)
const ready = new Map(READY_FIELDS)
const lowOf = (name: VmcsFieldName): number => {
  const value = ready.get(name) ?? 0
  return typeof value === 'number' ? value : value[0]
}

const word = fc.integer({ min: 0, max: 0xffff_ffff })
const bit = fc.integer({ min: 0, max: 31 }).map(n => (1 << n) >>> 0)
const field = fc.constantFrom(...drawn)
/** A field with one bit changed, or with any value. */
const change: fc.Arbitrary<readonly [VmcsFieldName, Word64]> = fc.oneof(
  fc.tuple(field, bit).map(([name, flip]) => [name, [(lowOf(name) ^ flip) >>> 0, 0]] as const),
  fc
    .tuple(field, word, fc.oneof(fc.constant(0), word))
    .map(([name, low, high]) => [name, [low, high]] as const),
)
const flips = fc.array(fc.tuple(fc.constantFrom(...CONTROLS), bit), { maxLength: 2 })

function outcomeOf(machine: RowMachine): unknown {
  const { outcome, error, vector } = machine.enter()
  return outcome === 'vmExit'
    ? { outcome, reason: machine.get('exitReason'), qualification: machine.get('exitQualification') }
    : { outcome, error, vector }
}

describe('a VM entry of L1', () => {
  test('ends as it would on the processor, whatever the VMCS holds', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.array(change, { maxLength: 2 }), flips, (changes, controls) => {
        const l1 = new L1Machine()
        const bare = new VmxMachine()
        for (const machine of [l1, bare] as const) {
          for (const [name, value] of changes) machine.set(name, value)
          for (const [[name, msr], flip] of controls) {
            const mayBe1 = l1.capability(msr)[1]
            if ((mayBe1 & flip) !== 0) machine.set(name, (lowOf(name) ^ flip) >>> 0)
          }
        }
        const expected = outcomeOf(bare)
        seen.add(JSON.stringify(expected))
        expect(outcomeOf(l1)).toEqual(expected)
      }),
      { numRuns: 150, seed: 6 },
    )
    expect(seen.size).toBeGreaterThan(3)
  })
})

describe('memory of L2', () => {
  test('is what L1 gives it, inside what L1 has', () => {
    const machine = new L1Machine()
    expect(machine.enter().outcome).toBe('done')
    machine.run({ op: 'write', address: 0x5000, width: 4, value: [0x1234, 0] })
    expect(machine.map.readDword(AT.guest + 0x5000)).toBe(0x1234)
    expect(machine.nested.handled).toEqual({ eptViolation: 1 })
  })

  test.each([20, 24, 40, 63, 1000])('at %i MiB of L1, which has 20, is nobody’s', mebibytes => {
    const machine = new L1Machine()
    machine.map.writeDword(AT.pt + 5 * 8, ((mebibytes * 2 ** 20) | 0x37) >>> 0)
    const { host, memory } = machine.parts
    const before = [...memory.contents()].map(([page, { words }]) => [page, words.slice()] as const)
    machine.enter()
    // Devices of the virtual machine would answer there, and none does.
    expect(machine.run({ op: 'read', address: 0x5000, width: 4 }).low).toBe(0xffff_ffff)
    machine.run({ op: 'write', address: 0x5000, width: 4, value: [0x6666, 0] })
    expect(host.memory.freePages).toBeGreaterThan(0)
    for (const [page, words] of before) {
      expect(memory.page(page)!.words.includes(0x6666) && !words.includes(0x6666)).toBe(false)
    }
  })
})

describe('an exit of L2', () => {
  test('is taken by the level that asked for it', () => {
    const machine = new L1Machine()
    machine.enter()
    expect(machine.run({ op: 'cpuid', leaf: 1 }).outcome).toBe('vmExit')
    expect(machine.get('exitReason')[0]).toBe(EXIT_REASON.cpuid)
    machine.enter()
    // L1 asks for no exits of I/O: the hypervisor answers, as it would L1.
    expect(machine.run({ op: 'in', port: 0x60, width: 1 })).toMatchObject({ outcome: 'done', low: 0xff })
    expect(machine.nested).toMatchObject({ running: 'l2', entries: 2, reflected: { cpuid: 1 } })
    expect(machine.nested.handled['ioInstruction']).toBe(1)
  })

  test('an interrupt of the machine ends the turn of L2 if L1 asks for it', () => {
    const machine = new L1Machine()
    machine.enableApic()
    machine.enter()
    machine.run({ op: 'in', port: 0x60, width: 1 })
    expect(machine.nested.running).toBe('l2')
    machine.interrupt(0x40)
    expect(machine.get('exitReason')[0]).toBe(EXIT_REASON.externalInterrupt)
    expect(machine.nested.running).toBe('l1')
  })
})

test('VMX is for guests that were promised it, with emulated interrupts', () => {
  const { hypervisor, run } = bareHost()
  const vm = { name: 'one', vcpus: 1, memoryMiB: 2 }
  expect(() => run(hypervisor.createVm({ ...vm, nested: true, interrupts: 'posted' }))).toThrow('emulated')
  run(hypervisor.createVm(vm))
  const { results } = run(hypervisor.runVcpu('one', 0, [{ op: 'vmxon', address: 0x1000 }]))
  expect(results[0]).toMatchObject({ outcome: 'exception', vector: 6 })
})

test('a virtual machine with VMX leaves nothing behind', () => {
  const { hypervisor, host, run } = bareHost()
  const before = JSON.stringify(host.memory.save())
  run(hypervisor.createVm({ name: 'one', vcpus: 2, memoryMiB: 2, nested: true }))
  run(hypervisor.deleteVm('one'))
  expect(JSON.stringify(host.memory.save())).toBe(before)
})
