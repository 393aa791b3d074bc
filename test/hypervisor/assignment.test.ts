import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { drive, type Software } from '../../src/engine/index.ts'
import { parseTopology } from '../../src/platform/index.ts'
import { SimulatedPlatform } from '../../src/system/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'

const PF = '0000:01:00.0'
const VF0 = '0000:01:10.0'
const VF1 = '0000:01:10.2'
/** Guest memory of every machine here. */
const MIB = 8

function machine(topology = 'one-socket-82576') {
  const document = JSON.parse(readFileSync(`topologies/${topology}.json`, 'utf8'))
  const platform = drive(
    SimulatedPlatform.create(parseTopology(document), { id: 'p', name: 'p' }),
    () => false,
  )
  const { host, hypervisor, engine } = platform
  const run = <Result>(software: Software<Result>): Result => drive(software, engine.advance)
  const create = (name: string, vcpus = 1) => run(hypervisor.createVm({ name, vcpus, memoryMiB: MIB }))
  const execute = (vm: string, operations: Operation[], vcpu = 0) =>
    run(hypervisor.runVcpu(vm, vcpu, operations))
  /** A DMA write of one page offset: the status of its only part. */
  const write = (address: string, guestPage: number, ...data: number[]) =>
    run(platform.dma(address, true, guestPage, 0, Uint8Array.from(data))).parts[0]!
  const fire = (address: string, vector: number) => run(platform.fire(address, vector))
  /** How often the guest kernel counted a vector: 256 dwords per virtual processor from 90000h. */
  const count = (vm: string, vector: number, vcpu = 0) =>
    hypervisor.readGuest(vm, 0x9_0000 + vcpu * 0x400 + vector * 4, 1)[0]!
  return { platform, host, hypervisor, engine, run, create, execute, write, fire, count }
}

/** Two machines with a VF of the same 82576 each. */
function twoMachines() {
  const parts = machine()
  parts.run(parts.host.setNumVfs(PF, 0))
  parts.run(parts.host.setNumVfs(PF, 2))
  parts.create('one', 2)
  parts.create('two')
  const first = parts.run(parts.hypervisor.attach('one', VF0))
  const second = parts.run(parts.hypervisor.attach('two', VF1))
  return { ...parts, first, second }
}

describe('DMA of an assigned function', () => {
  test('lands in its own machine’s memory, guest-physical address for address', () => {
    const { write, hypervisor } = twoMachines()
    expect(write(VF0, 0x123, 0xaa, 0xbb)).toMatchObject({ status: 0, target: 1 })
    expect(write(VF1, 0x123, 0xcc, 0xdd)).toMatchObject({ status: 0, target: 1 })
    expect([...hypervisor.readGuest('one', 0x12_3000, 2)]).toEqual([0xaa, 0xbb])
    expect([...hypervisor.readGuest('two', 0x12_3000, 2)]).toEqual([0xcc, 0xdd])
  })

  test('reaches the last page of guest memory and faults on the next', () => {
    const { write } = twoMachines()
    expect(write(VF0, MIB * 256 - 1, 1).status).toBe(0)
    // 05h: a write without write permission in a second-stage entry.
    expect(write(VF0, MIB * 256, 1)).toMatchObject({ status: 5, faultReason: 5 })
  })

  test('what the guest reads there, it reads without a VM exit', () => {
    const { write, execute } = twoMachines()
    write(VF0, 0x50, 0x78, 0x56, 0x34, 0x12)
    const { results, exits } = execute('one', [{ op: 'read', address: 0x5_0000, width: 4 }])
    expect(results).toMatchObject([{ low: 0x1234_5678 }])
    expect(exits.map(({ reason }) => reason)).toEqual(['hlt'])
  })
})

describe('what the guest finds', () => {
  const config = (offset: number, slot = 1): Operation[] => [
    { op: 'out', port: 0xcf8, width: 4, value: (0x8000_0000 | (slot << 11) | offset) >>> 0 },
    { op: 'in', port: 0xcfc, width: 4 },
  ]

  test('a VF with the identity that its PF gives it, decoding and mastering', () => {
    const { execute, first } = twoMachines()
    expect(first).toMatchObject({
      address: VF0,
      guestAddress: '0000:00:01.0',
      vendorId: 0x8086,
      deviceId: 0x10ca,
      interrupts: 'msix',
    })
    const { results } = execute('one', [...config(0), ...config(4)])
    expect(results[1]!.low).toBe(0x10ca_8086)
    expect(results[3]!.low & 0x6).toBe(0x6)
  })

  test('its registers, without VM exits except for the page of the MSI-X table', () => {
    const { execute, first, platform } = twoMachines()
    const [bar0, bar3] = first.bars
    expect([bar0!.guestAddress, bar3!.guestAddress]).toEqual([0x40_0000_0000, 0x40_0000_4000])
    const direct = execute('one', [
      { op: 'write', address: bar0!.guestAddress! + 0x1000, width: 4, value: [0x1234_5678, 0] },
      { op: 'read', address: bar0!.guestAddress! + 0x1000, width: 4 },
    ])
    expect(direct.exits.map(({ reason }) => reason)).toEqual(['hlt'])
    expect(direct.results[1]!.low).toBe(platform.hardware.port.readDword(bar0!.hostAddress + 0x1000))
    const table = execute('one', [{ op: 'read', address: bar3!.guestAddress! + 8, width: 4 }])
    expect(table.exits[0]).toMatchObject({ reason: 'eptViolation', handledBy: 'msixTable' })
    // Its own vector, while the function's table holds the host's message.
    expect(table.results[0]!.low).toBe(0x40)
    expect(platform.hardware.port.readDword(bar3!.hostAddress + 8)).not.toBe(0x40)
  })
})

describe('interrupts of an assigned function', () => {
  test('vector n reaches guest vector 40h + n of its own machine', () => {
    const { fire, count } = twoMachines()
    expect(fire(VF0, 2)).toMatchObject({
      signal: 'sent',
      request: { interrupt: { remapped: true } },
      route: { vm: 'one', vcpu: 0, guestVector: 0x42, pending: false },
    })
    expect(fire(VF1, 0).route).toMatchObject({ vm: 'two', guestVector: 0x40 })
    expect([count('one', 0x42), count('two', 0x42), count('one', 0x40), count('two', 0x40)]).toEqual([
      1, 0, 0, 1,
    ])
  })

  test('the journey: host vector, virtual APIC, VM entry with injection, EOI exit, HLT', () => {
    const { fire, engine } = twoMachines()
    const before = engine.trace.last
    fire(VF0, 1)
    const steps = engine.trace
      .since(before)
      .filter(({ detail }) => detail['vm'] === 'one')
      .map(({ kind, detail }) => [kind, detail['guestVector'] ?? detail['injected'] ?? detail['reason']])
    expect(steps).toEqual([
      ['interrupt', '0x41'],
      ['interrupt', '0x41'],
      ['vmEntry', '0x41'],
      ['vmExit', 'wrmsr'],
      ['vmEntry', undefined],
      // The handler's end.
      ['interrupt', undefined],
      ['vmExit', 'hlt'],
    ])
  })

  test('one that arrives while the guest runs ends its turn and is injected at once', () => {
    const { platform, execute, count } = twoMachines()
    const vf = platform.hardware.fabric.functionAt(0, 0x180 as never)!
    platform.hardware.engineOf(vf).fire(0)
    const { exits } = execute('one', [{ op: 'pause' }])
    expect(exits.map(({ reason, handledBy }) => [reason, handledBy])).toEqual([
      ['externalInterrupt', 'hostInterrupt'],
      ['wrmsr', 'virtualApic'],
      ['hlt', 'halt'],
    ])
    expect(count('one', 0x40)).toBe(1)
  })

  test('waits while the guest has interrupts off', () => {
    const { fire, execute, hypervisor, count } = twoMachines()
    execute('one', [{ op: 'cli' }])
    expect(fire(VF0, 0).route).toMatchObject({ guestVector: 0x40, pending: true })
    expect(hypervisor.vcpu('one', 0).pending).toEqual([0x40])
    execute('one', [{ op: 'sti' }, { op: 'pause' }])
    expect(count('one', 0x40)).toBe(1)
  })

  test('a masked vector is pending in the guest’s PBA and comes on unmask', () => {
    const { fire, execute, first, hypervisor, count } = twoMachines()
    const table = first.bars[1]!.guestAddress!
    const control = (masked: number): Operation => ({
      op: 'write',
      address: table + 12,
      width: 4,
      value: [masked, 0],
    })
    execute('one', [control(1)])
    fire(VF0, 0)
    expect(hypervisor.route(VF0, 0)).toBeUndefined()
    expect(execute('one', [{ op: 'read', address: table + 0x2000, width: 4 }]).results[0]!.low).toBe(1)
    expect(count('one', 0x40)).toBe(0)
    execute('one', [control(0)])
    expect(count('one', 0x40)).toBe(1)
  })

  test('goes to the virtual processor that the guest’s message names', () => {
    const { fire, execute, first, count } = twoMachines()
    execute('one', [
      { op: 'write', address: first.bars[1]!.guestAddress!, width: 4, value: [0xfee0_1000, 0] },
    ])
    expect(fire(VF0, 0).route).toMatchObject({ vcpu: 1, guestVector: 0x40 })
    expect([count('one', 0x40, 0), count('one', 0x40, 1)]).toEqual([0, 1])
  })
})

describe('taking a function back', () => {
  test('the guest lets go of it, its DMA faults, and it can be given again', () => {
    const { hypervisor, host, run, write, fire, execute } = twoMachines()
    run(hypervisor.detach('one', VF0))
    expect(hypervisor.vm('one').devices).toEqual([])
    expect(host.find(VF0).owner).not.toEqual({ kind: 'vm', name: 'one' })
    expect(write(VF0, 0x123, 1).status).not.toBe(0)
    expect(fire(VF0, 0).route).toBeUndefined()
    const absent = execute('one', [
      { op: 'out', port: 0xcf8, width: 4, value: 0x8000_0800 },
      { op: 'in', port: 0xcfc, width: 4 },
      { op: 'read', address: 0x40_0000_1000, width: 4 },
    ]).results
    expect([absent[1]!.low, absent[2]!.low]).toEqual([0xffff_ffff, 0xffff_ffff])
    const again = run(hypervisor.attach('two', VF0))
    expect(again).toMatchObject({ guestAddress: '0000:00:02.0' })
    expect(fire(VF0, 0).route).toMatchObject({ vm: 'two', guestVector: 0x43 })
    expect(write(VF0, 0x123, 1).status).toBe(0)
  })

  test('also from a guest that does not listen; it finds out later', () => {
    const { hypervisor, run, execute, fire, write } = twoMachines()
    execute('one', [{ op: 'cli' }])
    run(hypervisor.detach('one', VF0))
    expect(write(VF0, 0x123, 1).status).not.toBe(0)
    run(hypervisor.attach('one', VF0))
    execute('one', [{ op: 'sti' }, { op: 'pause' }])
    expect(fire(VF0, 0).route).toMatchObject({ vm: 'one', guestVector: 0x40, pending: false })
  })

  test('deleting the machine takes all back and gives every page back', () => {
    const parts = machine()
    const { host, hypervisor, run } = parts
    run(host.setNumVfs(PF, 0))
    run(host.setNumVfs(PF, 2))
    const before = host.memory.save()
    parts.create('one')
    run(hypervisor.attach('one', VF0))
    run(hypervisor.attach('one', VF1))
    run(hypervisor.deleteVm('one'))
    expect(host.memory.save()).toEqual(before)
    expect(host.find(VF0).owner.kind).not.toBe('vm')
    expect(parts.write(VF0, 0, 1).status).not.toBe(0)
  })

  test('the next machine finds zeros where the last one wrote', () => {
    const { hypervisor, run, create, execute } = twoMachines()
    execute('one', [{ op: 'write', address: 0x12_3000, width: 8, value: [1, 2] }])
    run(hypervisor.deleteVm('one'))
    create('three')
    expect(hypervisor.readGuest('three', 0x12_3000, 8)).toEqual(new Uint8Array(8))
  })
})

describe('refusals leave everything as it was', () => {
  test.each([
    ['a function of another machine', 'two', VF0, 'functionInUse'],
    ['a function that does not exist', 'two', '0000:01:1f.7', 'notFound'],
    ['a PF with VFs', 'two', PF, 'functionNotAssignable'],
    ['a machine that does not exist', 'three', '0000:01:10.0', 'notFound'],
  ])('%s', (_, vm, address, code) => {
    const { platform, hypervisor, run } = twoMachines()
    const before = platform.stateHash()
    expect(() => run(hypervisor.attach(vm, address))).toThrow(expect.objectContaining({ code }))
    expect(platform.stateHash()).toBe(before)
  })
})
