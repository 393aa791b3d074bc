/** Platforms die; what was kept elsewhere of their machines goes on there, once. */
import { beforeEach, describe, expect, it } from 'vitest'
import { hexToBytes } from '../../src/core/index.ts'
import { createNorthbridge, type Northbridge, NorthbridgeError } from '../../src/index.ts'

const MAC = '02:00:00:00:00:b1'
const VM = { platform: 'one', vm: 'a' } as const
const AT = '0x200000'

let world: Northbridge

beforeEach(() => {
  world = createNorthbridge()
  for (const name of ['one', 'two']) {
    world.createPlatform({ topology: 'hot-plug', name })
    world.createSwitch({ platform: name, name: 'vs0' })
  }
  world.createVm({ platform: 'one', name: 'a', vcpus: 1, memoryMiB: 4 })
})

const write = (data: string): void => void world.writeMemory({ ...VM, address: AT, data })
const readOn = (platform: string): string =>
  world.readMemory({ platform, vm: 'a', address: AT, length: 2 }).data
const code = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    if (error instanceof NorthbridgeError) return error.code
    throw error
  }
  return 'nothing'
}
const die = (platform = 'one'): void => void world.power({ platform, action: 'off' })

describe('a protected machine', () => {
  it('goes on elsewhere as it was at its last checkpoint; what it did since is lost, and said to be', () => {
    world.addNetworkDevice({ ...VM, model: 'paravirtual', mac: MAC, switch: 'vs0' })
    write('a5a5')
    expect(world.protectVm({ ...VM, to: 'two' })).toMatchObject({ by: 'checkpoint', obstacles: [] })
    write('1111')
    world.passTime({ platform: 'one', nanoseconds: 5_000_000 })
    die()
    const { machines, fenced } = world.failOver({ platform: 'one', detectMs: 2 })
    expect(fenced).toBe(false)
    expect(machines).toEqual([
      expect.objectContaining({ vm: 'a', to: 'two', outcome: 'resumed', workLostNs: 5_000_000, missing: [] }),
    ])
    expect(machines[0]!.downtimeNs).toBeGreaterThanOrEqual(2_000_000)
    expect(readOn('two')).toBe('a5a5')
    expect(world.networkDevices({ platform: 'two', vm: 'a' })).toMatchObject([
      { mac: MAC, switch: 'vs0', driver: 'virtio_net' },
    ])
  })

  it('goes on from a new checkpoint whenever one is taken', () => {
    world.protectVm({ ...VM, to: 'two' })
    write('2222')
    world.protectVm({ ...VM, to: 'two' })
    die()
    world.failOver({ platform: 'one' })
    expect(readOn('two')).toBe('2222')
  })

  it('is started again, without its memory, if a function keeps it on its host; what it lacks then is named', () => {
    world.attach({ ...VM, function: '0000:07:00.0' })
    write('a5a5')
    const { by, obstacles } = world.protectVm({ ...VM, to: 'two' })
    expect([by, obstacles.map(({ what }) => what)]).toEqual(['restart', ['0000:07:00.0']])
    die()
    const { machines } = world.failOver({ platform: 'one' })
    expect(machines).toMatchObject([
      { outcome: 'restarted', missing: [expect.stringContaining('0000:07:00.0: no function')] },
    ])
    expect(readOn('two')).toBe('0000')
  })

  it('gets the function of the other host that was named for its own', () => {
    world.attach({ ...VM, function: '0000:07:00.0' })
    world.protectVm({ ...VM, to: 'two', functions: { '0000:07:00.0': '0000:01:00.0' } })
    die()
    expect(world.failOver({ platform: 'one' }).machines).toMatchObject([
      { outcome: 'restarted', missing: [] },
    ])
    expect(world.vm({ platform: 'two', vm: 'a' }).devices).toMatchObject([{ function: '0000:01:00.0' }])
  })

  it('is lost if the other host cannot take it; that host is as it was, and it may be tried again', () => {
    world.createVm({ platform: 'two', name: 'a', vcpus: 1, memoryMiB: 4 })
    world.protectVm({ ...VM, to: 'two' })
    die()
    const before = world.resources({ platform: 'two' }).inUse
    expect(world.failOver({ platform: 'one' }).machines).toMatchObject([
      { outcome: 'lost', reason: expect.stringContaining('a virtual machine named a exists') },
    ])
    expect(world.resources({ platform: 'two' }).inUse).toEqual(before)
    world.deleteVm({ platform: 'two', vm: 'a' })
    expect(world.failOver({ platform: 'one' }).machines).toMatchObject([{ outcome: 'resumed' }])
  })

  it('is lost if the other host is dead as well', () => {
    world.protectVm({ ...VM, to: 'two' })
    die()
    die('two')
    expect(world.failOver({ platform: 'one' }).machines).toMatchObject([
      { outcome: 'lost', reason: 'platform two does not respond either' },
    ])
  })
})

describe('a machine runs once', () => {
  it('while its platform responds failing over is refused; fencing switches the platform off first', () => {
    world.protectVm({ ...VM, to: 'two' })
    expect(code(() => world.failOver({ platform: 'one' }))).toBe('platformAlive')
    expect(world.vms({ platform: 'one' })).toHaveLength(1)
    expect(world.failOver({ platform: 'one', fence: true })).toMatchObject({
      fenced: true,
      machines: [{ outcome: 'resumed' }],
    })
    expect(code(() => world.vms({ platform: 'one' }))).toBe('poweredOff')
  })

  it('one that was deleted, or has moved, does not come to life again', () => {
    world.protectVm({ ...VM, to: 'two' })
    world.deleteVm(VM)
    expect(world.protections({})).toEqual([])
    die()
    expect(world.failOver({ platform: 'one' }).machines).toEqual([])
    expect(world.vms({ platform: 'two' })).toEqual([])
  })

  it('failing over a second time finds nothing to do', () => {
    world.protectVm({ ...VM, to: 'two' })
    die()
    world.failOver({ platform: 'one' })
    expect(world.failOver({ platform: 'one' }).machines).toEqual([])
  })

  it('and one that is not protected ends with its platform', () => {
    world.protectVm({ ...VM, to: 'two' })
    world.unprotectVm(VM)
    die()
    expect(world.failOver({ platform: 'one' }).machines).toEqual([])
  })

  it('nothing is kept on the platform that it would die with', () => {
    expect(code(() => world.protectVm({ ...VM, to: 'one' }))).toBe('invalidArgument')
    expect(code(() => world.protectVm({ ...VM, to: 'three' }))).toBe('notFound')
  })
})

describe('the guest of a machine that goes on', () => {
  it('computes with what it had: registers of its processors too', () => {
    world.runVcpu({
      ...VM,
      vcpu: 0,
      operations: [{ op: 'wrmsr', msr: 0x174, value: '0x10' }],
    })
    const before = world.vmcs({ ...VM, vcpu: 0, field: 'guestSysenterCs' })
    world.protectVm({ ...VM, to: 'two' })
    die()
    world.failOver({ platform: 'one' })
    expect(world.vmcs({ platform: 'two', vm: 'a', vcpu: 0, field: 'guestSysenterCs' })).toEqual(before)
    expect(hexToBytes(readOn('two'))).toHaveLength(2)
  })
})
