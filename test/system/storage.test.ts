/** Disks of virtual machines: opened under each model, refused with nothing changed, and gone with what they stood on. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { NvmeSubsystem } from '../../src/devices/nvme/index.ts'
import type { BlockDriver, GuestKernel } from '../../src/guest/index.ts'
import { NvmeDriver } from '../../src/host/index.ts'
import { MemoryBackend, VirtioBlock, VirtioDevice } from '../../src/hypervisor/index.ts'
import { STATUS } from '../../src/pcie/index.ts'
import { DISK_MODELS, type DiskModel, FileStore, undoneOnFailure } from '../../src/system/index.ts'
import { DiskWorld, OTHER, PF, sector, VF } from './disk-world.ts'

describe('a namespace', () => {
  it('keeps what was written under one model for the next', () => {
    const world = DiskWorld.create('guest')
    const on: Record<DiskModel, string> = {
      emulation: PF,
      paravirtual: PF,
      queuePair: PF,
      virtualFunction: VF,
      direct: OTHER,
    }
    for (const [i, model] of DISK_MODELS.entries()) {
      if (model === 'direct') world.run(world.platform.host.setNumVfs(OTHER, 0))
      expect(world.open(model, on[model])).toMatchObject({ model, sectors: 2 ** 21 })
      // What the model before has left there, except on the other controller.
      if (i > 0 && model !== 'direct') expect(world.read(100 + i - 1).data).toEqual(sector(i - 1))
      expect(world.write(100 + i, sector(i)).ok).toBe(true)
      expect(world.read(100 + i).data).toEqual(sector(i))
      world.close()
    }
  })

  it('is the same in a saved machine', () => {
    const world = DiskWorld.create('guest')
    world.open('virtualFunction', VF)
    world.write(5, sector(1))
    const { hardware } = world.platform
    const saved = structuredClone(hardware.save())
    world.write(5, sector(2))
    hardware.load(saved)
    expect(hardware.save()).toEqual(saved)
    const { namespaces } = world.platform.functionAt(PF).model as NvmeSubsystem
    const found = new Uint8Array(512)
    namespaces.get(1)!.store.read(5 * 512, found, 0, 512)
    expect(found).toEqual(sector(1))
  })
})

describe('what is refused', () => {
  it('a controller behind a link that is down: its registers read all ones, and CSTS.RDY never 0', () => {
    const world = DiskWorld.create('guest')
    const { platform } = world
    world.run(
      platform.stimulate('0000:00:01.0', port => {
        port.port?.sever(true)
        return undefined
      }),
    )
    const before = platform.stateHash()
    expect(() =>
      world.run(
        undoneOnFailure([platform], platform.disks.open({ vm: 'guest', model: 'emulation', function: PF })),
      ),
    ).toThrow(`the controller of ${PF} does not answer`)
    expect(platform.stateHash()).toBe(before)
  })

  it.each<[string, DiskModel, string | undefined, string]>([
    ['a virtual function without a function', 'virtualFunction', undefined, 'invalidArgument'],
    ['a port as a controller', 'emulation', '0000:00:01.0', 'invalidArgument'],
    ['a function that there is not', 'emulation', '0000:1f:00.0', 'notFound'],
    ['a physical function as a virtual one', 'virtualFunction', OTHER, 'invalidArgument'],
    ['a virtual function as a whole device', 'direct', VF, 'invalidArgument'],
  ])('%s changes nothing', (_, model, address, code) => {
    const world = DiskWorld.create('guest')
    const before = world.platform.stateHash()
    expect(() => world.open(model, address)).toThrowError(expect.objectContaining({ code }))
    expect(world.platform.stateHash()).toBe(before)
  })

  it('a guest whose program has no drivers goes on without a disk', () => {
    const world = DiskWorld.create()
    const { hypervisor, disks } = world.platform
    const nested = { vcpus: 1, memoryMiB: 4, nested: true, program: 'hypervisor' } as const
    world.run(hypervisor.createVm({ name: 'l1', ...nested }))
    for (const model of ['emulation', 'queuePair'] as const) {
      const open = disks.open({ vm: 'l1', model, function: PF })
      expect(() => world.run(open)).toThrowError(expect.objectContaining({ code: 'unsupported' }))
      expect(hypervisor.vm('l1').emulated).toEqual([])
      expect(hypervisor.vcpu('l1', 0).state).toBe('halted')
    }
  })

  it('a full bus gives back what was to be behind the disk', () => {
    const world = DiskWorld.create('guest')
    const { hypervisor, disks, host, hardware } = world.platform
    for (let slot = 1; slot < 32; slot++) {
      const backend = new MemoryBackend(hardware.port, host.memory, 8)
      world.run(hypervisor.plug('guest', new VirtioDevice(new VirtioBlock(backend))))
    }
    world.run(disks.namespaces.create({ function: PF, blocks: 8, blockSize: 512, shared: true }))
    const buffers = host.buffers(PF)
    const open = disks.open({ vm: 'guest', model: 'queuePair', function: PF })
    expect(() => world.run(open)).toThrowError(expect.objectContaining({ code: 'outOfResources' }))
    expect(host.buffers(PF)).toEqual(buffers)
  })

  it('a second disk, transfers beyond the buffer, and parts of sectors', () => {
    const world = DiskWorld.create('guest')
    world.open('paravirtual')
    const refused = (work: () => unknown, code: string): void =>
      expect(work).toThrowError(expect.objectContaining({ code }))
    refused(() => world.open('emulation'), 'alreadyDone')
    refused(() => world.read(0, 129), 'invalidArgument')
    refused(() => world.write(0, new Uint8Array(100)), 'invalidArgument')
  })

  it('a controller for direct assignment that serves disks already', () => {
    const world = DiskWorld.create('guest')
    world.run(world.platform.host.setNumVfs(PF, 0))
    world.open('paravirtual', PF)
    world.run(world.platform.hypervisor.createVm({ name: 'other', vcpus: 1, memoryMiB: 16 }))
    const open = world.platform.disks.open({ vm: 'other', model: 'direct', function: PF })
    expect(() => world.run(open)).toThrowError(expect.objectContaining({ code: 'functionInUse' }))
  })
})

describe('a disk whose ground goes away', () => {
  it('goes on after a reset of its controller, which the host’s driver brings up again', () => {
    const world = DiskWorld.create('guest')
    world.open('paravirtual', PF)
    expect(world.write(1, sector(3)).ok).toBe(true)
    world.run(world.platform.host.reset(PF))
    expect(world.read(1)).toMatchObject({ ok: true, data: sector(3) })
  })

  it('fails when the host’s driver is unbound, and writes into nobody’s memory', () => {
    const world = DiskWorld.create('guest')
    world.open('emulation', PF)
    world.run(world.platform.host.bind(PF, null))
    const { memory } = world.platform.host
    const free = memory.freePages
    expect(world.read(1).ok).toBe(false)
    expect(world.write(1, sector(3)).ok).toBe(false)
    world.close()
    expect(memory.freePages).toBe(free)
  })

  it('gives back the host’s memory', () => {
    const world = DiskWorld.create('guest')
    const { memory } = world.platform.host
    const free = memory.freePages
    world.open('paravirtual')
    world.write(0, sector(1))
    expect(memory.freePages).toBe(free - 1)
    world.close()
    expect(memory.freePages).toBe(free)
  })
})

describe('a disk on a queue pair of its own', () => {
  /** Where the host's function reaches the beginning of the guest's memory. */
  const window = (world: DiskWorld): number => {
    const backend = world.platform.disks.save().disks[0]!.backend
    if (backend?.kind !== 'queuePair') throw new Error('the disk has no queue pair')
    return backend.windows.find(({ guestPage }) => guestPage === 0)!.address
  }
  const reaches = (world: DiskWorld, address: number): boolean => {
    const { parts } = world.run(world.platform.dma(PF, false, address / 4096, 0, new Uint8Array(8)))
    return parts.every(({ status }) => status === STATUS.successful)
  }

  it.each(['closed', 'unbound', 'deleted'])(
    'lends the guest’s memory to the controller until it is %s',
    end => {
      const world = DiskWorld.create('guest')
      world.open('queuePair', PF)
      const address = window(world)
      expect(reaches(world, address)).toBe(true)
      if (end === 'closed') world.close()
      else if (end === 'unbound') world.run(world.platform.host.bind(PF, null))
      else world.run(world.platform.hypervisor.deleteVm('guest'))
      expect(reaches(world, address)).toBe(false)
    },
  )

  it('goes on after a reset of its controller, on the queue that it had', () => {
    const world = DiskWorld.create('guest')
    world.open('queuePair', PF)
    world.write(5, sector(8))
    world.run(world.platform.host.reset(PF))
    expect(world.read(5)).toMatchObject({ ok: true, data: sector(8), copiedBytes: 0 })
  })

  it('is one of as many as the controller grants', () => {
    const world = DiskWorld.create('guest', 'other')
    const driver = world.run(NvmeDriver.start(world.platform.host.device(OTHER)))
    const queues = []
    for (let i = 0; i < 63; i++) queues.push(world.run(driver.openQueue()))
    expect(() => world.run(driver.openQueue())).toThrowError(
      expect.objectContaining({ code: 'outOfResources' }),
    )
    world.run(driver.closeQueue(queues[4]!))
    expect(world.run(driver.openQueue()).id).toBe(queues[4]!.id)
  })
})

describe('a request outside the guest’s memory', () => {
  it('by a virtual function is recorded by its remapping unit', () => {
    const world = DiskWorld.create('guest')
    world.open('virtualFunction', VF)
    const run = world.platform.hypervisor.runGuest('guest', 0, software => {
      const driver = (software as unknown as GuestKernel).driver(1) as BlockDriver
      return driver.transfer(false, 0, 1, 0x7000_0000)
    })
    expect(world.run(run).result).toBe(false)
    const records = world.platform.hardware.units.flatMap(unit => unit.faultRecords())
    expect(records).toEqual([
      expect.objectContaining({ source: '01:00.1', address: '0x70000000', reason: '0x05' }),
    ])
  })
})

describe('a namespace on a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'blocks-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it('is the file’s bytes', () => {
    const path = join(folder, 'disk')
    const world = DiskWorld.create('guest')
    const store = FileStore.open(path, 2 ** 20)
    const subsystem = world.platform.functionAt(PF).model as NvmeSubsystem
    subsystem.namespaces.replaceStore(1, store)
    expect(world.open('paravirtual', PF).sectors).toBe(2048)
    expect(world.write(2, sector(9)).ok).toBe(true)
    expect(world.read(2).data).toEqual(sector(9))
    expect(new Uint8Array(readFileSync(path).subarray(1024, 1536))).toEqual(sector(9))
    rmSync(path)
    expect(world.read(2).ok).toBe(false)
  })

  it('keeps what was there, and refuses sizes that are no pages', () => {
    const path = join(folder, 'kept')
    const first = FileStore.open(path, 8192)
    first.write(4096, sector(7), 0, 512)
    const again = FileStore.open(path, 8192)
    const found = new Uint8Array(512)
    expect(again.read(4096, found, 0, 512)).toBe(true)
    expect(found).toEqual(sector(7))
    expect(again.discard(4096, 512)).toBe(true)
    again.read(4096, found, 0, 512)
    expect(found).toEqual(new Uint8Array(512))
    expect(() => FileStore.open(path, 1000)).toThrowError(
      expect.objectContaining({ code: 'invalidArgument' }),
    )
    expect(() => FileStore.open(folder, 4096)).toThrowError(
      expect.objectContaining({ code: 'invalidArgument' }),
    )
  })
})
