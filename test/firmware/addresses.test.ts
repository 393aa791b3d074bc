import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { runFirmware } from '../../src/firmware/index.ts'
import type { TopologyDocument, TopologyNodeDocument } from '../../src/platform/index.ts'
import { bridge, endpoint, image, physicalFunction } from '../platform/documents.ts'
import { checkAddresses, windows } from './address-checks.ts'
import { type Booted, boot, shipped } from './boot.ts'

const machine = (devices: TopologyDocument['hostBridges'][number]['devices']): TopologyDocument => ({
  name: 'test',
  iommu: { kind: 'none' },
  hostBridges: [{ bus: 0, devices }],
})

describe('Addresses given out by firmware', () => {
  it.each(shipped())(
    '%s: aligned, apart, inside every window above, with room for all VFs',
    (_, document) => {
      checkAddresses(boot(document))
    },
  )

  it('are the same again after a reset', () => {
    const [, document] = shipped()[0]!
    const { platform, engine, read } = boot(document)
    const functions = platform.fabric.functions()
    const rids = functions.map(fn => fn.rid)
    const snapshot = (): number[] => rids.flatMap(rid => [0x10, 0x18, 0x20, 0x24].map(at => read(rid, at)))
    const first = snapshot()
    platform.reset()
    expect(snapshot()).not.toEqual(first)
    engine.run(runFirmware(platform.port))
    expect(snapshot()).toEqual(first)
  })

  it('close the windows of a bridge with nothing behind', () => {
    const booted = boot(machine([bridge('rootPort', '01.0')]))
    const [port] = booted.platform.fabric.functions()
    expect(windows(booted, port!)).toEqual({ memory: [], io: [] })
  })

  it('are those of the presets, where they can be kept', () => {
    const booted = boot(
      machine([
        bridge('rootPort', '01.0', [endpoint('00.0', { barAddresses: { 0: '0xb0007000' } })], {
          windows: { memory: { base: '0xb0000000', limit: '0xb01fffff' } },
        }),
        endpoint('02.0', { barAddresses: { 0: '0xa0003000' } }),
        endpoint('03.0'),
      ]),
    )
    expect(booted.report.notes).toEqual([])
    expect(booted.read(0x0100, 0x10)).toBe(0xb000_7000)
    expect(booted.read(0x0008, 0x20)).toBe(0xb010_b000)
    expect(booted.read(0x0010, 0x10)).toBe(0xa000_3000)
    checkAddresses(booted)
  })

  it('give a bridge without a window preset the window that its presets need', () => {
    const booted = boot(
      machine([
        bridge('bridge', '01.0', [endpoint('00.0', { barAddresses: { 0: '0xb0307000' } }), endpoint('01.0')]),
      ]),
    )
    expect(booted.read(0x0008, 0x20)).toBe(0xb030_b030)
    checkAddresses(booted)
  })

  it('replace presets that collide or that nothing decodes, and the report says so', () => {
    const booted = boot(
      machine([
        endpoint('02.0', { barAddresses: { 0: '0xa0003000' } }),
        endpoint('03.0', { barAddresses: { 0: '0xa0003000' } }),
        endpoint('04.0', { barAddresses: { 0: '0x00007000' } }),
        bridge('rootPort', '05.0', [endpoint('00.0', { barAddresses: { 0: '0xb0000000' } })], {
          windows: { memory: { base: '0xc0000000', limit: '0xc00fffff' } },
        }),
      ]),
    )
    expect(booted.report.notes).toEqual([
      '0000:00:03.0: the preset address 0xa0003000 cannot be kept',
      '0000:00:04.0: the preset address 0x7000 cannot be kept',
    ])
    expect(booted.read(0x0010, 0x10)).toBe(0xa000_3000)
    expect(booted.read(0x0100, 0x10) & 0xfff0_0000).toBe(0xc000_0000 | 0)
    checkAddresses(booted)
  })
})

/** A root port whose slot takes cards: Slot Implemented, Hot-Plug Capable, both memory windows, the one of 64 bits. */
const slotPort = (
  at: string,
  more: Parameters<typeof bridge>[3] = {},
  kind: 'rootPort' | 'downstreamPort' = 'rootPort',
) =>
  bridge(kind, at, [], {
    imported: {
      name: 'hot-plug port',
      kind,
      configSizeBytes: 4096,
      image: image({
        0: [4, 0x1234_8086],
        6: [2, 0x10],
        14: [1, 1],
        36: [4, 0x0001_0001],
        52: [1, 0x40],
        64: [4, kind === 'rootPort' ? 0x0142_0010 : 0x0162_0010],
        84: [4, 0x60],
      }),
    },
    ...more,
  })

const sizesOf = (booted: Booted, rid: number): number[] =>
  windows(booted, booted.platform.fabric.functions().find(fn => fn.rid === rid)!).memory.map(
    ({ base, end }) => end - base,
  )
const MIB = 2 ** 20

describe('Windows of slots that cards can be plugged into', () => {
  it('hold 2 MiB of each kind of memory while the slot is empty', () => {
    const booted = boot(machine([slotPort('01.0'), slotPort('02.0'), bridge('rootPort', '03.0')]))
    expect([0x08, 0x10, 0x18].map(rid => sizesOf(booted, rid))).toEqual([
      [2 * MIB, 2 * MIB],
      [2 * MIB, 2 * MIB],
      [],
    ])
    checkAddresses(booted)
  })

  it('hold what the board says, aligned for a card with one large BAR, below every port on the way', () => {
    const reserved = { memoryBytes: 16 * MIB, prefetchableBytes: 64 * MIB, ioBytes: 0x1000 }
    const booted = boot(
      machine([
        bridge('rootPort', '01.0', [
          bridge('upstreamPort', '00.0', [
            slotPort('00.0', { reservedWindows: reserved }, 'downstreamPort'),
            bridge('downstreamPort', '01.0', [endpoint('00.0')]),
          ]),
        ]),
      ]),
    )
    expect(sizesOf(booted, 0x0200)).toEqual([16 * MIB, 64 * MIB])
    const slot = windows(booted, booted.platform.fabric.functions().find(fn => fn.rid === 0x0200)!)
    expect(slot.memory.map(({ base, end }) => base % (end - base))).toEqual([0, 0])
    checkAddresses(booted)
  })

  it('are where the presets say if there are any, and give way where memory is short', () => {
    const fixed = boot(
      machine([slotPort('01.0', { windows: { memory: { base: '0xb0000000', limit: '0xb00fffff' } } })]),
    )
    expect(sizesOf(fixed, 0x08)).toEqual([MIB])
    const short = boot(
      machine([slotPort('01.0', { reservedWindows: { memoryBytes: 2 ** 32 } }), endpoint('02.0')]),
    )
    expect(short.report.notes).toEqual(['no room is left for windows of empty slots'])
    expect(sizesOf(short, 0x08)).toEqual([])
  })
})

describe('The size of a resizable BAR', () => {
  /** BAR 0, 64-bit prefetchable, 256 MiB after reset; 256 MiB, 1 GiB, 16 GiB and 2^20 MiB are supported. */
  const gpu = (at: string, more: Partial<TopologyNodeDocument> = {}): TopologyNodeDocument => ({
    at,
    imported: {
      name: 'gpu',
      kind: 'endpoint',
      configSizeBytes: 4096,
      image: image({
        0: [4, 0x1234_10de],
        6: [2, 0x10],
        52: [1, 0x40],
        64: [4, 0x0002_0010],
        256: [4, 0x0001_0015],
        260: [4, (1 << 12) | (1 << 14) | (1 << 18) | (1 << 24)],
        264: [4, 0x820],
      }),
      bars: [{ index: 0, kind: 'memory64', prefetchable: true, sizeBytes: 256 * MIB }],
    },
    ...more,
  })
  const largest = (devices: TopologyNodeDocument[], hostAddressWidth = 40): Booted =>
    boot({ ...machine(devices), hostAddressWidth, firmware: { resizableBars: 'largestThatFits' } })
  const chosen = (booted: Booted, rid: number): number => 2 ** ((booted.read(rid, 0x108) >>> 8) & 0x3f)

  it('is the one after reset unless the firmware is told to choose', () => {
    const booted = boot(machine([gpu('01.0')]))
    expect(chosen(booted, 0x08)).toBe(256)
    checkAddresses(booted)
  })

  it('is the largest supported one for which everything finds room', () => {
    const booted = largest([gpu('01.0'), bridge('rootPort', '02.0', [endpoint('00.0')])])
    // 2^20 MiB is all that 40 bits address.
    expect(chosen(booted, 0x08)).toBe(16_384)
    checkAddresses(booted)
  })

  it('falls for the one found last first where not all can be large', () => {
    const booted = largest([gpu('01.0'), gpu('02.0'), gpu('03.0'), gpu('04.0')], 36)
    const sizes = [0x08, 0x10, 0x18, 0x20].map(rid => chosen(booted, rid))
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a))
    expect(sizes[0]).toBeGreaterThan(sizes[3]!)
    checkAddresses(booted)
  })

  it('stays where a preset address was given for that size', () => {
    const booted = largest([gpu('01.0', { barAddresses: { 0: '0xb0000000' } }), gpu('02.0')])
    expect([chosen(booted, 0x08), chosen(booted, 0x10)]).toEqual([256, 16_384])
    expect(booted.read(0x08, 0x10) >>> 0).toBe(0xb000_000c)
    checkAddresses(booted)
  })
})

describe('Bus numbers given out by firmware', () => {
  const numbers = (booted: Booted, rid: number): number[] => {
    const value = booted.read(rid, 0x18)
    return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff]
  }

  it('count depth first', () => {
    const booted = boot(
      machine([
        bridge('rootPort', '01.0', [
          bridge('upstreamPort', '00.0', [
            bridge('downstreamPort', '00.0', [endpoint('00.0')]),
            bridge('downstreamPort', '01.0', [endpoint('00.0')]),
          ]),
        ]),
        bridge('rootPort', '02.0', [endpoint('00.0')]),
      ]),
    )
    expect(numbers(booted, 0x0008)).toEqual([0, 1, 4])
    expect(numbers(booted, 0x0100)).toEqual([1, 2, 4])
    expect(numbers(booted, 0x0200)).toEqual([2, 3, 3])
    expect(numbers(booted, 0x0208)).toEqual([2, 4, 4])
    expect(numbers(booted, 0x0010)).toEqual([0, 5, 5])
    expect(booted.report).toMatchObject({ buses: 6, functions: 8 })
  })

  it('reserve a bus for VFs whose routing ids run over, unless the port forwards by ARI', () => {
    // 8 VFs at offset 180h, stride 2, from 01:00.0: up to 02:11.6.
    const booted = boot(
      machine([bridge('rootPort', '01.0', [physicalFunction('00.0')]), bridge('rootPort', '02.0')]),
    )
    expect(numbers(booted, 0x0008)).toEqual([0, 1, 2])
    expect(numbers(booted, 0x0010)).toEqual([0, 3, 3])
    const sheet = { at: '01.0', model: 'root-port', devices: [physicalFunction('00.0')] }
    expect(numbers(boot(machine([{ at: '00.0', model: 'host-bridge' }, sheet])), 0x0008)).toEqual([0, 1, 1])
  })

  it('leave NumVFs and ARI Capable Hierarchy as they were', () => {
    const booted = boot(machine([{ at: '01.0', model: 'root-port', devices: [physicalFunction('00.0')] }]))
    expect(booted.read(0x0100, 0x108)).toBe(0)
    expect(booted.read(0x0100, 0x110) & 0xffff).toBe(0)
  })

  it('are kept free for hot-plug as the board says', () => {
    const booted = boot(
      machine([
        bridge('rootPort', '01.0', [], { reservedBuses: 3 }),
        bridge('rootPort', '02.0', [endpoint('00.0')]),
      ]),
    )
    expect(numbers(booted, 0x0008)).toEqual([0, 1, 4])
    expect(numbers(booted, 0x0010)).toEqual([0, 5, 5])
  })

  it('are those of the presets, in whatever order they come', () => {
    const booted = boot(
      machine([
        bridge('rootPort', '01.0', [endpoint('00.0')], { bus: { secondary: 9, subordinate: 12 } }),
        bridge('rootPort', '02.0', [endpoint('00.0')]),
        bridge('rootPort', '03.0', [endpoint('00.0')], { bus: { secondary: 4, subordinate: 4 } }),
      ]),
    )
    expect(numbers(booted, 0x0008)).toEqual([0, 9, 12])
    expect(numbers(booted, 0x0018)).toEqual([0, 4, 4])
    expect(numbers(booted, 0x0010)).toEqual([0, 13, 13])
    expect(booted.read(0x0900, 0) & 0xffff).toBe(0x8086)
  })

  it('that run out are an error that names the bridge', () => {
    const document = machine([
      bridge('rootPort', '01.0', [], { bus: { secondary: 1, subordinate: 2 } }),
      bridge('rootPort', '02.0'),
    ])
    const small = { ...document, hostBridges: [{ ...document.hostBridges[0]!, lastBus: 2 }] }
    try {
      boot(small)
      expect.unreachable('there is no bus for the second port')
    } catch (error) {
      expect(error).toBeInstanceOf(NorthbridgeError)
      expect(error).toMatchObject({ code: 'outOfResources', details: { function: '0000:00:02.0' } })
    }
  })
})
