import { describe, expect, it } from 'vitest'
import type { NorthbridgeError } from '../../src/core/index.ts'
import { boot, machine } from './machine.ts'

const PF = '0000:01:00.0'

function refusal(action: () => unknown): { code: string; errno: unknown } {
  try {
    action()
  } catch (error) {
    const { code, details } = error as NorthbridgeError
    return { code, errno: details['errno'] }
  }
  throw new Error('not refused')
}

describe('sriov_numvfs', () => {
  it('makes VFs at PF + First VF Offset + n * VF Stride, each with its share of the VF BARs', () => {
    const { host, run } = boot(machine())
    run(host.setNumVfs(PF, 4))
    const pf = host.find(PF)
    expect(pf.virtualFunctions).toEqual(['0000:01:10.0', '0000:01:10.2', '0000:01:10.4', '0000:01:10.6'])
    expect(pf.sriov).toMatchObject({ totalVfs: 8, driverLimit: 7, numVfs: 4, offset: 128, stride: 2 })
    const [first, second] = pf.virtualFunctions.map(address => host.find(address))
    expect(first).toMatchObject({ kind: 'VF', vendorId: 0x8086, deviceId: 0x10ca, physicalFunction: PF })
    expect(second!.bars[0]!.address - first!.bars[0]!.address).toBe(first!.bars[0]!.size)
  })

  it('puts each VF into a group of its own below an isolating port, and takes the groups away again', () => {
    const { host, run } = boot(machine())
    const before = host.groups().map(({ functions }) => functions)
    run(host.setNumVfs(PF, 7))
    expect(host.groups()).toHaveLength(before.length + 7)
    run(host.setNumVfs(PF, 0))
    expect(host.groups().map(({ functions }) => functions)).toEqual(before)
    expect(host.functions().some(({ kind }) => kind === 'VF')).toBe(false)
  })

  it('puts VFs below a port without ACS into the group of that port', () => {
    const { host, run } = boot(machine())
    run(host.setNumVfs('0000:05:00.0', 2))
    expect(host.find('0000:05:00.1').group).toBe(host.find('0000:05:00.0').group)
  })

  it('accepts the number that is set already', () => {
    const { host, run, hash } = boot(machine())
    run(host.setNumVfs(PF, 2))
    const before = hash()
    run(host.setNumVfs(PF, 2))
    expect(hash()).toBe(before)
  })

  it.each([
    ['more than the driver allows', PF, 8, 'sriovOutOfRange', 'ERANGE'],
    ['another number while VFs are enabled', PF, 3, 'sriovBusy', 'EBUSY'],
    ['a function without the capability', '0000:04:00.0', 1, 'sriovUnsupported', 'ENOSYS'],
    ['a VF', '0000:01:10.0', 1, 'sriovUnsupported', 'ENOSYS'],
    ['a negative number', PF, -1, 'invalidArgument', 'EINVAL'],
  ])('refuses %s, and changes nothing', (_, address, count, code, errno) => {
    const { host, run, hash } = boot(machine())
    run(host.setNumVfs(PF, 2))
    const before = hash()
    expect(refusal(() => run(host.setNumVfs(address, count)))).toEqual({ code, errno })
    expect(hash()).toBe(before)
  })

  it('refuses a PF whose driver is not bound (ENOENT)', () => {
    const { host, run } = boot(machine(), { missingDrivers: ['igb'] })
    expect(host.find(PF).driver).toBeNull()
    expect(refusal(() => run(host.setNumVfs(PF, 1)))).toEqual({ code: 'sriovUnsupported', errno: 'ENOENT' })
  })

  it('refuses to take VFs from virtual machines (EPERM)', () => {
    const { host, run, hash } = boot(machine())
    run(host.setNumVfs(PF, 2))
    run(host.vfio.attach('0000:01:10.2', 'guest'))
    const before = hash()
    expect(refusal(() => run(host.setNumVfs(PF, 0)))).toEqual({ code: 'sriovBusy', errno: 'EPERM' })
    expect(hash()).toBe(before)
  })

  it('refuses VFs for which the unit has no domain ids left, and changes nothing', () => {
    // 16 ids: 0 is kept free, 9 groups take one each, 6 are left.
    const document = machine({ ND: 0 })
    document.hostBridges[0]!.devices!.push({
      at: '04.0',
      model: 'root-port',
      devices: [{ at: '00.0', model: 'intel-82576' }],
    })
    const { host, run, hash } = boot(document)
    const before = hash()
    expect(refusal(() => run(host.setNumVfs(PF, 7)))).toEqual({ code: 'outOfResources', errno: 'ENOSPC' })
    expect(hash()).toBe(before)
  })

  it('leaves VFs without driver if there is none, or if probing is off', () => {
    for (const options of [{ missingDrivers: ['igbvf'] }, { driversAutoprobe: false }]) {
      const { host, run } = boot(machine(), options)
      run(host.setNumVfs(PF, 1))
      expect(host.find('0000:01:10.0')).toMatchObject({ driver: null, owner: { kind: 'none' } })
    }
  })

  it('enables the VFs that a topology wants at boot', () => {
    const { host } = boot(machine(), { bootVfs: { [PF]: 3 } })
    expect(host.find(PF).virtualFunctions).toHaveLength(3)
  })
})

describe('resetting a function', () => {
  it('uses FLR, and puts BARs, Command, MSI-X and VFs back', () => {
    const { host, run, dma, platform } = boot(machine(), { bootVfs: { [PF]: 2 } })
    const { bars } = host.find(PF)
    expect(run(host.reset(PF))).toEqual({ method: 'flr' })
    expect(host.find(PF).sriov?.numVfs).toBe(2)
    expect(dma(PF, true, 0x400)).toMatchObject({ ended: 'fault' })
    expect(dma('0000:01:10.0', true, 0x400)).toMatchObject({ ended: 'fault' })
    const { rid } = host.find(PF)
    const read = (index: number) => platform.fabric.readConfig(0, rid >>> 8, rid & 0xff, 0x10 + 4 * index)
    expect((read(0) & ~0xf) >>> 0).toBe(bars[0]!.address)
    const engine = platform.engineOf(platform.fabric.functionAt(0, rid)!)
    expect(engine.fire(0).signal).toBe('sent')
    expect(host.serviceInterrupts()).toBe(1)
  })

  it('uses the bus reset of the bridge where the function has nothing itself and is alone below it', () => {
    const { host, run, dma } = boot(machine())
    expect(host.find('0000:07:01.0').resetMethods).toEqual(['bus'])
    expect(run(host.reset('0000:07:01.0'))).toEqual({ method: 'bus' })
    expect(dma('0000:07:01.0', true, 0x400)).toMatchObject({ ended: 'fault' })
  })

  it('refuses where only others could be hit, and where a virtual machine holds the function', () => {
    const { host, run } = boot(machine(), { bootVfs: { [PF]: 1 } })
    expect(refusal(() => run(host.reset('0000:00:1f.2')))).toMatchObject({ code: 'resetUnavailable' })
    expect(refusal(() => run(host.reset('0000:00:01.0')))).toMatchObject({ code: 'resetUnavailable' })
    run(host.vfio.attach('0000:01:10.0', 'guest'))
    expect(refusal(() => run(host.reset(PF)))).toMatchObject({ code: 'functionInUse' })
  })
})
