/**
 * Rings, tables and commands that something else has written over: drivers and devices give up what makes no sense, and
 * nothing waits for ever. Brought up anew, they work.
 */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { DRIVER_MEMORY, type GuestKernel, type NetworkDriver } from '../../src/guest/index.ts'
import type { BlockDriver } from '../../src/guest/storage/block-driver.ts'
import { BlockWorkloadRun } from '../../src/guest/storage/block-workload.ts'
import { Frame } from '../../src/net/index.ts'
import { frameOf, OTHER } from '../host/net/adapter-rig.ts'
import { DiskMachine } from '../hypervisor/storage/disk-machine.ts'
import { GUESTS, MAC } from './net/guests.ts'
import { MODELS } from './storage/disks.ts'

/** Most rings lie in the first pages of a driver's memory. */
const place = fc.oneof(
  fc.integer({ min: 0, max: 0x2000 / 2 - 1 }),
  fc.integer({ min: 0, max: DRIVER_MEMORY.size / 2 - 1 }),
)
const strays = fc.array(
  fc.record({
    at: place.map(half => DRIVER_MEMORY.base + half * 2),
    bytes: fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 16 }),
      fc.constantFrom(0x00, 0xff).map(byte => new Uint8Array(16).fill(byte)),
    ),
  }),
  { minLength: 1, maxLength: 12 },
)

describe.each(Object.entries(MODELS))('%s', (_, open) => {
  let machine: DiskMachine
  let driver: BlockDriver
  beforeAll(() => {
    machine = new DiskMachine()
    driver = open(machine)
  })
  const restart = (): void => {
    machine.guest(kernel => kernel.close(1))
    driver = machine.start(1)
  }

  it('ends every command, and works again once it is started anew', () => {
    const workload = { pattern: 'random', sectors: 1, depth: 6, commands: 12, readPercent: 50 } as const
    fc.assert(
      fc.property(strays, fc.nat(), (writes, seed) => {
        for (const { at, bytes } of writes) machine.poke(at, bytes)
        machine.guest(function* (kernel: GuestKernel) {
          const asked = { ...workload, firstSector: 0, span: 100, seed }
          yield* new BlockWorkloadRun(kernel.access, driver, asked).run()
          yield* driver.flush()
        })
        restart()
        expect(machine.transfer(driver, true, 5, 3).ok).toBe(true)
      }),
      { numRuns: 4 },
    )
  })
})

describe.each(Object.entries(GUESTS))('%s', (_, make) => {
  it('sends and receives what it can, and everything once it is started anew', () => {
    const guest = make()
    const { hypervisor } = guest.rig.platform
    const exchange = (driver: NetworkDriver): void => {
      for (let i = 0; i < 12; i++) {
        guest.run(() => driver.send(frameOf(OTHER, driver.mac, 64 + i).toBytes()))
        guest.deliver(Frame.of(frameOf(driver.mac, OTHER, 64 + i).toBytes()))
      }
    }
    fc.assert(
      fc.property(strays, writes => {
        for (const { at, bytes } of writes) hypervisor.writeGuest('a', at, bytes)
        exchange(guest.driver)
        guest.run(kernel => kernel.close(1))
        guest.start(1, { mac: MAC })
        guest.driver.takeFrames()
        guest.sent.length = 0
        exchange(guest.driver)
        expect(guest.driver.takeFrames().length).toBe(12)
        expect(guest.sent.length).toBe(12)
      }),
      { numRuns: 4 },
    )
  })
})
