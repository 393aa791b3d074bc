import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import type { AssignedFunction } from '../../src/host/index.ts'
import { type Booted, boot, machine } from './machine.ts'

const PF = '0000:01:00.0'
const [VF0, VF1, VF2] = ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4'] as const
const READ_WRITE = { read: true, write: true }

const withVfs = (...[document, options]: Parameters<typeof boot> | []): Booted =>
  boot(document ?? machine(), { bootVfs: { [PF]: 3 }, ...options })

function refused(booted: Booted, address: string, owner = 'guest'): NorthbridgeError {
  const before = booted.hash()
  let refusal: unknown
  try {
    booted.run(booted.host.vfio.attach(address, owner))
  } catch (error) {
    refusal = error
  }
  expect(booted.hash()).toBe(before)
  return refusal as NorthbridgeError
}

const busMaster = (handle: AssignedFunction): void => handle.writeConfig(4, 2, 0x4)

describe('an assigned function', () => {
  it('reaches what is mapped for it, with the rights of the mapping, and nothing else', () => {
    const { host, run, dma, platform } = withVfs()
    const handle = run(host.vfio.attach(VF0, 'guest'))
    const page = host.memory.allocate(2)
    run(handle.map(0x1_0000_0000, page, 1, READ_WRITE))
    run(handle.map(0x1_0000_1000, page + 1, 1, { read: true, write: false }))
    expect(dma(VF0, true, 0x10_0000)).toMatchObject({ ended: 'notIssued' })
    busMaster(handle)
    expect(dma(VF0, true, 0x10_0000, [9, 8, 7, 6])).toMatchObject({ ended: 'memory', page })
    const bytes = new Uint8Array(4)
    platform.memory.read(page * 4096, bytes)
    expect([...bytes]).toEqual([9, 8, 7, 6])
    expect(dma(VF0, true, 0x10_0001)).toMatchObject({ ended: 'fault', reason: 0x05 })
    expect(dma(VF0, false, 0x10_0001)).toMatchObject({ ended: 'memory', page: page + 1 })
    expect(dma(VF0, false, 0x10_0002)).toMatchObject({ ended: 'fault', reason: 0x06 })
    expect(dma(VF1, true, 0x10_0000)).toMatchObject({ ended: 'fault' })
  })

  it('loses a page with unmap, although the IOTLB had its translation', () => {
    const { host, run, dma } = withVfs()
    const handle = run(host.vfio.attach(VF0, 'guest'))
    const page = host.memory.allocate(512, 512)
    busMaster(handle)
    run(handle.map(0, page, 512, READ_WRITE))
    expect(dma(VF0, true, 7)).toMatchObject({ ended: 'memory', page: page + 7 })
    run(handle.unmap(0, 512))
    expect(dma(VF0, true, 7)).toMatchObject({ ended: 'fault', reason: 0x05 })
  })

  it('is back with its driver after release: the same DMA faults, and nothing is left over', () => {
    const { host, run, dma, platform } = withVfs()
    const before = host.save()
    const handle = run(host.vfio.attach(VF0, 'guest'))
    expect(host.find(VF0)).toMatchObject({ driver: 'vfio-pci', owner: { kind: 'vm', name: 'guest' } })
    const page = host.memory.allocate(1)
    busMaster(handle)
    run(handle.map(0x4000, page, 1, READ_WRITE))
    run(handle.enableInterrupts(3, () => {}, 1))
    run(handle.release())
    host.memory.free(page, 1)
    expect(dma(VF0, true, 4)).toMatchObject({ ended: 'fault', reason: 0x05 })
    expect(host.find(VF0).owner).toEqual({ kind: 'driver', name: 'igbvf' })
    expect(host.save()).toEqual(before)
    expect(platform.units[0]!.faultRecords().at(-1)).toMatchObject({ source: '01:10.0' })
  })

  it.each([
    ['remappable, to x2APIC destinations', {}, true],
    ['remappable, to xAPIC destinations', { EIM: 0 }, true],
    ['in compatibility format', { IR: 0, EIM: 0 }, false],
  ])('has its interrupts delivered %s', (_, capabilities, remapped) => {
    const commandLine = 'intel_iommu=on vfio_iommu_type1.allow_unsafe_interrupts=1'
    const { host, run, platform } = withVfs(machine(capabilities, { host: { commandLine } }))
    const handle = run(host.vfio.attach(VF0, 'guest'))
    busMaster(handle)
    const arrived: number[] = []
    run(handle.enableInterrupts(3, index => arrived.push(index), 1))
    const engine = platform.engineOf(platform.fabric.functionAt(0, host.find(VF0).rid)!)
    for (const index of [0, 2, 1]) {
      const { signal, request } = engine.fire(index)
      expect(signal).toBe('sent')
      expect(request.interrupt).toMatchObject({ remapped, processor: 1 })
    }
    expect(host.serviceInterrupts()).toBe(3)
    expect(arrived.sort()).toEqual([0, 1, 2])
    run(handle.disableInterrupts())
    expect(engine.fire(0).signal).toBe('disabled')
  })

  it('does not let its guest move BARs, MSI-X or Command.MSE', () => {
    const { host, run } = withVfs()
    const handle = run(host.vfio.attach('0000:07:01.0', 'guest'))
    const [bar, command] = [handle.readConfig(0x10, 4), handle.readConfig(4, 2)]
    handle.writeConfig(0x10, 4, 0xdead_0000)
    handle.writeConfig(4, 2, 0x4)
    expect(handle.readConfig(0x10, 4)).toBe(bar)
    expect(handle.readConfig(4, 2) & 0x7).toBe((command & 0x3) | 0x4)
    const vf = run(host.vfio.attach(VF0, 'guest'))
    expect(vf.readConfig(0, 4)).toBe(0x10ca_8086)
    const control = vf.readConfig(vf.msi?.capability ?? 0x70, 4)
    vf.writeConfig(0x70, 4, 0xffff_ffff)
    expect(vf.readConfig(0x70, 4)).toBe(control)
  })

  it('maps a range once, and counts the same mapping of a mate in its group', () => {
    const document = machine({}, { host: { commandLine: 'intel_iommu=on' } })
    const { host, run, dma } = boot(document, { missingDrivers: ['e1000e', 'nvme'] })
    const [nic, disk] = ['0000:04:00.0', '0000:05:00.0'] as const
    const first = run(host.vfio.attach(nic, 'guest'))
    const second = run(host.vfio.attach(disk, 'guest'))
    expect(second.domain).toBe(first.domain)
    const page = host.memory.allocate(1)
    run(first.map(0x8000, page, 1, READ_WRITE))
    run(second.map(0x8000, page, 1, READ_WRITE))
    expect(() => run(second.map(0x8000, page, 1, { read: true, write: false }))).toThrow(/mapped otherwise/)
    busMaster(first)
    run(second.release())
    expect(dma(nic, true, 8)).toMatchObject({ ended: 'memory', page })
    run(first.release())
    expect(host.find(nic).owner).toEqual({ kind: 'none' })
  })
})

describe('a refusal of VFIO names what stands in the way and changes nothing', () => {
  it('no such function', () => {
    expect(refused(boot(machine()), '0000:09:00.0').code).toBe('notFound')
  })

  it('a bridge, a host bridge, and a PF with VFs', () => {
    const booted = withVfs()
    expect(refused(booted, '0000:00:01.0')).toMatchObject({ code: 'functionNotAssignable' })
    expect(refused(booted, '0000:00:00.0')).toMatchObject({ code: 'functionNotAssignable' })
    expect(refused(booted, PF)).toMatchObject({ code: 'functionNotAssignable', details: { errno: 'EBUSY' } })
  })

  it('a mate with a host driver: its name, its driver, and the port that lacks ACS', () => {
    const booted = boot(machine())
    const refusal = refused(booted, '0000:04:00.0')
    expect(refusal.code).toBe('groupNotViable')
    expect(refusal.details['mates']).toEqual([
      expect.objectContaining({
        function: '0000:05:00.0',
        owner: { kind: 'driver', name: 'nvme' },
        lackedBy: '0000:03:00.0',
        missing: ['ACS'],
      }),
    ])
    expect(refusal.message).toContain('0000:05:00.0')
    expect(refusal.message).toContain('nvme')
  })

  it('a mate of another virtual machine', () => {
    const booted = boot(machine(), { missingDrivers: ['e1000e', 'nvme'] })
    booted.run(booted.host.vfio.attach('0000:04:00.0', 'one'))
    expect(refused(booted, '0000:05:00.0', 'two')).toMatchObject({
      code: 'groupNotViable',
      details: { mates: [{ function: '0000:04:00.0', owner: { kind: 'vm', name: 'one' } }] },
    })
    expect(refused(booted, '0000:04:00.0', 'two').code).toBe('functionInUse')
    expect(() => booted.run(booted.host.bind('0000:05:00.0', 'nvme'))).toThrow(/owns the DMA of its group/)
  })

  it('no remapping unit, none that covers it, none wanted, or an AMD one', () => {
    const without = machine({}, { iommu: { kind: 'none' } })
    expect(refused(boot(without), '0000:07:01.0')).toMatchObject({ code: 'noRemapping' })
    expect(refused(boot(machine({}, { host: { commandLine: '' } })), PF).message).toContain('intel_iommu=on')
    const bypassed = machine()
    bypassed.hostBridges[0]!.devices![1]!.remappingUnit = null
    bypassed.iommu = { kind: 'intel-vtd', units: [{ id: 'unit' }] }
    expect(refused(boot(bypassed), PF)).toMatchObject({ code: 'noRemapping' })
  })

  it('no interrupt remapping, unless unsafe interrupts are allowed', () => {
    const capabilities = { IR: 0, EIM: 0 }
    expect(refused(withVfs(machine(capabilities)), VF0)).toMatchObject({ code: 'noInterruptRemapping' })
    const off = machine({}, { host: { commandLine: 'intel_iommu=on intremap=off' } })
    expect(refused(withVfs(off), VF0)).toMatchObject({ code: 'noInterruptRemapping' })
  })

  it('memory that firmware reserves for the function', () => {
    const reservedMemory = [{ base: '0x8000000', limit: '0x8000fff', functions: ['00:01.0/00.0'] }]
    expect(refused(boot(machine({}, { reservedMemory })), PF)).toMatchObject({
      code: 'functionNotAssignable',
      details: { errno: 'EPERM', reservedBy: PF },
    })
  })

  it('no memory for tables', () => {
    const booted = withVfs()
    while (booted.host.memory.freePages > 0) booted.host.memory.allocate(1)
    expect(refused(booted, VF0).code).toBe('outOfMemory')
  })
})

describe('whatever is assigned, mapped, unmapped and released', () => {
  it('a function reaches exactly the pages of its own virtual machine', { timeout: 30_000 }, () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('attach' as const), vf: fc.nat(2), vm: fc.nat(1) }),
      fc.record({ do: fc.constant('release' as const), vf: fc.nat(2) }),
      fc.record({
        do: fc.constant('map' as const),
        vf: fc.nat(2),
        at: fc.nat(5),
        pages: fc.constantFrom(1, 3, 512),
      }),
      fc.record({ do: fc.constant('unmap' as const), vf: fc.nat(2), at: fc.nat(5) }),
      fc.record({ do: fc.constant('dma' as const), vf: fc.nat(2), at: fc.nat(5), page: fc.nat(520) }),
    )
    const vfs = [VF0, VF1, VF2]
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), steps => {
        const { host, run, dma } = withVfs()
        const held = new Map<
          number,
          { handle: AssignedFunction; maps: Map<number, { page: number; pages: number }> }
        >()
        for (const action of steps) {
          const address = vfs[action.vf]!
          const mine = held.get(action.vf)
          if (action.do === 'attach') {
            if (mine !== undefined) continue
            const handle = run(host.vfio.attach(address, `vm${action.vm}`))
            busMaster(handle)
            held.set(action.vf, { handle, maps: new Map() })
          } else if (action.do === 'dma') {
            const target = mine?.maps.get(action.at)
            const inside = target !== undefined && action.page < target.pages
            const end = dma(address, true, 0x20_0000 + action.at * 1024 + action.page)
            expect(end.ended).toBe(inside ? 'memory' : 'fault')
            if (inside) expect(end.page).toBe(target.page + action.page)
          } else if (mine === undefined) {
          } else if (action.do === 'release') {
            run(mine.handle.release())
            held.delete(action.vf)
          } else if (action.do === 'map') {
            if (mine.maps.has(action.at)) continue
            const page = host.memory.allocate(action.pages, action.pages === 512 ? 512 : 1)
            run(mine.handle.map(0x2_0000_0000 + action.at * 0x40_0000, page, action.pages, READ_WRITE))
            mine.maps.set(action.at, { page, pages: action.pages })
          } else {
            const range = mine.maps.get(action.at)
            if (range === undefined) continue
            run(mine.handle.unmap(0x2_0000_0000 + action.at * 0x40_0000, range.pages))
            mine.maps.delete(action.at)
          }
        }
      }),
      { numRuns: 12 },
    )
  })
})
