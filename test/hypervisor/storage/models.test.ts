/** One block read under each model of input and output, with what it costs; contents always those of a reference disk. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { NvmeSubsystem } from '../../../src/devices/nvme/index.ts'
import type { BlockDriver } from '../../../src/guest/storage/block-driver.ts'
import { NvmeDriver } from '../../../src/host/index.ts'
import {
  AhciController,
  MemoryBackend,
  NvmeBackend,
  QueuePairBackend,
  VirtioBlock,
} from '../../../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../../../src/hypervisor/virtio/index.ts'
import { DiskMachine } from './disk-machine.ts'

const PF = '0000:01:00.0'
const OTHER_PF = '0000:02:00.0'

/** The host's driver of a physical function, and a disk on its first namespace. */
function nvmeDisk(machine: DiskMachine, address = PF) {
  const driver = machine.run(NvmeDriver.start(machine.platform.host.device(address)))
  const backend = machine.run(NvmeBackend.open(driver, driver.namespaces[0]!))
  return { driver, backend }
}

/** A paravirtual disk on a queue pair of its own. */
function queuePair(machine: DiskMachine): VirtioBlock {
  const { hypervisor, host } = machine.platform
  const driver = machine.run(NvmeDriver.start(host.device(PF)))
  const memory = hypervisor.hostMemoryOf('guest')
  return new VirtioBlock(machine.run(QueuePairBackend.open(driver, driver.namespaces[0]!, memory)))
}

/** A virtual function, brought online by the host's driver of its physical function. */
function virtualFunction(machine: DiskMachine): BlockDriver {
  const { driver } = nvmeDisk(machine)
  machine.run(driver.bringOnline(1, 2, 2))
  return machine.attach(machine.platform.host.find(PF).virtualFunctions[0]!)
}

const MODELS: Record<string, (machine: DiskMachine) => BlockDriver> = {
  emulation: machine => machine.open(new AhciController(nvmeDisk(machine).backend)),
  paravirtual: machine => machine.open(new VirtioDevice(new VirtioBlock(nvmeDisk(machine).backend))),
  'a queue pair of its own': machine => machine.open(new VirtioDevice(queuePair(machine))),
  'SR-IOV virtual function': virtualFunction,
  'direct assignment': machine => {
    machine.run(machine.platform.host.setNumVfs(OTHER_PF, 0))
    return machine.attach(OTHER_PF)
  },
}

const exitsBy = (exits: readonly { readonly handledBy: string }[], who: string): number =>
  exits.filter(({ handledBy }) => handledBy === who).length

describe.each(Object.entries(MODELS))('a disk by %s', (name, open) => {
  it('reads what was written, at any address of guest memory', () => {
    const machine = new DiskMachine()
    const driver = open(machine)
    expect(driver.sectors).toBe(2 ** 21)
    const reference = new Uint8Array(4096 * 512)
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.integer({ min: 0, max: 4000 }),
        fc.integer({ min: 1, max: 48 }),
        // Dwords: what PRPs can name. A list's entries follow from the second page on.
        fc.integer({ min: 0x30_0000 / 4, max: 0x40_0000 / 4 }).map(dword => dword * 4),
        fc.integer({ min: 0, max: 255 }),
        (write, sector, count, address, seed) => {
          const length = count * 512
          const bytes = Uint8Array.from({ length }, (_, i) => (i * 5 + seed + (i >>> 8)) & 0xff)
          machine.poke(address, bytes)
          expect(machine.transfer(driver, write, sector, count, address).ok).toBe(true)
          const here = reference.subarray(sector * 512, sector * 512 + length)
          if (write) here.set(bytes)
          expect(Buffer.compare(machine.peek(address, length), here)).toBe(0)
        },
      ),
      { numRuns: 15 },
    )
    expect(machine.guest(() => driver.flush()).result, name).toBe(true)
  })

  it('ends a transfer outside guest memory with an error, and goes on', () => {
    const machine = new DiskMachine()
    const driver = open(machine)
    expect(machine.transfer(driver, false, 0, 8, 0x7000_0000).ok).toBe(false)
    expect(machine.transfer(driver, true, 0, 8, 0x7000_0000).ok).toBe(false)
    expect(machine.transfer(driver, false, driver.sectors - 1, 2).ok).toBe(false)
    expect(machine.transfer(driver, false, 0, 8).ok).toBe(true)
  })
})

describe('what a read of 4 KiB costs', () => {
  const nvmeOf = (machine: DiskMachine, address: string): NvmeSubsystem =>
    machine.platform.functionAt(address).model as NvmeSubsystem

  it('by emulation: an exit for each register access, a copy, and the host’s own command', () => {
    const machine = new DiskMachine()
    const { backend } = nvmeDisk(machine)
    const device = new AhciController(backend)
    const driver = machine.open(device)
    machine.transfer(driver, false, 0, 8)
    const before = { ...device.disk.counters, reads: device.reads, writes: device.writes }
    const { exits } = machine.transfer(driver, false, 8, 8)
    // PxCI written and read; in the handler IS and PxIS read and written.
    expect(exitsBy(exits, 'ahci')).toBe(6)
    expect(device.reads - before.reads + device.writes - before.writes).toBe(6)
    expect(device.disk.counters.copiedBytes - before.copiedBytes).toBe(4096)
  })

  it('paravirtual: one exit, for the notification, and a copy', () => {
    const machine = new DiskMachine()
    const model = new VirtioBlock(nvmeDisk(machine).backend)
    const driver = machine.open(new VirtioDevice(model))
    machine.transfer(driver, false, 0, 8)
    const copied = model.counters.copiedBytes
    const { exits } = machine.transfer(driver, false, 8, 8)
    expect(exitsBy(exits, 'virtio-blk')).toBe(1)
    expect(model.counters.copiedBytes - copied).toBe(4096)
  })

  it('by a queue pair: one exit, and the controller itself reaches the guest’s memory', () => {
    const machine = new DiskMachine()
    const model = queuePair(machine)
    const driver = machine.open(new VirtioDevice(model))
    const counters = () => nvmeOf(machine, PF).view()[0]!.counters
    machine.transfer(driver, false, 0, 8)
    const before = counters()
    const { exits } = machine.transfer(driver, false, 8, 8)
    const after = counters()
    expect(exitsBy(exits, 'virtio-blk')).toBe(1)
    expect(model.counters.copiedBytes).toBe(0)
    expect(after.bytes - before.bytes).toBe(64 + 4096 + 16)
    expect(after.interrupts - before.interrupts).toBe(1)
    // Its own queue pair, behind the one that serves everybody else.
    expect(
      nvmeOf(machine, PF)
        .view()[0]!
        .submissionQueues.map(({ id }) => id),
    ).toEqual([0, 1, 2])
    expect(
      nvmeOf(machine, PF)
        .view()[0]!
        .completionQueues.map(({ vector }) => vector),
    ).toEqual([0, 1, 2])
  })

  it('by a virtual function: no exit for registers, no copy; the device’s requests are translated', () => {
    const machine = new DiskMachine()
    const driver = virtualFunction(machine)
    const subsystem = nvmeOf(machine, PF)
    const counters = () => subsystem.view().find(({ controllerId }) => controllerId === 1)!.counters
    machine.transfer(driver, false, 0, 8)
    const before = counters()
    const { exits } = machine.transfer(driver, false, 8, 8)
    const after = counters()
    expect(exits.filter(({ reason }) => /EPT|I\/O/.test(reason))).toEqual([])
    // The command is fetched, its data and its completion are written, and one message is sent.
    expect(after.reads - before.reads).toBe(1)
    expect(after.writes - before.writes).toBe(2)
    expect(after.iotlbLookups - before.iotlbLookups).toBe(3)
    expect(after.iotlbHits - before.iotlbHits).toBe(3)
    expect(after.interrupts - before.interrupts).toBe(1)
  })

  it('a virtual function’s stray request is a fault in its unit’s registers', () => {
    const machine = new DiskMachine()
    const driver = virtualFunction(machine)
    expect(machine.transfer(driver, false, 0, 1, 0x7000_0000).ok).toBe(false)
    const subsystem = nvmeOf(machine, PF)
    expect(subsystem.view().find(({ controllerId }) => controllerId === 1)!.counters.failed).toBe(1)
  })
})

describe('a disk in memory', () => {
  it('takes pages when they are written and gives them back', () => {
    const machine = new DiskMachine()
    const { host, hardware } = machine.platform
    const free = host.memory.freePages
    const backend = new MemoryBackend(hardware.port, host.memory, 2048)
    expect(machine.run(backend.write(7, new Uint8Array(1024).fill(9), 0, 1024))).toBe(true)
    expect(host.memory.freePages).toBe(free - 2)
    machine.run(backend.close())
    expect(host.memory.freePages).toBe(free)
  })
})
