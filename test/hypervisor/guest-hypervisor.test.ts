/** Virtual machines whose program is a hypervisor: what they are given runs in a guest of theirs. */
import { describe, expect, test } from 'vitest'
import { interruptCountAddress } from '../../src/guest/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { bareHost } from './bare-host.ts'

const VM = 'l1'
/** Where L2's memory lies in L1's. */
const L2_MEMORY = 0x1c_0000
const L2_SIZE = 0x4_0000

function make({ vcpus = 1, vmcsShadowing = false } = {}) {
  const { hypervisor, run, host } = bareHost(2, undefined, { vmwriteAnyField: true })
  run(
    hypervisor.createVm({
      name: VM,
      vcpus,
      memoryMiB: 2,
      nested: true,
      program: 'hypervisor',
      vmcsShadowing,
    }),
  )
  const stream = (operations: readonly Operation[], vcpu = 0) => run(hypervisor.runVcpu(VM, vcpu, operations))
  const dword = (address: number): number => Buffer.from(hypervisor.readGuest(VM, address, 4)).readUInt32LE()
  return { hypervisor, run, host, stream, dword, vcpu: (number = 0) => hypervisor.vcpu(VM, number) }
}

const write = (address: number, value: number): Operation => ({
  op: 'write',
  address,
  width: 4,
  value: [value, 0],
})
const read = (address: number): Operation => ({ op: 'read', address, width: 4 })

describe('a guest hypervisor', () => {
  test('gives its guest memory from address 0 on, and nothing beyond', () => {
    const { stream, dword } = make()
    const { results } = stream([
      write(0x1000, 42),
      read(0x1000),
      write(L2_SIZE - 4, 43),
      read(L2_SIZE),
      write(L2_SIZE, 44),
    ])
    expect(results.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done', 'done', 'done'])
    expect(results[1]!.low).toBe(42)
    expect(results[3]!.low).toBe(0xffff_ffff)
    expect(dword(L2_MEMORY + 0x1000)).toBe(42)
    expect(dword(L2_MEMORY + L2_SIZE - 4)).toBe(43)
  })

  test('shows its guest a processor without VMX and without MSRs', () => {
    const { stream } = make()
    const { results } = stream([
      { op: 'cpuid', leaf: 1 },
      { op: 'rdmsr', msr: 0x1b },
      { op: 'wrmsr', msr: 0x808, value: [0, 0] },
      { op: 'nop' },
    ])
    expect(results[0]!.ecx & (1 << 5)).toBe(0)
    expect(results.slice(1)).toMatchObject([
      { outcome: 'exception', vector: 13 },
      { outcome: 'exception', vector: 13 },
      { outcome: 'done' },
    ])
  })

  test('sleeps when its guest does, and its guest goes on where it was', () => {
    const { stream, vcpu, dword } = make()
    expect(stream([write(0x1000, 1), { op: 'hlt' }, write(0x1000, 2)]).results).toMatchObject([
      { outcome: 'done' },
      { outcome: 'halted' },
    ])
    expect(vcpu()).toMatchObject({ state: 'halted', interruptsEnabled: true, nested: { running: 'l1' } })
    stream([write(0x1004, 3)])
    expect([dword(L2_MEMORY + 0x1000), dword(L2_MEMORY + 0x1004)]).toEqual([1, 3])
  })

  test('takes its interrupts while its guest runs, which learns nothing of them', () => {
    const { hypervisor, run, stream, dword, vcpu } = make()
    run(hypervisor.interruptVcpu(VM, 0, 0x41))
    expect(dword(interruptCountAddress(0, 0x41))).toBe(1)
    const { results } = run(
      hypervisor.runVcpu(VM, 0, [write(0x1000, 1), { op: 'in', port: 0x60, width: 1 }, read(0x1000)], {
        before: 1,
        state: 'running',
        act: () => void run(hypervisor.interruptVcpu(VM, 0, 0x42)),
      }),
    )
    expect(results).toMatchObject([{ outcome: 'done' }, { outcome: 'done' }, { outcome: 'done', low: 1 }])
    expect(dword(interruptCountAddress(0, 0x42))).toBe(1)
    expect(vcpu().nested!.reflected['externalInterrupt']).toBe(1)
    expect(vcpu()).toMatchObject({ pending: [], inService: [] })
    expect(stream([{ op: 'nop' }]).results).toMatchObject([{ outcome: 'done' }])
  })

  test('runs one guest on all its virtual processors', () => {
    const { stream, vcpu } = make({ vcpus: 2 })
    stream([write(0x2000, 7)], 0)
    expect(stream([read(0x2000)], 1).results[0]!.low).toBe(7)
    expect(vcpu(1).nested!.entries).toBeGreaterThan(0)
  })

  test('costs an eighth of the exits with VMCS shadowing', () => {
    const exitsOf = (vmcsShadowing: boolean): number => {
      const { stream } = make({ vmcsShadowing })
      const round: Operation = { op: 'cpuid', leaf: 0 }
      stream([round])
      return stream(Array.from({ length: 16 }, () => round)).exits.filter(
        ({ level, operation }) => level === 1 && operation !== null,
      ).length
    }
    // VMRESUME, three VMREADs of the exit, two and a VMWRITE to move RIP, and L1's own CPUID.
    expect(exitsOf(false)).toBe(16 * 8)
    expect(exitsOf(true)).toBe(16 * 2)
  })

  test('survives that the host spoils its VMCS: its operations say how the entry failed', () => {
    const { hypervisor, stream } = make()
    stream([write(0x1000, 1)])
    hypervisor.writeGuest(VM, 0x10_1000, new Uint8Array(4096).fill(0xff))
    const { results } = stream([read(0x1000), read(0x1000)])
    expect(results.every(({ outcome }) => ['vmFailValid', 'vmFailInvalid', 'vmExit'].includes(outcome))).toBe(
      true,
    )
  })

  test('moves to another processor', () => {
    const { hypervisor, run, stream } = make()
    stream([write(0x1000, 5)])
    run(hypervisor.moveVcpu(VM, 0, 1))
    expect(stream([read(0x1000)]).results[0]!.low).toBe(5)
  })

  test('is for virtual machines that find VMX', () => {
    const { hypervisor, run } = make()
    const vm = { name: 'two', vcpus: 1, memoryMiB: 2 }
    expect(() => run(hypervisor.createVm({ ...vm, program: 'hypervisor' }))).toThrow('program must be kernel')
    expect(hypervisor.vms().map(({ name, program }) => [name, program])).toEqual([[VM, 'hypervisor']])
  })
})
