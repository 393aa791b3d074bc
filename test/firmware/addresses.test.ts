import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { runFirmware } from '../../src/firmware/index.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { bridge, endpoint, physicalFunction } from '../platform/documents.ts'
import { type Booted, boot, shipped } from './boot.ts'

interface Range {
  readonly what: string
  readonly base: number
  readonly end: number
}

const machine = (devices: TopologyDocument['hostBridges'][number]['devices']): TopologyDocument => ({
  name: 'test',
  iommu: { kind: 'none' },
  hostBridges: [{ bus: 0, devices }],
})

const isBridge = (fn: PcieFunction): boolean => !['endpoint', 'hostBridge'].includes(fn.kind)

/** What a function's registers decode now, memory or I/O. Sizes are those of its definition. */
function decoded({ read }: Booted, fn: PcieFunction, io: boolean): Range[] {
  const ranges: Range[] = []
  for (const { index, kind, size } of fn.definition.bars) {
    if ((kind === 'io') !== io) continue
    const low = read(fn.rid, 0x10 + 4 * index, fn.segment)
    const high = kind === 'memory64' ? read(fn.rid, 0x14 + 4 * index, fn.segment) : 0
    const base = high * 2 ** 32 + ((low & (io ? ~3 : ~15)) >>> 0)
    expect(base % size, `BAR ${index} is aligned to its size`).toBe(0)
    if (base !== 0)
      ranges.push({ what: `${fn.segment}/${fn.rid.toString(16)} BAR ${index}`, base, end: base + size })
  }
  return ranges
}

/** Windows of a bridge that are open. */
function windows({ read }: Booted, fn: PcieFunction): { memory: Range[]; io: Range[] } {
  const word = (offset: number): number =>
    (read(fn.rid, offset & ~3, fn.segment) >>> ((offset & 2) * 8)) & 0xffff
  const what = `window of ${fn.rid.toString(16)}`
  const range = (base: number, limit: number): Range[] =>
    base > limit ? [] : [{ what, base, end: limit + 1 }]
  const upper = (offset: number): number => read(fn.rid, offset, fn.segment) * 2 ** 32
  return {
    memory: [
      ...range((word(0x20) & 0xfff0) * 0x1_0000, (word(0x22) & 0xfff0) * 0x1_0000 + 0xf_ffff),
      ...range(
        (word(0x24) & 0xfff0) * 0x1_0000 + upper(0x28),
        (word(0x26) & 0xfff0) * 0x1_0000 + 0xf_ffff + upper(0x2c),
      ),
    ],
    io: range((word(0x1c) & 0x00f0) << 8, (word(0x1c) & 0xf000) + 0xfff),
  }
}

/** Bridges on the way from a function up to its host bridge, by bus numbers. */
function bridgesAbove({ platform, read }: Booted, fn: PcieFunction): PcieFunction[] {
  const bus = fn.rid >>> 8
  return platform.fabric.functions().filter(other => {
    if (!isBridge(other) || other.segment !== fn.segment) return false
    const numbers = read(other.rid, 0x18, other.segment)
    return bus >= ((numbers >>> 8) & 0xff) && bus <= ((numbers >>> 16) & 0xff)
  })
}

/** A free aligned place in a range, between what is taken. */
function roomIn(range: Range, taken: readonly Range[], size: number, alignment: number): number | undefined {
  const inside = taken.filter(one => one.base < range.end && one.end > range.base)
  return [range.base, ...inside.map(one => one.end)]
    .map(start => Math.ceil(start / alignment) * alignment)
    .find(base => base + size <= range.end && inside.every(one => one.end <= base || one.base >= base + size))
}

/** Puts the VF BARs of all functions, as many VFs as there can be, into free room of the windows above them. */
function checkRoomForVirtualFunctions(booted: Booted): void {
  const functions = booted.platform.fabric.functions()
  const taken = functions.flatMap(fn => decoded(booted, fn, false))
  const wanted = functions.flatMap(fn =>
    (fn.definition.sriov?.bars ?? []).map(({ index, size }) => ({
      what: `VF BAR ${index} of ${fn.rid.toString(16)}`,
      port: bridgesAbove(booted, fn).at(-1),
      alignment: size,
      size: size * totalVfs(fn.definition.image),
    })),
  )
  for (const { what, port, size, alignment } of wanted.sort((a, b) => b.alignment - a.alignment)) {
    if (port === undefined) continue
    const found = windows(booted, port).memory.flatMap(window => roomIn(window, taken, size, alignment) ?? [])
    expect(found, `${what} finds room for all VFs`).not.toEqual([])
    taken.push({ what, base: found[0]!, end: found[0]! + size })
  }
}

function checkAddresses(booted: Booted): void {
  const { platform, read } = booted
  const functions = platform.fabric.functions()
  for (const io of [false, true]) {
    const all = functions.flatMap(fn => decoded(booted, fn, io)).sort((a, b) => a.base - b.base)
    for (const [i, range] of all.entries()) {
      const next = all[i + 1]
      if (next !== undefined)
        expect(range.end, `${range.what} ends before ${next.what}`).toBeLessThanOrEqual(next.base)
    }
    for (const fn of functions) {
      for (const range of decoded(booted, fn, io)) {
        for (const above of bridgesAbove(booted, fn)) {
          const open = windows(booted, above)[io ? 'io' : 'memory']
          const inside = open.some(window => range.base >= window.base && range.end <= window.end)
          expect(inside, `${range.what} lies in a window of ${above.rid.toString(16)}`).toBe(true)
        }
      }
    }
  }
  checkRoomForVirtualFunctions(booted)
  for (const fn of functions) {
    const command = read(fn.rid, 0x04, fn.segment) & 0xffff
    const hasMemory = isBridge(fn) || fn.definition.bars.some(bar => bar.kind !== 'io')
    if (hasMemory) expect(command & 0x2, 'memory decoding is on').toBe(0x2)
    expect((command & 0x4) !== 0, 'bus mastering is on for bridges only').toBe(isBridge(fn))
  }
}

function totalVfs(image: Uint8Array): number {
  const view = new DataView(image.buffer, image.byteOffset)
  for (let at = 0x100; at >= 0x100; at = view.getUint32(at, true) >>> 20) {
    if (view.getUint16(at, true) === 0x10) return view.getUint16(at + 0x0e, true)
  }
  return 0
}

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
