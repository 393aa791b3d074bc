/** A device that gives back what it was not given has broken the ring: nothing more is taken from it. */
import { expect, it } from 'vitest'
import type { VirtioBlockDriver } from '../../../src/guest/storage/virtio-block.ts'
import { VirtioBlock } from '../../../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../../../src/hypervisor/virtio/index.ts'
import { DiskMachine } from '../../hypervisor/storage/disk-machine.ts'
import { inMemory } from '../storage/disks.ts'

/** "The Virtqueue Used Ring": the id of its first entry. "Descriptor" of a packed ring: the Buffer ID. */
const SPLIT_ID = 4
const PACKED_ID = 12

it.each([
  ['packed', true],
  ['split', false],
] as const)('a %s ring', (_, packed) => {
  const machine = new DiskMachine()
  const device = new VirtioDevice(new VirtioBlock(inMemory(machine)))
  const driver = machine.open(device, { packed }) as VirtioBlockDriver
  const ring = driver.transport.rings[0]!
  const command = { kind: 'read', sector: 0, count: 1, address: driver.buffer } as const
  const tag = machine.guest(function* () {
    const prepared = yield* driver.prepare(command)
    yield* driver.commit()
    return prepared
  }).result
  const id = packed ? ring.descriptors + PACKED_ID : ring.device + SPLIT_ID
  machine.poke(id, Uint8Array.of(ring.size - 2, 0))
  machine.guest(() => driver.reap())
  expect(ring.broken).toBe(true)
  expect(driver.outcome(tag)).toBeUndefined()
  expect(machine.transfer(driver, false, 0, 1).ok).toBe(false)
})
