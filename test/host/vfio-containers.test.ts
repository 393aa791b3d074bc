/** "VFIO: containers, groups": an address space that several groups share, whatever unit each of them is behind. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type AssignedFunction, HostKernel } from '../../src/host/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { type Booted, boot, machine } from './machine.ts'

const PF = '0000:01:00.0'
const [VF0, VF1, VF2] = ['0000:01:10.0', '0000:01:10.2', '0000:01:10.4'] as const
const READ_WRITE = { read: true, write: true }

const withVfs = (): Booted => boot(machine(), { bootVfs: { [PF]: 3 } })

function attach({ run, host }: Booted, address: string, container?: string): AssignedFunction {
  const handle = run(host.vfio.attach(address, 'guest', { container }))
  handle.writeConfig(4, 2, 0x4)
  return handle
}

describe('groups in one container', () => {
  it('reach the same memory at the same addresses, mapped by whichever handle, before or after they came', () => {
    const booted = withVfs()
    const { host, run, dma } = booted
    const first = attach(booted, VF0, 'c')
    const page = host.memory.allocate(2)
    run(first.map(0x10_0000, page, 1, READ_WRITE))
    const second = attach(booted, VF1, 'c')
    run(second.map(0x20_0000, page + 1, 1, READ_WRITE))
    for (const address of [VF0, VF1]) {
      expect(dma(address, true, 0x100)).toMatchObject({ ended: 'memory', page })
      expect(dma(address, true, 0x200)).toMatchObject({ ended: 'memory', page: page + 1 })
    }
    expect(second.domain).toBe(first.domain)
  })

  it('keep what is mapped twice until it is unmapped twice; what one handle mapped goes with it', () => {
    const booted = withVfs()
    const { host, run, dma } = booted
    const [first, second] = [attach(booted, VF0, 'c'), attach(booted, VF1, 'c')]
    const page = host.memory.allocate(2)
    for (const handle of [first, second]) run(handle.map(0, page, 1, READ_WRITE))
    run(first.map(0x1000, page + 1, 1, READ_WRITE))
    run(first.release())
    expect(dma(VF1, true, 0)).toMatchObject({ ended: 'memory', page })
    expect(dma(VF1, true, 1).ended).toBe('fault')
    run(second.unmap(0, 1))
    expect(dma(VF1, true, 0).ended).toBe('fault')
  })

  it('leave nothing behind when the last one goes', () => {
    const booted = withVfs()
    const before = booted.host.save()
    const handles = [VF0, VF1, VF2].map(address => attach(booted, address, 'c'))
    const page = booted.host.memory.allocate(1)
    for (const handle of handles) booted.run(handle.map(0, page, 1, READ_WRITE))
    for (const handle of handles) booted.run(handle.release())
    booted.host.memory.free(page, 1)
    expect(booted.host.save()).toEqual(before)
  })

  it('refuse at one address what is there otherwise already', () => {
    const booted = withVfs()
    const { host, run } = booted
    const [first, second] = [attach(booted, VF0, 'c'), attach(booted, VF1, 'c')]
    const page = host.memory.allocate(2)
    run(first.map(0, page, 1, READ_WRITE))
    const before = booted.hash()
    expect(() => run(second.map(0, page + 1, 1, READ_WRITE))).toThrow(/mapped otherwise already/)
    expect(booted.hash()).toBe(before)
  })

  it('reach nothing of other containers of the same user', () => {
    const booted = withVfs()
    const { host, run, dma } = booted
    const first = attach(booted, VF0, 'a')
    attach(booted, VF1, 'b')
    attach(booted, VF2)
    run(first.map(0, host.memory.allocate(1), 1, READ_WRITE))
    expect([VF0, VF1, VF2].map(address => dma(address, true, 0).ended)).toEqual(['memory', 'fault', 'fault'])
  })

  it('are refused if no memory is left for the tables of one more domain, with nothing changed', () => {
    const booted = boot(twoUnits())
    attach(booted, LIKE, 'c')
    while (booted.host.memory.freePages > 0) booted.host.memory.allocate(1)
    const before = booted.hash()
    expect(() => attach(booted, UNLIKE, 'c')).toThrow(/pages of host memory/)
    expect(booted.hash()).toBe(before)
  })
})

/** Behind a unit in scalable mode, and behind one in legacy mode; that one walks tables without large leaves only. */
const [LIKE, UNLIKE] = ['0000:81:00.1', '0000:01:10.0']
const file = join(import.meta.dirname, '../../topologies/accelerator-two-units.json')
const twoUnits = (largeLeaves = false): TopologyDocument => {
  const document = JSON.parse(readFileSync(file, 'utf8')) as TopologyDocument
  const { units } = document.iommu as Extract<TopologyDocument['iommu'], { kind: 'intel-vtd' }>
  units[1]!.capabilities = { ...units[1]!.capabilities, ...(!largeLeaves && { SSLPS: 0 }) }
  return document
}

describe('a group whose unit cannot walk the tables that are there', () => {
  it('gets a domain of its own, in which everything is mapped that the container has, then and later', () => {
    const booted = boot(twoUnits())
    const { host, run, dma } = booted
    const one = attach(booted, LIKE, 'c')
    const page = host.memory.allocate(2)
    run(one.map(0, page, 1, READ_WRITE))
    const other = attach(booted, UNLIKE, 'c')
    expect(other.domain).not.toBe(one.domain)
    run(one.map(0x1000, page + 1, 1, READ_WRITE))
    for (const address of [LIKE, UNLIKE])
      for (const i of [0, 1]) expect(dma(address, true, i)).toMatchObject({ ended: 'memory', page: page + i })
    run(one.unmap(0, 1))
    for (const address of [LIKE, UNLIKE]) expect(dma(address, true, 0).ended).toBe('fault')
    run(other.release())
    expect(dma(LIKE, true, 1)).toMatchObject({ ended: 'memory', page: page + 1 })
  })

  it('shares the domain if it can walk its tables, legacy mode or scalable', () => {
    const booted = boot(twoUnits(true))
    expect(attach(booted, LIKE, 'c').domain).toBe(attach(booted, UNLIKE, 'c').domain)
  })

  it('is not taken while dirty pages are tracked and its unit cannot: they would be missed', () => {
    const booted = boot(twoUnits())
    const { run } = booted
    run(attach(booted, LIKE, 'c').trackDirty(true))
    const before = booted.hash()
    expect(() => attach(booted, UNLIKE, 'c')).toThrow(/does not set dirty bits/)
    expect(booted.hash()).toBe(before)
  })

  it('is put back where it was after a restore', () => {
    const booted = boot(twoUnits())
    const { host, run } = booted
    const one = attach(booted, LIKE, 'c')
    attach(booted, UNLIKE, 'c')
    run(one.map(0, host.memory.allocate(1), 1, READ_WRITE))
    const saved = host.save()
    const { commandLine, kernel } = booted.platform.topology.host
    const options = { engine: booted.engine, ...(commandLine && { commandLine }), ...(kernel && { kernel }) }
    const restored = HostKernel.restore(booted.platform.port, options, saved)
    expect(restored.save()).toEqual(saved)
  })
})

describe('a function whose group is in a container', () => {
  it('is refused for another one: a group is in one address space', () => {
    // Two functions without access control between them: one group.
    const booted = boot(machine())
    const { host, run } = booted
    const pair = host.groups().find(({ functions }) => {
      const kinds = functions.map(address => host.find(address).kind)
      return functions.length >= 2 && kinds.every(kind => kind === 'endpoint' || kind === 'PF')
    })!
    const [one, two] = pair.functions
    for (const address of pair.functions) run(host.bind(address, null))
    attach(booted, one!, 'a')
    const before = booted.hash()
    expect(() => attach(booted, two!, 'b')).toThrow(/is in container "a"/)
    expect(booted.hash()).toBe(before)
    attach(booted, two!, 'a')
  })
})
