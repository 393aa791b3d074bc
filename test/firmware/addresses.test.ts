import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { runFirmware } from '../../src/firmware/index.ts'
import type { TopologyDocument } from '../../src/platform/index.ts'
import { bridge, endpoint, physicalFunction } from '../platform/documents.ts'
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
