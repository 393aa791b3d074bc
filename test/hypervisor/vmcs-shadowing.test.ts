/** VMCS shadowing for a guest hypervisor: its VMREADs and VMWRITEs do not exit, and do the same. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AT } from '../../src/conformance/vmx/machine.ts'
import { FIELDS } from '../../src/hypervisor/nested/vmcs12.ts'
import { EXIT_REASON } from '../../src/vmx/formats/exit-reasons.ts'
import type { Operation, OperationResult } from '../../src/vmx/formats/operations.ts'
import { VMCS, type VmcsFieldName } from '../../src/vmx/formats/vmcs.ts'
import { bareHost } from './bare-host.ts'
import { L1Machine, type L1Options } from './l1-machine.ts'

const ROUNDS = 10
const AT_AN_EXIT: readonly VmcsFieldName[] = [
  'exitReason',
  'exitQualification',
  'exitInstructionLength',
  'guestRip',
]

/** A guest hypervisor whose guest executes CPUID again and again. Returns the exits of the rounds, by reason. */
function rounds(options: L1Options): Record<string, number> {
  const machine = new L1Machine(options)
  machine.enter()
  const before = machine.exits
  for (let i = 0; i < ROUNDS; i++) {
    expect(machine.run({ op: 'cpuid', leaf: 0 }).outcome).toBe('vmExit')
    const [reason, , length, rip] = AT_AN_EXIT.map(name => machine.get(name)[0])
    expect(reason).toBe(EXIT_REASON.cpuid)
    machine.set('guestRip', rip! + length!)
    machine.enter()
  }
  const count = (name: string): number => (machine.exits[name] ?? 0) - (before[name] ?? 0)
  return Object.fromEntries(['vmread', 'vmwrite', 'vmresume', 'cpuid'].map(name => [name, count(name)]))
}

describe('a round of an exit of L2 that L1 handles', () => {
  test('takes an exit of L1 for each VMREAD and VMWRITE without VMCS shadowing', () => {
    expect(rounds({})).toEqual({
      vmread: AT_AN_EXIT.length * ROUNDS,
      vmwrite: ROUNDS,
      vmresume: ROUNDS,
      cpuid: ROUNDS,
    })
  })

  test('takes VMRESUME alone with it', () => {
    expect(rounds({ vmcsShadowing: true })).toEqual({
      vmread: 0,
      vmwrite: 0,
      vmresume: ROUNDS,
      cpuid: ROUNDS,
    })
  })

  test('reads exit information by exits where the processor cannot write it to a shadow', () => {
    expect(rounds({ vmcsShadowing: true, capabilities: { vmwriteAnyField: false } })).toEqual({
      vmread: 3 * ROUNDS,
      vmwrite: 0,
      vmresume: ROUNDS,
      cpuid: ROUNDS,
    })
  })
})

const OTHER = AT.otherVmcs
const names = FIELDS.map(({ encoding }) => encoding)
const field = fc.oneof(
  fc.constantFrom(
    VMCS.guestRip,
    VMCS.guestRsp,
    VMCS.exitReason,
    VMCS.instructionError,
    VMCS.guestPhysicalAddress + 1,
  ),
  fc.constantFrom(...names),
  fc.constantFrom(0x1000, 0x7ffe, 0x8000 + VMCS.guestRip),
)
const region = fc.constantFrom(AT.vmcs, OTHER, AT.vmxon, OTHER + 8)
/** What L1 does; CPUID is L2's if it runs. Some addresses and fields are wrong. */
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: field.map(encoding => ({ op: 'vmread', field: encoding }) as const) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(field, fc.nat({ max: 0xffff }))
      .map(([encoding, low]) => ({ op: 'vmwrite', field: encoding, value: [low, 0] }) as const),
  },
  { weight: 2, arbitrary: fc.constant({ op: 'cpuid', leaf: 0 } as const) },
  { weight: 2, arbitrary: fc.constantFrom({ op: 'vmlaunch' } as const, { op: 'vmresume' } as const) },
  { weight: 2, arbitrary: region.map(address => ({ op: 'vmptrld', address }) as const) },
  { weight: 1, arbitrary: region.map(address => ({ op: 'vmclear', address }) as const) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Operation>(
      { op: 'vmptrst' },
      { op: 'vmxoff' },
      { op: 'vmxon', address: AT.vmxon },
    ),
  },
)

const told = ({ outcome, error, low, high, vector }: OperationResult) => ({
  outcome,
  error,
  low,
  high,
  vector,
})

/** What stands in a region, by VMREAD; then no VMCS is current. */
function contents(machine: L1Machine, address: number): unknown {
  machine.run({ op: 'vmxon', address: AT.vmxon })
  if (machine.run({ op: 'vmptrld', address }).outcome !== 'done') return undefined
  const values = names.map(encoding => told(machine.run({ op: 'vmread', field: encoding })))
  machine.run({ op: 'vmclear', address })
  return values
}

test('whatever L1 does, VMCS shadowing changes nothing that it sees', () => {
  const outcomes = new Set<string>()
  fc.assert(
    fc.property(fc.array(operation, { minLength: 5, maxLength: 30 }), operations => {
      const plain = new L1Machine()
      const shadowed = new L1Machine({ vmcsShadowing: true })
      for (const [i, one] of operations.entries()) {
        const expected = told(plain.run(one))
        outcomes.add(expected.outcome)
        expect(told(shadowed.run(one)), `operation ${i}`).toEqual(expected)
        expect(shadowed.nested.running).toBe(plain.nested.running)
      }
      if (plain.nested.running === 'l2') {
        for (const machine of [plain, shadowed]) machine.run({ op: 'cpuid', leaf: 0 })
      }
      for (const address of [AT.vmcs, OTHER]) {
        expect(contents(shadowed, address)).toEqual(contents(plain, address))
      }
    }),
    { numRuns: 60 },
  )
  for (const outcome of ['done', 'vmExit', 'vmFailValid', 'vmFailInvalid', 'exception']) {
    expect(outcomes).toContain(outcome)
  }
})

describe('VMCS shadowing of a virtual machine', () => {
  const vm = { name: 'one', vcpus: 1, memoryMiB: 2 }

  test('is refused where the processor has none, and nothing is left of the attempt', () => {
    const { hypervisor, host, run } = bareHost(1, undefined, { vmcsShadowing: false })
    const before = JSON.stringify([hypervisor.save(), host.memory.save()])
    expect(() => run(hypervisor.createVm({ ...vm, nested: true, vmcsShadowing: true }))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    )
    expect(JSON.stringify([hypervisor.save(), host.memory.save()])).toBe(before)
    expect(() => run(hypervisor.createVm({ ...vm, nested: true }))).not.toThrow()
  })

  test('is for guests that find VMX', () => {
    const { hypervisor, run } = bareHost()
    expect(() => run(hypervisor.createVm({ ...vm, vmcsShadowing: true }))).toThrow('vmcsShadowing must be')
  })

  test('outside VMX operation VMREAD and VMWRITE raise #UD', () => {
    const machine = new L1Machine({ vmcsShadowing: true })
    machine.run({ op: 'vmxoff' })
    expect(machine.run({ op: 'vmread', field: VMCS.guestRip })).toMatchObject({
      outcome: 'exception',
      vector: 6,
    })
  })
})
