/** The network drivers of a guest: bursts round small rings, frames in, their saved state. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { Software } from '../../../src/engine/index.ts'
import { DRIVERS } from '../../../src/guest/driver-table.ts'
import { GuestKernel, type GuestPort, type NetworkDriver } from '../../../src/guest/index.ts'
import { Frame } from '../../../src/net/index.ts'
import { frameOf, OTHER } from '../../host/net/adapter-rig.ts'
import { GUESTS, Guest, MAC, RING_ENTRIES } from './guests.ts'

describe.each(Object.entries(GUESTS))('%s', (name, make) => {
  let guest: Guest
  beforeEach(() => {
    guest = make()
  })

  const numbered = (number: number, to: Uint8Array, from: Uint8Array): Uint8Array => {
    const { bytes, length } = frameOf(to, from, 64 + number)
    return bytes.slice(0, length)
  }

  it('is the driver that the guest chooses', () => {
    expect(guest.driver.name).toBe(name)
    if (name !== 'igb' && name !== 'ixgbe') expect([...guest.driver.mac]).toEqual([...MAC])
  })

  it('sends each frame of a burst once and in order, round a ring that is never full: the device does each at once', () => {
    const { driver } = guest
    const burst = Array.from({ length: 40 }, (_, i) => numbered(i, OTHER, driver.mac))
    guest.run(function* () {
      for (const frame of burst) yield* driver.send(frame)
    })
    expect(guest.sent.length).toBe(burst.length)
    for (const [i, frame] of guest.sent.entries()) expect(Buffer.compare(frame, burst[i]!)).toBe(0)
    expect(driver.counters).toMatchObject({ sent: burst.length, refused: 0 })
  })

  it('takes frames in, more than its ring has entries, byte for byte', () => {
    const { driver } = guest
    const frames = Array.from({ length: 3 * RING_ENTRIES }, (_, i) => numbered(i, driver.mac, OTHER))
    for (const frame of frames) guest.deliver(Frame.of(frame))
    expect(driver.takeFrames().map(frame => [...frame])).toEqual(frames.map(frame => [...frame]))
    expect(driver.counters).toMatchObject({ received: frames.length, interrupts: frames.length })
  })

  it('is restored without touching anything', () => {
    const { driver } = guest
    guest.deliver(Frame.of(numbered(1, driver.mac, OTHER)))
    guest.run(() => driver.send(numbered(2, OTHER, driver.mac)))
    driver.keepsFrames = false
    const saved = guest.rig.platform.hypervisor.lookAtGuest('a', 0, software => software.save())
    const untouchable: GuestPort = {
      attempt() {
        throw new Error('a restored driver attempts nothing')
      },
      execute() {
        throw new Error('a restored driver executes nothing')
      },
    }
    const kernel = new GuestKernel(untouchable, 0, DRIVERS)
    kernel.load(structuredClone(saved))
    expect(kernel.save()).toEqual(saved)
    expect((kernel.driver(1) as NetworkDriver).takeFrames().length).toBe(1)
  })

  it('can be stopped and started again', () => {
    guest.run(kernel => kernel.close(1))
    guest.start(1, { mac: MAC })
    guest.run(() => guest.driver.send(numbered(0, OTHER, guest.driver.mac)))
    guest.deliver(Frame.of(numbered(0, guest.driver.mac, OTHER)))
    expect(guest.sent.length).toBe(1)
    expect(guest.driver.takeFrames().length).toBe(1)
  })
})

it('a frame that takes several buffers is passed over, and the next one is not', () => {
  const guest = GUESTS['igb']!()
  /** SRRCTL of queue 0: buffers of 1 KiB, advanced descriptors. */
  const SRRCTL = 0xc00c
  guest.run(kernel => kernel.access.write32(kernel.devices[0]!.bars[0]!.base + SRRCTL, 0x0200_0001))
  const { driver } = guest
  for (const length of [1500, 64]) guest.deliver(Frame.of(frameOf(driver.mac, OTHER, length).toBytes()))
  expect(driver.takeFrames().map(({ length }) => length)).toEqual([64])
})

describe('ixgbevf', () => {
  interface IxgbevfDriver extends NetworkDriver {
    readonly api: number
    addVlan(vlan: number): Software<boolean>
  }
  /** Version 1.4 of the mailbox's language: the newest that Linux's ixgbe speaks. */
  const NEWEST = 5

  it('speaks the newest language that the physical function’s driver knows', () => {
    expect((new Guest('intel-82599').virtualFunction().driver as IxgbevfDriver).api).toBe(NEWEST)
  })

  it('hears a VLAN that it asked for, with its tag, and no other', () => {
    const guest = new Guest('intel-82599').virtualFunction()
    const driver = guest.driver as IxgbevfDriver
    expect(guest.run(() => driver.addVlan(100))).toBe(true)
    const tagged = (vlan: number): Uint8Array => {
      const bytes = frameOf(MAC, OTHER, 80).toBytes()
      bytes.set([0x81, 0x00, vlan >> 8, vlan & 0xff], 12)
      return bytes
    }
    for (const vlan of [100, 101]) guest.deliver(Frame.of(tagged(vlan)))
    expect(driver.takeFrames().map(frame => [...frame])).toEqual([[...tagged(100)]])
  })

  it('does not see the tag of a port VLAN', () => {
    const guest = new Guest('intel-82599')
    const address = guest.rig.virtualFunction(1, 2)
    guest.rig.adapter.configureVirtualFunction(1, { mac: MAC, vlan: 30 })
    guest.assign(address)
    const plain = frameOf(MAC, OTHER, 80).toBytes()
    const tagged = Uint8Array.of(...plain.subarray(0, 12), 0x81, 0x00, 0, 30, ...plain.subarray(12))
    guest.deliver(Frame.of(tagged))
    expect(guest.driver.takeFrames().map(frame => [...frame])).toEqual([[...plain]])
    guest.run(() => guest.driver.send(frameOf(OTHER, MAC, 80).toBytes()))
    expect([...guest.sent[0]!.subarray(12, 16)]).toEqual([0x81, 0x00, 0, 30])
  })

  it('refuses to start without an address', () => {
    const guest = new Guest('intel-82599')
    guest.rig.run(guest.rig.platform.hypervisor.attach('a', guest.rig.virtualFunction(0, 1)))
    expect(() => guest.start()).toThrowError(expect.objectContaining({ code: 'unsupported' }))
  })

  it('reaches another virtual function without the wire', () => {
    const guest = new Guest('intel-82599').virtualFunction()
    guest.rig.run(guest.rig.platform.hypervisor.createVm({ name: 'b', vcpus: 1, memoryMiB: 16 }))
    guest.rig.run(guest.rig.platform.hypervisor.attach('b', guest.rig.virtualFunction(0, 2)))
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 0xb0)
    const { hypervisor } = guest.rig.platform
    const other = guest.rig.run(
      hypervisor.runGuest('b', 0, software => (software as GuestKernel).open(1, { mac })),
    ).result as NetworkDriver
    const frame = frameOf(mac, MAC, 200).toBytes()
    guest.run(() => guest.driver.send(frame))
    guest.rig.settle()
    expect(other.takeFrames().map(one => [...one])).toEqual([[...frame]])
    expect(guest.sent).toEqual([])
  })
})
