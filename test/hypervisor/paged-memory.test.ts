import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { VmOptions } from '../../src/hypervisor/index.ts'
import { bareHost } from './bare-host.ts'

const PAGED = { vcpus: 1, memoryMiB: 8, backing: 'paged', hugePages: 'none' } as const

function hostWith(...machines: Partial<VmOptions>[]) {
  const parts = bareHost()
  const before = parts.host.memory.save()
  for (const [i, options] of machines.entries()) {
    parts.run(parts.hypervisor.createVm({ name: `vm${i}`, ...PAGED, ...options }))
  }
  const { hypervisor } = parts
  const write = (vm: number, page: number, byte: number): void =>
    hypervisor.writeGuest(`vm${vm}`, page * 4096, new Uint8Array(4096).fill(byte))
  const byteAt = (vm: number, page: number): number => hypervisor.readGuest(`vm${vm}`, page * 4096 + 7, 1)[0]!
  const guestWrites = (vm: number, page: number, value: number) =>
    parts.run(
      hypervisor.runVcpu(`vm${vm}`, 0, [
        { op: 'write', address: page * 4096 + 4, width: 4, value: [value, 0] },
      ]),
    )
  const guestReads = (vm: number, page: number): number =>
    parts.run(hypervisor.runVcpu(`vm${vm}`, 0, [{ op: 'read', address: page * 4096 + 4, width: 4 }]))
      .results[0]!.low
  return {
    ...parts,
    before,
    write,
    byteAt,
    guestWrites,
    guestReads,
    view: (vm: number) => hypervisor.memory.view(`vm${vm}`),
  }
}

describe('demand', () => {
  test('a machine takes host pages for what its kernel and drivers touch, and no more', () => {
    const { view } = hostWith({})
    expect(view(0).resident).toBeLessThan(16)
    expect(view(0).resident).toBeGreaterThan(2)
  })

  test('the first write of a page is an EPT violation that the hypervisor answers with memory', () => {
    const { guestWrites, guestReads, view } = hostWith({})
    const { resident } = view(0)
    const { exits } = guestWrites(0, 700, 0xabcd)
    expect(exits.filter(({ operation }) => operation === 0)).toMatchObject([
      { reason: 'eptViolation', handledBy: 'memory', guestPhysicalAddress: '0x2bc004' },
    ])
    expect(guestWrites(0, 700, 0x1234).exits.filter(({ operation }) => operation === 0)).toEqual([])
    expect(guestReads(0, 700)).toBe(0x1234)
    expect(view(0).resident).toBe(resident + 1)
  })

  test('a page that was never written reads as zeros and takes none', () => {
    const { guestReads, guestWrites, byteAt, view } = hostWith({})
    const { resident } = view(0)
    expect(guestReads(0, 900)).toBe(0)
    expect(byteAt(0, 901)).toBe(0)
    expect(view(0).resident).toBe(resident)
    guestWrites(0, 900, 5)
    expect(guestReads(0, 900)).toBe(5)
  })

  test('2 MiB that are used first get one large page', () => {
    const { guestWrites, view } = hostWith({ hugePages: '2MiB' })
    guestWrites(0, 1024, 1)
    const first = guestWrites(0, 1500, 2).exits.filter(({ operation }) => operation === 0)
    expect(first).toEqual([])
    expect(view(0).largePages).toBeGreaterThan(0)
  })

  test('deleting gives every page back', () => {
    const { hypervisor, host, before, run, write } = hostWith({}, { hugePages: '2MiB' })
    for (let page = 600; page < 700; page++) for (const vm of [0, 1]) write(vm, page, 3)
    hypervisor.memory.share(true)
    hypervisor.memory.swapOut('vm0', 1)
    run(hypervisor.deleteVm('vm0'))
    run(hypervisor.deleteVm('vm1'))
    expect(host.memory.save()).toEqual(before)
  })
})

describe('the balloon', () => {
  test('asks the guest, whose driver gives pages from the end of its memory', () => {
    const { hypervisor, run, write, byteAt, view } = hostWith({})
    write(0, 2047, 9)
    const { resident } = view(0)
    const after = run(hypervisor.memory.setBalloon('vm0', 2))
    expect(after).toMatchObject({
      balloon: { wanted: 512, actual: 512, driven: true },
      ballooned: 512,
      resident: resident - 1,
    })
    expect(byteAt(0, 2047)).toBe(0)
    expect(run(hypervisor.memory.setBalloon('vm0', 0))).toMatchObject({
      balloon: { actual: 0 },
      ballooned: 0,
    })
  })

  test('the guest keeps what it uses: its kernel and drivers lie in the first 2 MiB', () => {
    const { hypervisor, run } = hostWith({})
    expect(run(hypervisor.memory.setBalloon('vm0', 8)).balloon).toEqual({
      wanted: 2048,
      actual: 1536,
      driven: true,
    })
  })

  test('a guest that writes into its balloon gets memory of zeros', () => {
    const { hypervisor, run, guestWrites, guestReads, view } = hostWith({})
    guestWrites(0, 2000, 1)
    run(hypervisor.memory.setBalloon('vm0', 1))
    guestWrites(0, 2001, 7)
    expect([guestReads(0, 2000), guestReads(0, 2001)]).toEqual([0, 7])
    expect(view(0).ballooned).toBe(255)
  })
})

describe('sharing', () => {
  test('pages of the same contents are kept once and copied for who writes', () => {
    const { hypervisor, host, write, byteAt, guestWrites, guestReads, view } = hostWith({}, {})
    hypervisor.memory.setSharing('host')
    for (const vm of [0, 1]) for (let page = 600; page < 610; page++) write(vm, page, page % 10 === 0 ? 1 : 2)
    const free = host.memory.freePages
    expect(hypervisor.memory.share(false).merged).toBeGreaterThanOrEqual(18)
    expect(host.memory.freePages - free).toBeGreaterThanOrEqual(18)
    const { shared } = view(0)
    expect(shared).toBeGreaterThanOrEqual(10)
    expect(guestReads(0, 605)).toBe(0x0202_0202)
    guestWrites(0, 605, 0x55)
    expect([guestReads(0, 605), guestReads(0, 606), byteAt(1, 605)]).toEqual([0x55, 0x0202_0202, 2])
    expect(view(0)).toMatchObject({ shared: shared - 1 })
  })

  test('machines do not share with each other unless they are said to: timing would tell what the other one has', () => {
    const { hypervisor, write, view } = hostWith({}, {})
    for (const vm of [0, 1]) write(vm, 600, 4)
    hypervisor.memory.share(false)
    const apart = view(0).shared
    hypervisor.memory.setSharing('host')
    hypervisor.memory.share(false)
    expect(view(0).shared).toBeGreaterThan(apart)
    expect(view(1).shared).toBe(view(0).shared)
  })

  test('pages of zeros need no host page at all', () => {
    const { hypervisor, write, byteAt, view } = hostWith({})
    write(0, 600, 1)
    write(0, 600, 0)
    const { resident } = view(0)
    hypervisor.memory.share(false)
    expect(view(0).resident).toBeLessThan(resident)
    expect(byteAt(0, 600)).toBe(0)
  })
})

describe('swapping', () => {
  test('contents come back when they are used', () => {
    const { hypervisor, guestWrites, guestReads, byteAt, view } = hostWith({})
    for (let page = 600; page < 620; page++) guestWrites(0, page, page)
    hypervisor.memory.swapOut('vm0', 8)
    expect(view(0)).toMatchObject({ resident: 0 })
    expect(guestReads(0, 611)).toBe(611)
    expect(byteAt(0, 612)).toBe(0)
    expect(hypervisor.readGuest('vm0', 612 * 4096 + 4, 2)).toEqual(Uint8Array.of(612 & 0xff, 2))
  })

  test('a machine at its limit gives up a page for each that it gets', () => {
    const { guestWrites, guestReads, view } = hostWith({ memorySettings: { limitMiB: 1 } })
    for (let page = 512; page < 1024; page++) guestWrites(0, page, page)
    expect(view(0).resident).toBeLessThanOrEqual(256)
    for (let page = 512; page < 1024; page += 37) expect(guestReads(0, page)).toBe(page)
  })

  test('a reservation is kept: who would break it is not admitted', () => {
    const { hypervisor, run, host } = hostWith({ memoryMiB: 40, memorySettings: { reservationMiB: 40 } })
    const before = host.memory.save()
    expect(() =>
      run(hypervisor.createVm({ name: 'more', ...PAGED, memorySettings: { reservationMiB: 8 } })),
    ).toThrow(/reservation of 2048 pages cannot be kept/)
    expect(host.memory.save()).toEqual(before)
  })
})

test('machines whose memory together is larger than the host’s keep what they wrote', () => {
  const { guestReads, host, hypervisor, run } = hostWith(
    { memoryMiB: 24 },
    { memoryMiB: 24 },
    { memoryMiB: 24, hugePages: '2MiB' },
  )
  for (const vm of [0, 1, 2]) {
    for (let page = 512; page < 6144; page += 512) {
      const writes = Array.from({ length: 512 }, (_, i) => {
        const value = [vm * 0x10000 + page + i, 0] as const
        return { op: 'write', address: (page + i) * 4096 + 4, width: 4, value } as const
      })
      run(hypervisor.runVcpu(`vm${vm}`, 0, writes))
    }
  }
  expect(host.memory.freePages).toBeGreaterThan(60)
  expect(hypervisor.memory.views().reduce((sum, { swapped }) => sum + swapped, 0)).toBeGreaterThan(3000)
  for (const vm of [0, 1, 2])
    for (let page = 512; page < 6144; page += 331) expect(guestReads(vm, page)).toBe(vm * 0x10000 + page)
})

test('whatever is done to memory, guests and hypervisor read what was written last', () => {
  const command = fc.record({
    kind: fc.constantFrom(
      'guest',
      'host',
      'guest',
      'host',
      'swap',
      'share',
      'balloon',
      'collapse',
      'balance',
      'limit',
    ),
    vm: fc.nat(1),
    page: fc.nat(300),
    value: fc.integer({ min: 0, max: 3 }),
  })
  fc.assert(
    fc.property(fc.array(command, { minLength: 5, maxLength: 40 }), commands => {
      const { hypervisor, run, guestWrites, guestReads, byteAt, write } = hostWith({}, { hugePages: '2MiB' })
      hypervisor.memory.setSharing('host')
      const reference = [new Map<number, number>(), new Map<number, number>()]
      for (const { kind, vm, page: near, value } of commands) {
        const page = 512 + near
        const name = `vm${vm}`
        if (kind === 'guest') guestWrites(vm, page, value * 0x0101_0101)
        else if (kind === 'host') write(vm, page, value)
        else if (kind === 'swap') hypervisor.memory.swapOut(name, 1 + value)
        else if (kind === 'share') hypervisor.memory.share(value > 1)
        else if (kind === 'balloon') run(hypervisor.memory.setBalloon(name, value))
        else if (kind === 'collapse') hypervisor.memory.collapse(name)
        else if (kind === 'balance') run(hypervisor.memory.balance())
        else hypervisor.memory.set(name, { limitMiB: 8 - value })
        if (kind === 'guest' || kind === 'host') reference[vm]!.set(page, value)
        const word = (reference[vm]!.get(page) ?? 0) * 0x0101_0101
        expect(near % 2 === 0 ? guestReads(vm, page) : byteAt(vm, page)).toBe(
          near % 2 === 0 ? word : word & 0xff,
        )
      }
      for (const vm of [0, 1]) {
        for (const [page, value] of reference[vm]!) expect(guestReads(vm, page)).toBe(value * 0x0101_0101)
      }
      const held = hypervisor.memory.views().flatMap(({ vm }) => hypervisor.hostMemoryOf(vm))
      const frames = held.flatMap(({ hostPage, pages }) =>
        Array.from({ length: pages }, (_, i) => hostPage + i),
      )
      expect(new Set(frames).size).toBe(frames.length)
    }),
    { numRuns: 40 },
  )
})
