/** What ends L1 (VMX aborts), what moves it with its guest inside, and what keeps it from being made. */
import { describe, expect, test } from 'vitest'
import { AT } from '../../src/conformance/vmx/machine.ts'
import { digest } from '../../src/core/index.ts'
import type { VmOptions } from '../../src/hypervisor/index.ts'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { VMCS } from '../../src/vmx/formats/vmcs.ts'
import { bareHost } from './bare-host.ts'
import { L1Machine } from './l1-machine.ts'

const ABORT_INDICATOR = AT.vmcs + 4
const FS_BASE = 0xc000_0100
/** Nothing has such an MSR. */
const NO_MSR = 0x4000_0000

describe('a VM exit of L2 that cannot be completed', () => {
  const aborted = (count: 'exitMsrLoad' | 'exitMsrStore', msr: number): L1Machine => {
    const machine = new L1Machine()
    machine.map.writeDword(AT.msrArea, msr)
    machine.set(`${count}Count`, 1)
    machine.set(`${count}Address`, AT.msrArea)
    expect(machine.enter().outcome).toBe('done')
    machine.run({ op: 'cpuid', leaf: 0 })
    return machine
  }

  test.each([
    ['saving an MSR of L2', 'exitMsrStore', NO_MSR, 1],
    ['loading an MSR of L1 that no area may load', 'exitMsrLoad', FS_BASE, 4],
    ['loading an MSR of L1 that there is not', 'exitMsrLoad', NO_MSR, 4],
  ] as const)(
    'by %s is a VMX abort: L1’s VMCS has the indicator, and nothing is executed any more',
    (...row) => {
      const [, area, msr, indicator] = row
      const machine = aborted(area, msr)
      expect(machine.map.readDword(ABORT_INDICATOR)).toBe(indicator)
      for (const op of ['nop', 'vmresume', 'sti'] as const) {
        expect(machine.run({ op }).outcome).toBe('halted')
      }
      machine.interrupt(0x40)
      expect(machine.run({ op: 'nop' }).outcome).toBe('halted')
    },
  )

  test('leaves the host and other virtual machines as they were', () => {
    const machine = aborted('exitMsrLoad', NO_MSR)
    const { hypervisor, host, run } = machine.parts
    expect(host.memory.freePages).toBeGreaterThan(0)
    run(hypervisor.createVm({ name: 'two', vcpus: 1, memoryMiB: 2 }))
    expect(run(hypervisor.runVcpu('two', 0, [{ op: 'nop' }])).results).toMatchObject([{ outcome: 'done' }])
    run(hypervisor.deleteVm('two'))
    run(hypervisor.deleteVm('l1'))
  })
})

describe.each([false, true])(
  'a virtual processor that moves while L2 is inside (VMCS shadowing: %s)',
  vmcsShadowing => {
    const make = () => {
      const machine = new L1Machine({ processors: 2, vmcsShadowing })
      const { hypervisor, run, processors } = machine.parts
      // L1 lets L2 sleep, so that it is L2 that is moved.
      machine.set('primaryProcessorBasedControls', 0x8400_6172)
      const stream = (...operations: readonly Operation[]) =>
        run(hypervisor.runVcpu('l1', 0, operations)).results
      const move = (processor: number) => run(hypervisor.moveVcpu('l1', 0, processor))
      return { machine, processors, stream, move }
    }
    const write = (value: number): Operation => ({
      op: 'write',
      address: 0x5000,
      width: 4,
      value: [value, 0],
    })
    const read: Operation = { op: 'read', address: 0x5000, width: 4 }
    const nothing = { outcome: 'done', low: 0x11 }

    test('goes on in L2, and exits to L1, on the other processor', () => {
      const { machine, processors, stream, move } = make()
      stream({ op: 'vmlaunch' }, write(0x11))
      expect(machine.nested.running).toBe('l2')
      expect(move(1)).toMatchObject({ processor: 1, nested: { running: 'l2' } })
      expect(processors[0]!.view().mode).toBe('vmxOff')
      const results = stream(read, { op: 'cpuid', leaf: 0 }, { op: 'vmread', field: VMCS.exitReason })
      expect(results).toMatchObject([nothing, { outcome: 'vmExit' }, { low: 10 }])
      expect(machine.nested.running).toBe('l1')
    })

    test('finds nothing there that an earlier stay left behind', () => {
      const { machine, stream, move } = make()
      stream({ op: 'vmlaunch' }, write(0x11))
      move(1)
      stream(read, { op: 'cpuid', leaf: 0 })
      // On the other processor L1 takes the page away.
      machine.map.writeDword(AT.pt + 5 * 8, 0)
      stream({ op: 'invept', type: 2 }, { op: 'vmresume' }, { op: 'nop' })
      expect(move(0)).toMatchObject({ nested: { running: 'l2' } })
      expect(stream(read).at(-1)).toMatchObject({ outcome: 'vmExit' })
      expect(machine.get('exitReason')[0]).toBe(48)
    })

    test('as often as it likes, with everything that L1 has in its VMCS', () => {
      const { machine, stream, move } = make()
      machine.set('guestRsp', 0x6543)
      stream({ op: 'vmlaunch' })
      for (let i = 0; i < 6; i++) {
        move(1 - (i % 2))
        expect(stream(write(0x100 + i), read).at(-1)).toMatchObject({ low: 0x100 + i })
      }
      stream({ op: 'cpuid', leaf: 0 })
      move(1)
      expect(machine.get('guestRsp')).toEqual([0x6543, 0])
      expect(machine.get('exitReason')).toEqual([10, 0])
    })
  },
)

describe('a virtual machine with VMX, where memory is short', () => {
  const options: VmOptions = { name: 'one', vcpus: 2, memoryMiB: 2, nested: true, vmcsShadowing: true }

  /** Everything that a refused command must leave as it was, memory included. */
  const stateOf = ({ hypervisor, host, memory, processors }: ReturnType<typeof bareHost>): string => {
    const used = [...memory.contents()].filter(([, { words }]) => words.some(word => word !== 0))
    const saved = processors.map(processor => processor.save())
    return digest({
      hypervisor: hypervisor.save(),
      pages: host.memory.save(),
      processors: saved,
      used: used.map(([page]) => page),
    })
  }

  test('is refused as such, whichever page is the one that lacks, and nothing has changed', () => {
    const parts = bareHost()
    const { hypervisor, host, run } = parts
    const free = host.memory.freePages
    // The first virtual machine switches VMX on, and locks that it may be.
    run(hypervisor.createVm(options))
    const needed = free - host.memory.freePages
    run(hypervisor.deleteVm(options.name))
    expect(host.memory.freePages).toBe(free)
    const memoryPages = (options.memoryMiB * 2 ** 20) / 4096
    expect(needed).toBeGreaterThan(memoryPages + 12)
    for (let left = memoryPages - 1; left < needed; left++) {
      const taken = host.memory.allocate(free - left)
      const before = stateOf(parts)
      expect(() => run(hypervisor.createVm(options)), `${left} pages`).toThrow(
        expect.objectContaining({ code: 'outOfMemory' }),
      )
      expect(stateOf(parts), `${left} pages`).toBe(before)
      host.memory.free(taken, free - left)
    }
    const taken = host.memory.allocate(free - needed)
    expect(() => run(hypervisor.createVm(options))).not.toThrow()
    run(hypervisor.deleteVm(options.name))
    host.memory.free(taken, free - needed)
  })

  test('says what it lacks', () => {
    const { hypervisor, host, run } = bareHost()
    host.memory.allocate(host.memory.freePages - 520)
    // 512 of memory, three tables; VMXON regions, and for each virtual processor four VMCSs, EPT02 and two bitmaps.
    expect(() => run(hypervisor.createVm(options))).toThrow(
      'the virtual processors need 16 pages and 5 pages of host memory are free',
    )
  })

  test('once made, lets L2 get by with what is left: its tables are built again from nothing', () => {
    const machine = new L1Machine()
    const { host } = machine.parts
    machine.enter()
    machine.run({ op: 'write', address: 0x5000, width: 4, value: [7, 0] })
    host.memory.allocate(host.memory.freePages)
    // Another 2 MiB of L2: its table has no page of its own.
    machine.map.writeDword(AT.pd + 8, AT.pt | 7)
    expect(machine.run({ op: 'read', address: 0x20_5000, width: 4 }).low).toBe(7)
    expect(machine.run({ op: 'read', address: 0x5000, width: 4 }).low).toBe(7)
    expect(host.memory.freePages).toBe(0)
  })
})
