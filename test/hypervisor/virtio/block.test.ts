/** VIRTIO 1.2: a guest's driver and a device of the hypervisor, over rings in guest memory, in every layout. */
import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { MemoryBackend, VirtioBlock } from '../../../src/hypervisor/storage/index.ts'
import { VirtioDevice } from '../../../src/hypervisor/virtio/index.ts'
import { DiskMachine } from '../storage/disk-machine.ts'

const SECTORS = 2048

function disk(machine: DiskMachine, features: object = {}, blockOptions: object = {}) {
  const { hardware, host } = machine.platform
  const backend = new MemoryBackend(hardware.port, host.memory, SECTORS)
  const model = new VirtioBlock(backend, blockOptions)
  const device = new VirtioDevice(model, features)
  return { model, device }
}

const layouts = [true, false].flatMap(packed =>
  [true, false].flatMap(eventIndex => [true, false].map(indirect => ({ packed, eventIndex, indirect }))),
)

describe.each(layouts)(
  'a block device with packed=$packed, event index=$eventIndex, indirect=$indirect',
  features => {
    it('holds what a reference disk holds, round a small ring many times', () => {
      const machine = new DiskMachine()
      const { model, device } = disk(machine, features)
      const driver = machine.open(device, { ringEntries: 8 })
      expect(driver.sectors).toBe(SECTORS)
      const reference = new Uint8Array(SECTORS * 512)
      let commands = 0
      fc.assert(
        fc.property(
          fc.boolean(),
          fc.integer({ min: 0, max: SECTORS - 16 }),
          fc.integer({ min: 1, max: 16 }),
          // Anywhere in guest memory, whatever the alignment.
          fc.integer({ min: 0x30_0000, max: 0x40_0000 }),
          fc.integer({ min: 0, max: 255 }),
          (write, sector, count, address, seed) => {
            const length = count * 512
            const bytes = Uint8Array.from({ length }, (_, i) => (i * 3 + seed) & 0xff)
            machine.poke(address, bytes)
            const { ok, exits } = machine.transfer(driver, write, sector, count, address)
            commands++
            expect(ok).toBe(true)
            const here = reference.subarray(sector * 512, sector * 512 + length)
            if (write) here.set(bytes)
            expect(Buffer.compare(machine.peek(address, length), here)).toBe(0)
            // Of the device's registers, the notification alone.
            expect(exits.filter(({ handledBy }) => handledBy === 'virtio-blk')).toHaveLength(1)
          },
        ),
        { numRuns: 12 },
      )
      expect(model.counters).toMatchObject({ commands, errors: 0, copies: commands })
      expect(device.notifications).toBe(commands)
      expect(device.interrupts).toBe(commands)
    })
  },
)

describe('requests', () => {
  it('beyond the disk, or to a read-only one, end with an error', () => {
    const machine = new DiskMachine()
    const { model, device } = disk(machine, {}, { readOnly: true })
    const driver = machine.open(device)
    expect(machine.transfer(driver, false, SECTORS - 1, 1).ok).toBe(true)
    expect(machine.transfer(driver, false, SECTORS - 1, 2).ok).toBe(false)
    expect(machine.transfer(driver, true, 0, 1).ok).toBe(false)
    expect(model.counters.errors).toBe(2)
  })

  it('with data outside guest memory end with an error and touch nothing', () => {
    const machine = new DiskMachine()
    const { model, device } = disk(machine)
    const driver = machine.open(device)
    expect(machine.transfer(driver, false, 0, 8, 0x7000_0000).ok).toBe(false)
    expect(model.counters.errors).toBe(1)
    expect(machine.transfer(driver, false, 0, 8).ok).toBe(true)
  })

  it('can be flushes', () => {
    const machine = new DiskMachine()
    const driver = machine.open(disk(machine).device)
    expect(machine.guest(() => driver.flush()).result).toBe(true)
  })
})

describe('a device with ACCESS_PLATFORM and VERSION_1', () => {
  it('reaches no memory while Bus Master Enable is clear', () => {
    const machine = new DiskMachine()
    const { device } = disk(machine)
    const driver = machine.open(device)
    // Command of slot 1: memory space on, bus master off.
    machine.run(
      machine.platform.hypervisor.runVcpu('guest', 0, [
        { op: 'out', port: 0xcf8, width: 4, value: 0x8000_0804 },
        { op: 'out', port: 0xcfc, width: 2, value: 0x0002 },
      ]),
    )
    expect(machine.transfer(driver, false, 0, 1).ok).toBe(false)
  })
})

describe('malformed rings', () => {
  let machine: DiskMachine
  beforeAll(() => {
    machine = new DiskMachine()
  })

  /** A split ring at 3 MiB under a hand that writes what no driver would; returns the device status afterwards. */
  function broken(write: (view: DataView) => void): { status: number; commands: number } {
    const { model, device } = disk(machine, { packed: false, eventIndex: false })
    const driver = machine.open(device, { ringEntries: 16 }) as unknown as {
      transport: {
        rings: { descriptors: number; driver: number; device: number }[]
        kick(n: number): Generator
        status(): Generator<undefined, number>
      }
    }
    const [ring] = driver.transport.rings
    const bytes = machine.peek(ring!.descriptors, ring!.device - ring!.descriptors)
    write(new DataView(bytes.buffer))
    machine.poke(ring!.descriptors, bytes)
    machine.run(device.writeRegister(4, 0x3000, 0, 0xffff_ffff))
    const status = device.readRegister(4, 20) & 0xff
    machine.run(machine.platform.hypervisor.unplug('guest', 1))
    return { status, commands: model.counters.commands }
  }
  const AVAIL = 16 * 16
  const NEEDS_RESET = 64

  it.each<[string, (view: DataView) => void]>([
    ['an available index that runs ahead', view => view.setUint16(AVAIL + 2, 17, true)],
    [
      'a head that is no descriptor',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint16(AVAIL + 4, 16, true)
      },
    ],
    [
      'a chain that leads back to itself',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint32(8, 16, true)
        view.setUint16(12, 1, true)
        view.setUint16(14, 0, true)
      },
    ],
    [
      'a next that is no descriptor',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint16(12, 1, true)
        view.setUint16(14, 99, true)
      },
    ],
    [
      'a readable descriptor behind a writable one',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint16(12, 3, true)
        view.setUint16(14, 1, true)
      },
    ],
    [
      'an indirect table outside memory',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint32(0, 0x7000_0000, true)
        view.setUint32(8, 32, true)
        view.setUint16(12, 4, true)
      },
    ],
    [
      'an indirect descriptor that goes on',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint32(8, 32, true)
        view.setUint16(12, 5, true)
      },
    ],
    [
      'an indirect table of half a descriptor',
      view => {
        view.setUint16(AVAIL + 2, 1, true)
        view.setUint32(8, 24, true)
        view.setUint16(12, 4, true)
      },
    ],
  ])('%s: the device needs a reset and has served nothing', (_, write) => {
    expect(broken(write)).toEqual({ status: 0x4f, commands: 0 })
    expect(0x4f & NEEDS_RESET).toBe(NEEDS_RESET)
  })
})

describe('malformed packed rings', () => {
  const AVAILABLE = 1 << 7

  /** A packed ring of 16 entries whose first descriptors are written by hand; the device status afterwards. */
  function broken(
    write: (descriptor: (i: number, address: number, length: number, flags: number) => void) => void,
  ) {
    const machine = new DiskMachine()
    const { model, device } = disk(machine, { eventIndex: false })
    const driver = machine.open(device, { ringEntries: 16 }) as unknown as {
      transport: { rings: { descriptors: number }[] }
    }
    const [ring] = driver.transport.rings
    const bytes = new Uint8Array(16 * 16)
    const view = new DataView(bytes.buffer)
    write((i, address, length, flags) => {
      view.setUint32(i * 16, address, true)
      view.setUint32(i * 16 + 8, length, true)
      view.setUint16(i * 16 + 14, flags, true)
    })
    machine.poke(ring!.descriptors, bytes)
    machine.run(device.writeRegister(4, 0x3000, 0, 0xffff_ffff))
    return { status: device.readRegister(4, 20) & 0xff, commands: model.counters.commands }
  }

  it.each<[string, Parameters<typeof broken>[0]]>([
    [
      'a chain as long as the ring that goes on',
      descriptor => {
        for (let i = 0; i < 16; i++) descriptor(i, 0x30_0000, 16, AVAILABLE | 1)
      },
    ],
    [
      'a readable descriptor behind a writable one',
      descriptor => {
        descriptor(0, 0x30_0000, 16, AVAILABLE | 3)
        descriptor(1, 0x30_0000, 16, AVAILABLE)
      },
    ],
    ['an indirect table outside memory', descriptor => descriptor(0, 0x7000_0000, 32, AVAILABLE | 4)],
    ['an indirect table of half a descriptor', descriptor => descriptor(0, 0x30_0000, 24, AVAILABLE | 4)],
    ['an empty indirect table', descriptor => descriptor(0, 0x30_0000, 0, AVAILABLE | 4)],
    [
      'an indirect descriptor inside a chain',
      descriptor => {
        descriptor(0, 0x30_0000, 16, AVAILABLE | 1)
        descriptor(1, 0x30_0000, 32, AVAILABLE | 4)
      },
    ],
  ])('%s: the device needs a reset and has served nothing', (_, write) => {
    expect(broken(write)).toEqual({ status: 0x4f, commands: 0 })
  })
})

describe('feature negotiation', () => {
  /** Writes the common configuration as a driver would; returns the device status after FEATURES_OK. */
  function negotiate(low: number, high: number, options: object = {}): number {
    const machine = new DiskMachine()
    const { device } = disk(machine, options)
    machine.run(machine.platform.hypervisor.plug('guest', device))
    const write = (offset: number, value: number, lanes = 0xffff_ffff): void =>
      machine.run(device.writeRegister(4, offset, value, lanes))
    write(20, 0x3, 0xff)
    for (const [half, bits] of [low, high].entries()) {
      write(8, half)
      write(12, bits)
    }
    write(20, 0xb, 0xff)
    return device.readRegister(4, 20) & 0xff
  }
  const VERSION_1 = 1
  const ACCESS_PLATFORM = 2

  it.each<[string, number, number, object, boolean]>([
    ['VERSION_1 and ACCESS_PLATFORM', 0, VERSION_1 | ACCESS_PLATFORM, {}, true],
    ['VERSION_1 alone where ACCESS_PLATFORM is offered', 0, VERSION_1, {}, false],
    ['VERSION_1 alone where it is not', 0, VERSION_1, { accessPlatform: false }, true],
    ['no VERSION_1', 0, ACCESS_PLATFORM, {}, false],
    ['a feature that was not offered', 1 << 3, VERSION_1 | ACCESS_PLATFORM, {}, false],
    ['packed rings that were not offered', 0, VERSION_1 | ACCESS_PLATFORM | 4, { packed: false }, false],
  ])('%s', (_, low, high, options, accepted) => {
    expect(negotiate(low, high, options)).toBe(accepted ? 0xb : 0x3)
  })
})
