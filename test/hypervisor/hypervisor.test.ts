import { describe, expect, test } from 'vitest'
import type { Operation } from '../../src/vmx/formats/operations.ts'
import { bareHost } from './bare-host.ts'

const VM = { name: 'one', vcpus: 1, memoryMiB: 4 }

function withVm(options: Partial<typeof VM> = {}) {
  const parts = bareHost()
  const vm = parts.run(parts.hypervisor.createVm({ ...VM, ...options }))
  const execute = (operations: Operation[], vcpu = 0) =>
    parts.run(parts.hypervisor.runVcpu(vm.name, vcpu, operations))
  /** Reasons of the exits that the stream itself caused. */
  const exitsOf = (operations: Operation[]) =>
    execute(operations).exits.filter(({ operation }) => operation !== null)
  return { ...parts, vm, execute, exitsOf }
}

describe('virtual machines', () => {
  test('are created with their guest kernel asleep, interrupts on', () => {
    const { vm } = withVm({ vcpus: 2 })
    expect(vm.memory).toEqual([{ base: 0, size: 4 * 2 ** 20 }])
    expect(vm.vcpus).toMatchObject([
      { number: 0, processor: 0, state: 'halted', interruptsEnabled: true, pending: [], inService: [] },
      { number: 1, processor: 1, state: 'halted', interruptsEnabled: true },
    ])
    expect(vm.vcpus[1]!.exitsByReason).toEqual({ cpuid: 1, hlt: 1, rdmsr: 2, wrmsr: 3 })
  })

  test('virtual processors go round the host’s processors', () => {
    const { hypervisor, run } = withVm({ vcpus: 3 })
    run(hypervisor.createVm({ ...VM, name: 'two' }))
    expect(hypervisor.vm('one').vcpus.map(({ processor }) => processor)).toEqual([0, 1, 0])
    expect(hypervisor.vm('two').vcpus.map(({ processor }) => processor)).toEqual([1])
  })

  test('deleting gives every page back and leaves VMX operation', () => {
    const parts = bareHost()
    const before = parts.host.memory.save()
    parts.run(parts.hypervisor.createVm({ ...VM, vcpus: 3 }))
    parts.run(parts.hypervisor.createVm({ ...VM, name: 'two' }))
    expect(parts.processors.map(processor => processor.view().mode)).toEqual(['root', 'root'])
    parts.run(parts.hypervisor.deleteVm('one'))
    parts.run(parts.hypervisor.deleteVm('two'))
    expect(parts.host.memory.save()).toEqual(before)
    expect(parts.processors.map(processor => processor.view().mode)).toEqual(['vmxOff', 'vmxOff'])
    expect(parts.hypervisor.vms()).toEqual([])
  })

  test.each([
    [{ name: '' }, 'invalidArgument', 'name'],
    [{ name: '../x' }, 'invalidArgument', 'name'],
    [{ vcpus: 0 }, 'invalidArgument', 'vcpus'],
    [{ vcpus: 1.5 }, 'invalidArgument', 'vcpus'],
    [{ memoryMiB: 1 }, 'invalidArgument', 'memoryMiB'],
    [{ memoryMiB: 47 }, 'outOfMemory', 'pages'],
    [{ memoryMiB: 48 }, 'outOfMemory', 'pages'],
    [{ memoryMiB: 1000 }, 'outOfMemory', 'pages'],
    [{ name: 'there' }, 'nameTaken', 'there'],
  ])('%j is refused as %s and changes nothing', (options, code, word) => {
    const { hypervisor, host, memory, processors, run } = bareHost()
    run(hypervisor.createVm({ name: 'there', vcpus: 2, memoryMiB: 2 }))
    const state = () =>
      JSON.stringify([
        hypervisor.save(),
        host.memory.save(),
        [...memory.contents()].map(([page, { words }]) => [page, [...words]]),
        processors.map(processor => processor.view().mode),
      ])
    const before = state()
    expect(() => run(hypervisor.createVm({ name: 'new', vcpus: 1, memoryMiB: 4, ...options }))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(word) }),
    )
    expect(state()).toBe(before)
  })

  test.each([0, 1, 2, 3, 4])(
    'a host with %i pages beyond the guest’s memory takes everything back',
    spare => {
      const { hypervisor, host, memory, processors, run } = bareHost()
      while (host.memory.freePages > 512 + spare) host.memory.allocate(1)
      const state = () =>
        JSON.stringify([
          hypervisor.save(),
          host.memory.save(),
          [...memory.contents()].map(([page]) => page),
          processors.map(processor => processor.view().mode),
        ])
      const before = state()
      // Five are needed: three EPT tables, a VMXON region and a VMCS.
      expect(() => run(hypervisor.createVm({ ...VM, memoryMiB: 2 }))).toThrow(
        expect.objectContaining({ code: 'outOfMemory' }),
      )
      expect(state()).toBe(before)
    },
  )

  test('what does not exist is not found', () => {
    const { hypervisor, run } = withVm()
    const notFound = expect.objectContaining({ code: 'notFound' })
    expect(() => hypervisor.vm('two')).toThrow(notFound)
    expect(() => run(hypervisor.deleteVm('two'))).toThrow(notFound)
    expect(() => run(hypervisor.runVcpu('one', 1, []))).toThrow(notFound)
    expect(() => run(hypervisor.detach('one', '0000:00:01.0'))).toThrow(notFound)
  })
})

describe('guest memory', () => {
  test('what the guest writes the host reads, without a VM exit', () => {
    const { hypervisor, exitsOf } = withVm()
    expect(
      exitsOf([{ op: 'write', address: 0x12_3456, width: 8, value: [0x4433_2211, 0x8877_6655] }]),
    ).toEqual([])
    expect([...hypervisor.readGuest('one', 0x12_3456, 8)]).toEqual([
      0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
    ])
  })

  test('and the other way round', () => {
    const { hypervisor, execute } = withVm()
    hypervisor.writeGuest('one', 0xfff, Uint8Array.of(0xaa, 0xbb))
    expect(execute([{ op: 'read', address: 0xffe, width: 4 }]).results).toMatchObject([{ low: 0x00bb_aa00 }])
  })

  test('two machines never share a page', () => {
    const { hypervisor, run, execute } = withVm()
    run(hypervisor.createVm({ ...VM, name: 'two' }))
    execute([{ op: 'write', address: 0x3000, width: 4, value: [1, 0] }])
    expect([...hypervisor.readGuest('two', 0x3000, 4)]).toEqual([0, 0, 0, 0])
  })

  test('beyond it nothing answers: reads are all ones, writes are lost', () => {
    const { execute } = withVm()
    const { results, exits } = execute([
      { op: 'write', address: 0x40_0000, width: 4, value: [1, 0] },
      { op: 'read', address: 0x40_0000, width: 4 },
      { op: 'read', address: 0xc000_0000, width: 8 },
      { op: 'read', address: 0xc000_0001, width: 2 },
    ])
    expect(results.slice(1)).toMatchObject([
      { low: 0xffff_ffff, high: 0 },
      { low: 0xffff_ffff, high: 0xffff_ffff },
      { low: 0xffff, high: 0 },
    ])
    expect(exits[0]).toEqual({
      reason: 'eptViolation',
      code: 48,
      qualification: {
        read: false,
        write: true,
        fetch: false,
        readable: false,
        writable: false,
        executable: false,
      },
      guestPhysicalAddress: '0x400000',
      handledBy: 'noDevice',
      operation: 0,
    })
  })

  test('an access across the end of memory reads memory and ones', () => {
    const { execute, hypervisor } = withVm()
    hypervisor.writeGuest('one', 0x3f_fffc, Uint8Array.of(1, 2, 3, 4))
    expect(execute([{ op: 'read', address: 0x3f_fffe, width: 4 }]).results).toMatchObject([
      { low: 0xffff_0403 },
    ])
  })
})

describe('VM exits', () => {
  test('each instruction exits as the controls say', () => {
    const { exitsOf } = withVm()
    const operations: Operation[] = [
      { op: 'cpuid', leaf: 0 },
      { op: 'in', port: 0x60, width: 1 },
      { op: 'out', port: 0xcf8, width: 4, value: 0 },
      { op: 'rdmsr', msr: 0x1b },
      { op: 'wrmsr', msr: 0x808, value: [0, 0] },
      { op: 'vmcall', number: 0 },
      { op: 'pause' },
      { op: 'cli' },
      { op: 'sti' },
    ]
    expect(exitsOf(operations).map(({ reason, handledBy }) => [reason, handledBy])).toEqual([
      ['cpuid', 'cpuid'],
      ['ioInstruction', 'noDevice'],
      ['ioInstruction', 'virtualPci'],
      ['rdmsr', 'virtualApic'],
      ['wrmsr', 'virtualApic'],
      ['vmcall', 'hypercall'],
    ])
  })

  test('exits are counted, and the last of a run is the idle loop’s HLT', () => {
    const { execute, hypervisor } = withVm()
    const before = hypervisor.vcpu('one', 0).exitsByReason
    const { exits } = execute([{ op: 'cpuid', leaf: 0 }])
    expect(exits.map(({ reason, operation }) => [reason, operation])).toEqual([
      ['cpuid', 0],
      ['hlt', null],
    ])
    const after = hypervisor.vcpu('one', 0).exitsByReason
    expect([after['cpuid']! - before['cpuid']!, after['hlt']! - before['hlt']!]).toEqual([1, 1])
  })

  test('CPUID shows the hypervisor and x2APIC, and no VMX', () => {
    const { execute } = withVm({ vcpus: 2 })
    const [one, signature] = execute(
      [
        { op: 'cpuid', leaf: 1 },
        { op: 'cpuid', leaf: 0x4000_0000 },
      ],
      1,
    ).results
    expect([(one!.ecx >>> 31) & 1, (one!.ecx >>> 21) & 1, (one!.ecx >>> 5) & 1]).toEqual([1, 1, 0])
    expect([one!.ebx >>> 24, (one!.ebx >>> 16) & 0xff]).toEqual([1, 2])
    const { ebx, ecx, edx } = signature!
    expect(Buffer.from(Uint32Array.of(ebx, ecx, edx).buffer).toString()).toBe('Northbridge ')
  })

  test('VMX instructions raise #UD, unknown MSRs #GP; the guest goes on with the next operation', () => {
    const { execute, hypervisor } = withVm()
    const { results } = execute([
      { op: 'vmxon', address: 0x1000 },
      { op: 'rdmsr', msr: 0x8000_0000 },
      { op: 'wrmsr', msr: 0x80b, value: [1, 0] },
      { op: 'vmcall', number: 2, argument: 77 },
    ])
    expect(results).toMatchObject([
      { outcome: 'exception', vector: 6, error: 0 },
      { outcome: 'exception', vector: 13, error: 0 },
      { outcome: 'exception', vector: 13, error: 0 },
      { outcome: 'done', low: 77 },
    ])
    // The guest kernel's exception handlers count: 256 dwords at 90000h.
    expect(hypervisor.readGuest('one', 0x9_0000 + 13 * 4, 1)[0]).toBe(2)
    expect(hypervisor.readGuest('one', 0x9_0000 + 6 * 4, 1)[0]).toBe(1)
  })

  test('an exception leaves interrupts as they were', () => {
    const { execute, hypervisor } = withVm()
    execute([{ op: 'cli' }, { op: 'rdmsr', msr: 0x8000_0000 }])
    expect(hypervisor.vcpu('one', 0).interruptsEnabled).toBe(false)
  })

  test('HLT with nothing to wait for ends the stream', () => {
    const { execute } = withVm()
    const { results, exits } = execute([{ op: 'hlt' }, { op: 'cpuid', leaf: 0 }])
    expect(results).toMatchObject([{ outcome: 'halted' }])
    expect(exits.map(({ reason, handledBy }) => [reason, handledBy])).toEqual([['hlt', 'halt']])
  })

  test('a malformed stream is refused before anything runs', () => {
    const { hypervisor, run } = withVm()
    const before = JSON.stringify(hypervisor.save())
    const stream = [
      { op: 'cpuid', leaf: 0 },
      { op: 'in', port: 1, width: 3 },
    ] as unknown as Operation[]
    expect(() => run(hypervisor.runVcpu('one', 0, stream))).toThrow(
      expect.objectContaining({ code: 'invalidArgument' }),
    )
    expect(JSON.stringify(hypervisor.save())).toBe(before)
  })
})

describe('interrupts', () => {
  const selfIpi = (vector: number): Operation => ({ op: 'wrmsr', msr: 0x83f, value: [vector, 0] })
  const count = (parts: ReturnType<typeof withVm>, vector: number, vcpu = 0): number =>
    parts.hypervisor.readGuest('one', 0x9_0000 + vcpu * 0x400 + vector * 4, 1)[0]!

  test('a self-IPI is injected at the next VM entry; the handler ends it', () => {
    const parts = withVm()
    const { exits } = parts.execute([selfIpi(0x41), { op: 'pause' }])
    expect(count(parts, 0x41)).toBe(1)
    expect(exits.map(({ reason, operation }) => [reason, operation])).toEqual([
      ['wrmsr', 0],
      // The handler's EOI, before PAUSE could run.
      ['wrmsr', 1],
      ['hlt', null],
    ])
    expect(parts.hypervisor.vcpu('one', 0)).toMatchObject({
      pending: [],
      inService: [],
      injected: { '0x41': 1 },
    })
  })

  test('with interrupts off it stays pending until STI opens the window', () => {
    const parts = withVm()
    parts.execute([{ op: 'cli' }, selfIpi(0x41)])
    expect(parts.hypervisor.vcpu('one', 0)).toMatchObject({ pending: [0x41], interruptsEnabled: false })
    expect(count(parts, 0x41)).toBe(0)
    const { exits } = parts.execute([{ op: 'sti' }, { op: 'pause' }, { op: 'pause' }])
    expect(exits.map(({ reason, operation }) => [reason, operation])).toEqual([
      // STI holds interrupts off until after the next operation.
      ['interruptWindow', 2],
      ['wrmsr', 2],
      ['hlt', null],
    ])
    expect(count(parts, 0x41)).toBe(1)
  })

  test('TPR holds it back; lowering TPR lets it through', () => {
    const parts = withVm()
    const tpr = (value: number): Operation => ({ op: 'wrmsr', msr: 0x808, value: [value, 0] })
    parts.execute([tpr(0x40), selfIpi(0x4f)])
    expect(parts.hypervisor.vcpu('one', 0)).toMatchObject({ pending: [0x4f], taskPriority: 0x40 })
    parts.execute([tpr(0x30)])
    expect(count(parts, 0x4f)).toBe(1)
  })

  test('two at once: the higher class first, each handler ended before the lower is taken', () => {
    const parts = withVm()
    parts.execute([
      { op: 'cli' },
      selfIpi(0x41),
      selfIpi(0x52),
      { op: 'sti' },
      { op: 'pause' },
      { op: 'pause' },
    ])
    expect([count(parts, 0x41), count(parts, 0x52)]).toEqual([1, 1])
    const injected = parts.engine.trace
      .since(0)
      .filter(({ kind, detail }) => kind === 'interrupt' && 'guestVector' in detail)
      .map(({ detail }) => detail['guestVector'])
    expect(injected).toEqual(['0x52', '0x41'])
  })

  test('HLT completes when an interrupt waits', () => {
    const parts = withVm()
    const { results } = parts.execute([
      { op: 'cli' },
      selfIpi(0x41),
      { op: 'sti' },
      { op: 'hlt' },
      { op: 'pause' },
    ])
    expect(results.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done', 'done', 'done'])
    expect(count(parts, 0x41)).toBe(1)
  })

  test('an IPI wakes another virtual processor, also one on the same host processor', () => {
    const parts = withVm({ vcpus: 3 })
    const ipi = (destination: number): Operation => ({ op: 'wrmsr', msr: 0x830, value: [0x45, destination] })
    parts.execute([ipi(1), ipi(2)])
    expect([count(parts, 0x45, 1), count(parts, 0x45, 2), count(parts, 0x45, 0)]).toEqual([1, 1, 0])
  })

  test('a host interrupt ends the guest’s turn, goes to the host, and the operation runs afterwards', () => {
    const parts = withVm()
    parts.send(0, 0x31)
    const { results, exits } = parts.execute([{ op: 'vmcall', number: 2, argument: 5 }])
    expect(exits.map(({ reason, handledBy, qualification }) => [reason, handledBy, qualification])).toEqual([
      ['externalInterrupt', 'hostInterrupt', { type: 0, vector: 0x31 }],
      ['vmcall', 'hypercall', {}],
      ['hlt', 'halt', {}],
    ])
    expect(results).toMatchObject([{ outcome: 'done', low: 5 }])
    expect(parts.taken).toEqual([[0, 0x31]])
  })

  test('the xAPIC page answers in xAPIC mode only', () => {
    const parts = withVm()
    const page: Operation = { op: 'read', address: 0xfee0_0030, width: 4 }
    expect(parts.execute([page]).results).toMatchObject([{ low: 0xffff_ffff }])
    const { results, exits } = parts.execute([
      { op: 'wrmsr', msr: 0x1b, value: [0xfee0_0000, 0] },
      { op: 'wrmsr', msr: 0x1b, value: [0xfee0_0800, 0] },
      page,
      { op: 'write', address: 0xfee0_0080, width: 4, value: [0x20, 0] },
    ])
    expect(results[2]).toMatchObject({ low: 0x0006_0014 })
    expect(exits.slice(2, 4).map(({ handledBy }) => handledBy)).toEqual(['virtualApic', 'virtualApic'])
    expect(parts.hypervisor.vcpu('one', 0).taskPriority).toBe(0x20)
  })
})

test('the same commands give the same trace and the same state', () => {
  const story = () => {
    const { execute, hypervisor, engine } = withVm({ vcpus: 2 })
    execute([
      { op: 'wrmsr', msr: 0x830, value: [0x45, 1] },
      { op: 'rdmsr', msr: 0x10 },
    ])
    return JSON.stringify([engine.trace.since(0), hypervisor.save()])
  }
  expect(story()).toBe(story())
})
