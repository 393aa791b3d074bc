/** Physical to virtual, virtual to virtual, virtual to physical: everything is told of, and what is told is so. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { InputOf, OutputOf } from '../../../src/operations/index.ts'
import type { NETWORK_CHOICES } from '../../../src/system/index.ts'
import { MovingWorld, shipped } from './moving-world.ts'

type Report = OutputOf<'convert'>
type Choices = Partial<InputOf<'convert'>>

const SECTORS = 4096
const NVME = '0000:03:00.0'
/** Of what is written at sector `sector` of the old disk. */
const sectorOf = (sector: number): string => (sector % 256).toString(16).padStart(2, '0').repeat(512)
const WRITTEN = [0, 7, 1000, SECTORS - 1] as const

const item = ({ items }: Report, what: string, name?: string) =>
  items.find(one => one.what === what && (name === undefined || one.name === name))

/** A server whose disk of 2 MiB holds something. */
function world(source = shipped('one-socket-82576'), target = shipped('one-socket-82576')) {
  const moving = new MovingWorld()
  const a = moving.add('a', source)
  const b = moving.add('b', target)
  moving.run('createSwitch', { platform: 'b', name: 'vs0' })
  const smallDisk = (platform: string): void => {
    moving.run('deleteNamespace', { platform, function: NVME, namespace: 1 })
    moving.run('createNamespace', { platform, function: NVME, blocks: SECTORS })
    moving.run('attachNamespace', { platform, function: NVME, namespace: 1, to: NVME })
  }
  const write = (vm: string): void => {
    for (const sector of WRITTEN)
      moving.run('writeBlocks', { platform: 'a', vm, sector, data: sectorOf(sector) })
  }
  const checkDisk = (platform: string, vm: string): void => {
    for (const sector of WRITTEN)
      expect(moving.run('readBlocks', { platform, vm, sector, count: 1 }).data).toBe(sectorOf(sector))
  }
  return { moving, a, b, smallDisk, write, checkDisk }
}

/** The server `a`, with something on its disk and nobody who uses it. */
function physical(target?: Parameters<typeof world>[1]) {
  const made = world(undefined, target)
  made.smallDisk('a')
  made.moving.run('createVm', { platform: 'a', name: 'writer', vcpus: 1, memoryMiB: 8 })
  made.moving.run('openDisk', { platform: 'a', vm: 'writer', model: 'paravirtual', function: NVME })
  made.write('writer')
  made.moving.run('deleteVm', { platform: 'a', vm: 'writer' })
  return made
}

const P2V = { platform: 'a', way: 'p2v', to: 'b', name: 'old', memoryMiB: 16 } as const

describe('a host that becomes a virtual machine', () => {
  it('keeps addresses, what is on its disk, and drivers for which the target has a device', () => {
    const { moving, a, b, checkDisk } = physical()
    const report = moving.run('convert', { ...P2V })
    const macs = a.networking.adapters.map(({ mac }) => Buffer.from(mac).toString('hex'))
    expect(macs).toHaveLength(2)
    const devices = moving.run('networkDevices', { platform: 'b', vm: 'old' })
    expect(devices.map(({ mac }) => mac.replaceAll(':', ''))).toEqual(macs)
    expect(devices).toMatchObject([
      { model: 'direct', driver: 'igb' },
      { model: 'direct', driver: 'igb' },
    ])
    for (const { mac } of devices) expect(item(report, 'network', mac)).toMatchObject({ outcome: 'kept' })
    expect(report.diskBytes).toBe(3 * 4096)
    expect(moving.run('disk', { platform: 'b', vm: 'old' })).toMatchObject({ sectors: SECTORS })
    checkDisk('b', 'old')
    expect(b.hypervisor.vm('old')).toMatchObject({ memoryMiB: 16, paused: false })
    expect(item(report, 'memory')).toMatchObject({ outcome: 'changed', was: '8192 MiB', is: '16 MiB' })
  })

  it('is told of as a whole: every function is an item, a part of the board, or a virtual function', () => {
    const { moving, a } = physical()
    moving.run('setNumVfs', { platform: 'a', function: '0000:01:00.1', numVfs: 2 })
    moving.run('createVm', { platform: 'a', name: 'guest', vcpus: 1, memoryMiB: 8 })
    moving.run('createSwitch', { platform: 'a', name: 'inside', uplinks: ['0000:01:00.0'] })
    const report = moving.run('planConversion', { ...P2V })
    const told = JSON.stringify(report.items)
    for (const { address, kind, classCode } of a.host.functions()) {
      const board = classCode >>> 16 === 6
      if (!board && kind !== 'VF') expect(told, address).toContain(address)
    }
    expect(item(report, 'virtualFunctions', '0000:01:00.1')).toMatchObject({ outcome: 'notCarried' })
    expect(item(report, 'virtualMachine', 'guest')).toMatchObject({ outcome: 'notCarried' })
    expect(item(report, 'switch', 'inside')).toMatchObject({ outcome: 'notCarried' })
    expect(item(report, 'topology')).toMatchObject({ outcome: 'notCarried' })
    expect(report.kept + report.changed + report.notCarried).toBe(report.items.length)
    for (const { outcome, reason, is } of report.items) {
      expect(reason === null).toBe(outcome === 'kept')
      expect(is === null).toBe(outcome === 'notCarried')
    }
  })

  it('names why a model cannot be had', () => {
    const { moving } = physical(shipped('desktop'))
    const choices = { ...P2V, network: ['sriov', 'direct', 'vmdq'] } satisfies InputOf<'planConversion'>
    const { items } = moving.run('planConversion', choices)
    const cards = items.filter(({ what }) => what === 'network')
    expect(cards).toHaveLength(2)
    for (const { outcome, reason } of cards) {
      expect(outcome).toBe('notCarried')
      expect(reason).toContain('sriov: no network adapter of b has SR-IOV')
      expect(reason).toContain('vmdq: no network adapter of b is open')
    }
  })

  it('is not read while its disk belongs to a virtual machine', () => {
    const { moving } = physical()
    moving.run('createVm', { platform: 'a', name: 'guest', vcpus: 1, memoryMiB: 8 })
    moving.run('attach', { platform: 'a', vm: 'guest', function: NVME })
    const report = moving.run('convert', { ...P2V })
    expect(item(report, 'function', NVME)).toMatchObject({
      outcome: 'notCarried',
      reason: 'it belongs to the virtual machine "guest"',
    })
    expect(report.diskBytes).toBeNull()
  })
})

describe('a plan', () => {
  const network = fc.uniqueArray(
    fc.constantFrom<(typeof NETWORK_CHOICES)[number]>(
      'keepDriver',
      'emulated',
      'paravirtual',
      'vmdq',
      'sriov',
      'direct',
    ),
    { minLength: 1, maxLength: 3 },
  )
  it('tells what the conversion then does, and changes neither platform', () => {
    fc.assert(
      fc.property(network, fc.constantFrom('paravirtual', 'emulation'), fc.boolean(), (order, disk, vfs) => {
        const { moving, a, b } = physical()
        if (vfs) moving.run('setNumVfs', { platform: 'b', function: '0000:01:00.0', numVfs: 1 })
        const choices: Choices = { network: order, disks: ['keepDriver', disk] }
        const before = [a.stateHash(), b.stateHash()]
        const plan = moving.run('planConversion', { ...P2V, ...choices })
        expect([a.stateHash(), b.stateHash()]).toEqual(before)
        const done = moving.run('convert', { ...P2V, ...choices })
        expect({ ...done, diskBytes: null }).toEqual(plan)
        const devices = moving.run('networkDevices', { platform: 'b', vm: 'old' })
        for (const { mac, driver } of devices)
          expect(item(done, 'network', mac)?.driver).toEqual({ was: 'igb', is: driver })
        const carried = done.items.filter(one => one.what === 'network' && one.outcome !== 'notCarried')
        expect(devices).toHaveLength(carried.length)
      }),
      { numRuns: 4, seed: 2 },
    )
  })

  it('that is refused half-way leaves both platforms as they were', () => {
    const { moving, a, b } = physical()
    moving.run('createVm', { platform: 'b', name: 'old', vcpus: 1, memoryMiB: 4 })
    const before = [a.stateHash(), b.stateHash()]
    for (const id of ['planConversion', 'convert'] as const)
      expect(() => moving.run(id, { ...P2V })).toThrow('exists')
    const tooLarge = { ...P2V, name: 'large', memoryMiB: 9000 }
    expect(() => moving.run('convert', tooLarge)).toThrow('needs 2304000 pages')
    expect([a.stateHash(), b.stateHash()]).toEqual(before)
  })
})

describe('a virtual machine that gets other devices', () => {
  function virtual() {
    const made = world()
    const { moving } = made
    const vm = { platform: 'a', vm: 'web' } as const
    moving.run('createSwitch', { platform: 'a', name: 'vs0' })
    moving.run('setNumVfs', { platform: 'a', function: '0000:01:00.0', numVfs: 1 })
    moving.run('createVm', {
      platform: 'a',
      name: 'web',
      vcpus: 2,
      memoryMiB: 16,
      interrupts: 'posted',
      backing: 'paged',
      memorySettings: { shares: 7, reservationMiB: 2 },
    })
    moving.run('setVmCpu', { ...vm, shares: 1500, reservationPercent: 20 })
    moving.run('addNetworkDevice', {
      ...vm,
      model: 'emulated',
      mac: '02:00:00:00:00:01',
      switch: 'vs0',
      vlan: 5,
    })
    const function0 = moving.run('functions', { platform: 'a' }).find(({ kind }) => kind === 'VF')!.address
    moving.run('addNetworkDevice', {
      ...vm,
      model: 'sriov',
      mac: '02:00:00:00:00:02',
      function: function0,
      vlan: 6,
    })
    moving.run('openDisk', { ...vm, model: 'emulation' })
    made.write('web')
    return made
  }
  const V2V = { platform: 'a', way: 'v2v', vm: 'web', to: 'b' } as const

  it('keeps what was said of it, its addresses, its VLANs and its disk, and stands still where it was', () => {
    const { moving, a, b, checkDisk } = virtual()
    const report = moving.run('convert', { ...V2V })
    expect(a.hypervisor.vm('web').paused).toBe(true)
    expect(b.hypervisor.vm('web')).toMatchObject({ interrupts: 'posted', backing: 'paged', paused: false })
    expect(b.hypervisor.memory.view('web')).toMatchObject({ shares: 7, reservationMiB: 2 })
    expect(b.hypervisor.cpu.view('web')).toMatchObject({ shares: 1500, reservationPercent: 20 })
    expect(moving.run('networkDevices', { platform: 'b', vm: 'web' })).toMatchObject([
      { model: 'emulated', driver: 'e1000', mac: '02:00:00:00:00:01' },
      { model: 'paravirtual', driver: 'virtio_net', mac: '02:00:00:00:00:02' },
    ])
    const vlans = b.networking.images('web').map(({ rules }) => rules.vlan)
    expect(vlans).toEqual([
      { mode: 'access', vlan: 5 },
      { mode: 'access', vlan: 6 },
    ])
    const second = item(report, 'network', '02:00:00:00:00:02')
    expect(second).toMatchObject({
      outcome: 'changed',
      driver: { was: 'igbvf', is: 'virtio_net' },
      reason: 'sriov: no virtual function of a network adapter of b is enabled',
    })
    expect(item(report, 'memoryContents')).toMatchObject({ outcome: 'notCarried' })
    checkDisk('b', 'web')
  })

  it('has its VLAN given to a virtual function, and is told of memory that a device pins', () => {
    const { moving, b } = virtual()
    moving.run('setNumVfs', { platform: 'b', function: '0000:01:00.0', numVfs: 2 })
    const report = moving.run('convert', { ...V2V, network: ['sriov'] })
    expect(moving.run('networkDevices', { platform: 'b', vm: 'web' })).toMatchObject([
      { model: 'sriov', driver: 'igbvf' },
      { model: 'sriov', driver: 'igbvf' },
    ])
    const [adapter] = b.networking.adapters
    expect(adapter!.virtualFunctions.map(({ vlan }) => vlan)).toEqual([5, 6])
    expect(item(report, 'network', '02:00:00:00:00:02')).toMatchObject({ outcome: 'kept' })
    expect(item(report, 'backing', 'pages')).toMatchObject({ outcome: 'changed' })
  })

  it('does without what the target lacks, and says so', () => {
    const made = virtual()
    const { moving } = made
    moving.run('deleteSwitch', { platform: 'b', switch: 'vs0' })
    const { items } = moving.run('planConversion', { ...V2V })
    for (const { reason } of items.filter(({ what }) => what === 'network'))
      expect(reason).toContain('b has no virtual switch')
    expect(() => moving.run('convert', { ...V2V, way: 'p2v' })).toThrow('vm is no part of a physical machine')
    expect(() => moving.run('convert', { ...V2V, to: 'a' })).toThrow('another platform')
  })

  it('reads a disk that only the guest reaches through the guest, and writes one onto a namespace that is named', () => {
    const { moving, smallDisk, write, checkDisk } = world()
    for (const platform of ['a', 'b']) smallDisk(platform)
    moving.run('createVm', { platform: 'a', name: 'db', vcpus: 1, memoryMiB: 16 })
    moving.run('openDisk', { platform: 'a', vm: 'db', model: 'direct', function: NVME })
    write('db')
    const choices = { platform: 'a', way: 'v2v', vm: 'db', to: 'b' } as const
    const plan = moving.run('planConversion', choices)
    expect(item(plan, 'disk')).toMatchObject({
      outcome: 'changed',
      driver: { was: 'nvme', is: 'virtio_blk' },
    })
    const report = moving.run('convert', { ...choices, disk: { function: NVME } })
    expect(item(report, 'disk')).toMatchObject({ outcome: 'kept', driver: { was: 'nvme', is: 'nvme' } })
    expect(moving.run('disk', { platform: 'b', vm: 'db' })).toMatchObject({ model: 'direct', function: NVME })
    checkDisk('b', 'db')
  })
})

describe('a virtual machine that becomes a host', () => {
  const V2P = { platform: 'a', way: 'v2p', vm: 'web', to: 'b' } as const

  function virtual() {
    const made = world()
    const { moving } = made
    moving.run('createSwitch', { platform: 'a', name: 'vs0' })
    moving.run('createVm', { platform: 'a', name: 'web', vcpus: 2, memoryMiB: 16, viommu: 'shadow' })
    for (const [i, vlan] of [5, 1, 1].entries()) {
      const mac = `02:00:00:00:00:0${i + 1}`
      moving.run('addNetworkDevice', {
        platform: 'a',
        vm: 'web',
        model: 'paravirtual',
        mac,
        switch: 'vs0',
        vlan,
        ringEntries: 8,
      })
    }
    moving.run('openDisk', { platform: 'a', vm: 'web', model: 'paravirtual' })
    made.write('web')
    return made
  }

  it('gives adapters its addresses until none is left, and a named namespace what is on its disk', () => {
    const { moving, b } = virtual()
    const report = moving.run('convert', { ...V2P, disk: { function: NVME, namespace: 1 } })
    expect(report.vm).toBeNull()
    expect(b.networking.adapters.map(({ mac }) => mac[5])).toEqual([1, 2])
    expect(b.networking.adapters[0]!.vlans).toEqual([5])
    expect(item(report, 'network', '02:00:00:00:00:03')).toMatchObject({
      outcome: 'notCarried',
      reason: 'the machine has no adapter left',
    })
    expect(item(report, 'vlan', '02:00:00:00:00:01')).toMatchObject({ outcome: 'changed' })
    expect(item(report, 'remappingUnit')).toMatchObject({ outcome: 'kept' })
    expect(item(report, 'processors')).toMatchObject({ was: '2', is: '4' })
    moving.run('createVm', { platform: 'b', name: 'reader', vcpus: 1, memoryMiB: 8 })
    moving.run('openDisk', { platform: 'b', vm: 'reader', model: 'paravirtual', function: NVME })
    for (const sector of WRITTEN) {
      const { data } = moving.run('readBlocks', { platform: 'b', vm: 'reader', sector, count: 1 })
      expect(data).toBe(sectorOf(sector))
    }
  })

  it('has its addresses in the filters of the adapters, after a reset too', () => {
    const { moving } = virtual()
    moving.run('convert', { ...V2P })
    const fn = moving.run('nics', { platform: 'b' })[0]!.function
    const filtered = (): unknown => moving.run('nic', { platform: 'b', function: fn }).registers
    expect(filtered()).toMatchObject({ macFilters: [{ address: '02:00:00:00:00:01' }] })
    moving.run('resetFunction', { platform: 'b', function: fn })
    expect(filtered()).toMatchObject({ macFilters: [{ address: '02:00:00:00:00:01' }] })
  })

  it('overwrites no namespace that was not named, none that is too small, and none that a machine has', () => {
    const { moving, smallDisk } = virtual()
    expect(item(moving.run('planConversion', { ...V2P }), 'disk')).toMatchObject({ outcome: 'notCarried' })
    smallDisk('b')
    const disk = { function: NVME }
    expect(item(moving.run('planConversion', { ...V2P, disk }), 'disk')?.reason).toContain('has 4096 blocks')
    expect(() => moving.run('convert', { ...V2P, memoryMiB: 16 })).toThrow(
      'not chosen for a physical machine',
    )
  })

  it('overwrites no disk of a virtual machine', () => {
    const { moving } = virtual()
    moving.run('createVm', { platform: 'b', name: 'user', vcpus: 1, memoryMiB: 8 })
    moving.run('openDisk', { platform: 'b', vm: 'user', model: 'paravirtual', function: NVME })
    expect(() => moving.run('convert', { ...V2P, disk: { function: NVME } })).toThrow(
      'the disk of user is on',
    )
  })
})
