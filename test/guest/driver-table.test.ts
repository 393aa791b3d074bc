/** How a guest comes to the driver of a function, and what is left if that refuses. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { EmulatedDevice } from '../../src/hypervisor/emulated-device.ts'
import { MemoryBackend, VirtioBlock } from '../../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../../src/hypervisor/virtio/index.ts'
import { DiskMachine } from '../hypervisor/storage/disk-machine.ts'

const NVME_CLASS = 0x01_08_02
const UNKNOWN = 0x1234

/** A function with one BAR whose registers are all zero. */
const deviceOf = (classCode: number, vendorId = UNKNOWN, deviceId = UNKNOWN): EmulatedDevice => ({
  kind: 'stub',
  identity: { vendorId, deviceId, subsystemVendorId: 0, subsystemId: 0, classCode, revision: 0 },
  bars: [{ index: 0, size: 0x4000, is64: false, prefetchable: false }],
  messages: 'none',
  connect: () => undefined,
  disconnect: () => undefined,
  readRegister: () => 0,
  *writeRegister() {},
  save: () => null,
  load: () => undefined,
})

describe('a function', () => {
  let machine: DiskMachine
  beforeAll(() => {
    machine = new DiskMachine()
  })

  /** Plugs it in, has its driver started, and tells how that is refused. */
  function refusal(device: EmulatedDevice) {
    const { hypervisor } = machine.platform
    const slot = machine.run(hypervisor.plug('guest', device))
    const kernel = () => hypervisor.lookAtGuest('guest', 0, software => software.save())
    const before = kernel()
    try {
      machine.start(slot)
      return undefined
    } catch (error) {
      // Memory that the driver had taken is free again.
      expect(kernel()).toEqual(before)
      return error
    } finally {
      machine.run(hypervisor.unplug('guest', slot))
    }
  }

  it('that is known by neither ids nor class has no driver', () => {
    expect(refusal(deviceOf(0xff_00_00))).toMatchObject({ code: 'notFound' })
  })

  it('of a known class has the driver of that class, which looks for its registers', () => {
    expect(refusal(deviceOf(NVME_CLASS))).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('NVMe controller: it does not become ready'),
    })
  })

  it('is known by its ids first', () => {
    expect(refusal(deviceOf(NVME_CLASS, 0x8086, 0x10ed))).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('ixgbevf'),
    })
  })

  it('has one driver at a time', () => {
    const { platform } = machine
    const memory = new MemoryBackend(platform.hardware.port, platform.host.memory, 64)
    const slot = machine.run(platform.hypervisor.plug('guest', new VirtioDevice(new VirtioBlock(memory))))
    machine.start(slot)
    expect(() => machine.start(slot)).toThrowError(expect.objectContaining({ code: 'alreadyDone' }))
    expect(() => machine.start(slot + 1)).toThrowError(expect.objectContaining({ code: 'notFound' }))
  })
})
