import { beforeEach, describe, expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { MemoryRequest, type PcieFunction, STATUS, TARGET } from '../../src/pcie/index.ts'
import { Platform, parseTopology, type TopologyDocument } from '../../src/platform/index.ts'
import { bridge, endpoint, topology } from './documents.ts'

// The address map of this machine and the layouts that a driver would use, as literals.
const ECAM = 0x8000_0000
const UNIT = 0xfed9_0000
const [GCMD, GSTS, RTADDR, FSTS, IRTA, FRCD] = [0x18, 0x1c, 0x20, 0x34, 0xb8, 0x400]
const config = (bus: number, device: number, register: number): number =>
  ECAM + ((bus << 20) | (device << 15) | register)

function build(document: TopologyDocument): Platform {
  const engine = new Engine()
  return engine.run(Platform.build(parseTopology(document), engine))
}

/** An endpoint on the root bus, one behind a root port, one behind another, under one unit. */
const machine = (): TopologyDocument =>
  topology([
    endpoint('02.0'),
    bridge('rootPort', '03.0', [endpoint('00.0')], { bus: { secondary: 1, subordinate: 1 } }),
    bridge('rootPort', '04.0', [endpoint('00.0')], { bus: { secondary: 2, subordinate: 2 } }),
  ])

let platform: Platform
const read = (address: number): number => platform.port.readDword(address)
const write = (address: number, value: number): void => platform.port.writeDword(address, value)
const functionAt = (rid: number): PcieFunction => platform.fabric.functionAt(0, rid as never)!

const ENDPOINT = 0x0010 // 00:02.0
const BEHIND_PORT_3 = 0x0100 // 01:00.0
const BEHIND_PORT_4 = 0x0200 // 02:00.0

/** What enumeration leaves: bus numbers, windows, BARs, memory decode and bus mastering. */
function enumerate(): void {
  for (const [device, bus, megabyte] of [
    [3, 1, 0x9010],
    [4, 2, 0x9020],
  ] as const) {
    write(config(0, device, 0x18), (bus << 16) | (bus << 8))
    write(config(0, device, 0x20), (megabyte << 16) | megabyte)
    write(config(0, device, 0x04), 0x6)
    write(config(bus, 0, 0x10), megabyte << 16)
    write(config(bus, 0, 0x04), 0x6)
  }
  write(config(0, 2, 0x10), 0x9030_0000)
  write(config(0, 2, 0x04), 0x6)
}

const request = new MemoryRequest()
function dma(rid: number, direction: 'read' | 'write', address: number, bytes: Uint8Array): MemoryRequest {
  request.begin()
  request.write = direction === 'write'
  request.page = Math.floor(address / 4096)
  request.offset = address % 4096
  request.length = bytes.length
  request.data = bytes
  functionAt(rid).issue(request)
  return request
}
const message = (rid: number, address: number, data: number): MemoryRequest =>
  dma(rid, 'write', address, Uint8Array.of(data & 0xff, data >>> 8, 0, 0))

beforeEach(() => {
  platform = build(machine())
  platform.powerOn()
})

describe('the address map', () => {
  test('has RAM below 2 GiB and the rest from 4 GiB, in the order of the NUMA nodes', () => {
    const { board } = build(
      topology([], {
        memory: [
          { numaNode: 0, sizeMiB: 3072 },
          { numaNode: 1, sizeMiB: 1024 },
        ],
      }),
    ).port
    expect(board.ram).toEqual([
      { base: 0, size: 0x8000_0000 },
      { base: 0x1_0000_0000, size: 0x8000_0000 },
    ])
    expect(board.memoryAffinity).toEqual([
      { base: 0, size: 0x8000_0000, numaNode: 0 },
      { base: 0x1_0000_0000, size: 0x4000_0000, numaNode: 0 },
      { base: 0x1_4000_0000, size: 0x4000_0000, numaNode: 1 },
    ])
  })

  test('gives every host bridge windows that overlap nothing, in the address width of the machine', () => {
    const many = build(
      topology([], {
        hostAddressWidth: 46,
        hostBridges: Array.from({ length: 40 }, (_, i) => ({ segment: i >> 3, bus: (i & 7) * 0x10 })),
      }),
    )
    const { windows } = many.map
    for (const [i, { base, size }] of windows.entries()) {
      expect(base % 4096).toBe(0)
      expect(size).toBeGreaterThan(0)
      expect(base + size).toBeLessThanOrEqual(2 ** 46)
      if (i > 0) expect(base).toBeGreaterThanOrEqual(windows[i - 1]!.base + windows[i - 1]!.size)
    }
    expect(many.port.board.hostBridges).toHaveLength(40)
    expect(many.port.board.ecam.map(({ segment }) => segment)).toEqual([0, 1, 2, 3, 4])
  })

  test('reads all ones where nobody answers', () => {
    expect(read(0xfed8_0000)).toBe(0xffff_ffff)
    expect(read(2 ** 45)).toBe(0xffff_ffff)
    expect(platform.port.inPort(0x3f8, 1)).toBe(0xff)
  })
})

describe('configuration space', () => {
  test('is the same by ECAM and by the ports 0xCF8 and 0xCFC', () => {
    for (const device of [0, 2, 3, 4]) {
      for (let register = 0; register < 256; register += 4) {
        platform.port.outPort(0xcf8, 4, (0x8000_0000 | (device << 11) | register) >>> 0)
        expect(platform.port.inPort(0xcfc, 4)).toBe(read(config(0, device, register)))
      }
    }
    expect(platform.port.inPort(0xcf8, 4)).toBe(0x8000_20fc)
  })

  test('takes bytes and words at their place by the ports', () => {
    platform.port.outPort(0xcf8, 4, 0x8000_1000)
    expect(platform.port.inPort(0xcfe, 2)).toBe(0x1234)
    expect(platform.port.inPort(0xcfd, 1)).toBe(0x80)
    platform.port.outPort(0xcf8, 4, 0x8000_1004)
    platform.port.outPort(0xcfc, 1, 0x04)
    expect(read(config(0, 2, 0x04)) & 0xffff).toBe(0x0004)
  })

  test('does not answer by the ports while CONFIG_ADDRESS is not enabled', () => {
    platform.port.outPort(0xcf8, 4, 0x0000_1000)
    expect(platform.port.inPort(0xcfc, 4)).toBe(0xffff_ffff)
  })

  test('reads all ones for functions that are not there', () => {
    expect(read(config(0, 9, 0))).toBe(0xffff_ffff)
    expect(read(config(7, 0, 0))).toBe(0xffff_ffff)
  })
})

describe('a DMA request', () => {
  beforeEach(enumerate)

  test('reaches memory as it is while translation is off', () => {
    expect(dma(BEHIND_PORT_3, 'write', 0x20_0ffc, Uint8Array.of(1, 2, 3, 4))).toMatchObject({
      status: STATUS.successful,
      target: TARGET.memory,
      physicalPage: 0x200,
    })
    expect(read(0x20_0ffc)).toBe(0x0403_0201)
    const target = new Uint8Array(4)
    dma(ENDPOINT, 'read', 0x20_0ffc, target)
    expect([...target]).toEqual([1, 2, 3, 4])
  })

  test('is not issued without Bus Master Enable', () => {
    write(config(0, 2, 0x04), 0x2)
    expect(dma(ENDPOINT, 'write', 0x1000, new Uint8Array(4)).status).toBe(STATUS.notIssued)
  })

  test('to an address of a BAR behind another root port reaches the peer', () => {
    expect(dma(BEHIND_PORT_3, 'write', 0x9020_0010, Uint8Array.of(0xaa, 0, 0, 0))).toMatchObject({
      status: STATUS.successful,
      target: TARGET.peer,
    })
    expect(read(0x9020_0010)).toBe(0xaa)
  })

  test('to an address where nobody is ends as unsupported request', () => {
    expect(dma(ENDPOINT, 'write', 0x8000_0000, new Uint8Array(4)).status).toBe(STATUS.unsupportedRequest)
    expect(dma(ENDPOINT, 'read', 2 ** 45, new Uint8Array(4)).status).toBe(STATUS.unsupportedRequest)
  })

  /** Legacy mode tables: 00:02.0 sees page 0x345 at IOVA 0x40_0000_5000, read-write, and page 0x346 behind it, read-only. */
  function translationOn(): void {
    write(0x10_0000, 0x10_1001) // root entry of bus 0: P, context table at 0x101000
    write(0x10_1000 + ENDPOINT * 16, 0x10_2001) // P, TT 00, second-stage table at 0x102000
    write(0x10_1000 + ENDPOINT * 16 + 8, (7 << 8) | 2) // DID 7, AW 48 bits
    write(0x10_2000, 0x10_3003)
    write(0x10_3000 + 0x100 * 8, 0x10_4003) // bits 38:30 of 0x40_0000_5000
    write(0x10_4000, 0x10_5003)
    write(0x10_5000 + 5 * 8, 0x34_5003)
    write(0x10_5000 + 6 * 8, 0x34_6001)
    write(UNIT + RTADDR, 0x10_0000)
    write(UNIT + GCMD, 0x4000_0000) // SRTP
    write(UNIT + GCMD, 0x8000_0000) // TE
    expect(read(UNIT + GSTS) >>> 30).toBe(0b11) // TES, RTPS
  }

  test('is translated by the tables that software wrote, per requester', () => {
    translationOn()
    expect(dma(ENDPOINT, 'write', 0x40_0000_5008, Uint8Array.of(9, 8, 7, 6))).toMatchObject({
      status: STATUS.successful,
      physicalPage: 0x345,
      unit: 0,
    })
    expect(read(0x34_5008)).toBe(0x0607_0809)
  })

  test('that the tables forbid faults with the reason of the specification, and the record says who', () => {
    translationOn()
    write(0x34_6000, 0x1111_1111)
    expect(dma(ENDPOINT, 'write', 0x40_0000_6000, new Uint8Array(4))).toMatchObject({
      status: STATUS.remappingFault,
      faultReason: 0x05,
    })
    expect(read(0x34_6000)).toBe(0x1111_1111)
    expect(read(UNIT + FSTS) & 2).toBe(2) // PPF
    expect(read(UNIT + FRCD + 4)).toBe(0x40) // FI 63:32
    expect(read(UNIT + FRCD)).toBe(0x6000)
    expect(read(UNIT + FRCD + 8) & 0xffff).toBe(ENDPOINT)
    expect(read(UNIT + FRCD + 12) & 0x8000_00ff).toBe(0x8000_0005 | 0) // F, FR
  })

  test('of a function without a root entry faults 01h, though it is behind a port', () => {
    translationOn()
    expect(dma(BEHIND_PORT_3, 'read', 0x1000, new Uint8Array(4))).toMatchObject({ faultReason: 0x01 })
  })

  test('into the interrupt range that is no DWORD write is blocked with 29h while the unit is in use', () => {
    translationOn()
    expect(dma(ENDPOINT, 'write', 0xfee0_0000, new Uint8Array(8))).toMatchObject({ faultReason: 0x29 })
    expect(dma(ENDPOINT, 'read', 0xfee0_0000, new Uint8Array(4))).toMatchObject({ faultReason: 0x29 })
    expect(dma(ENDPOINT, 'write', 0xfee0_0002, new Uint8Array(4))).toMatchObject({ faultReason: 0x29 })
  })
})

describe('an interrupt request', () => {
  beforeEach(() => {
    enumerate()
    for (const processor of platform.port.processors) {
      processor.execute({ op: 'write', address: 0xfee0_00f0, width: 4, value: [0x1ff, 0] }) // SVR: enabled
      processor.execute({ op: 'sti' })
    }
  })

  test('in compatibility format reaches the local APIC that it names', () => {
    expect(message(BEHIND_PORT_4, 0xfee0_1000, 0x41)).toMatchObject({
      status: STATUS.successful,
      target: TARGET.interrupt,
      interrupt: { remapped: false, destination: 1, vector: 0x41, processor: 1 },
    })
    expect(platform.port.processors[0]!.takeInterrupt()).toBe(-1)
    expect(platform.port.processors[1]!.takeInterrupt()).toBe(0x41)
  })

  /** IRTE 5: vector 61h for local APIC 0, from 00:02.0 only. */
  function remappingOn(): void {
    write(0x20_0000 + 5 * 16, 0x0061_0001)
    write(0x20_0000 + 5 * 16 + 4, 0)
    write(0x20_0000 + 5 * 16 + 8, (1 << 18) | ENDPOINT)
    write(UNIT + IRTA, 0x20_0007) // 256 entries
    write(UNIT + GCMD, 0x0100_0000) // SIRTP
    write(UNIT + GCMD, 0x0200_0000) // IRE
  }

  test('in remappable format becomes what its IRTE says', () => {
    remappingOn()
    expect(message(ENDPOINT, 0xfee0_0010 + (5 << 5), 0)).toMatchObject({
      interrupt: { remapped: true, irteIndex: 5, vector: 0x61, processor: 0 },
      unit: 0,
    })
    expect(platform.port.processors[0]!.takeInterrupt()).toBe(0x61)
  })

  test('with the handle of another function is blocked by source validation', () => {
    remappingOn()
    expect(message(BEHIND_PORT_3, 0xfee0_0010 + (5 << 5), 0)).toMatchObject({
      status: STATUS.remappingFault,
      faultReason: 0x26,
    })
    expect(platform.port.processors[0]!.takeInterrupt()).toBe(-1)
    expect(read(UNIT + FRCD + 4) >>> 16).toBe(5) // FI 63:48: the index
  })

  test('in compatibility format is blocked while interrupt remapping is on', () => {
    remappingOn()
    expect(message(ENDPOINT, 0xfee0_0000, 0x41)).toMatchObject({ faultReason: 0x25 })
  })

  test('of the I/O APIC is remapped under the requester id that the board gives it', () => {
    remappingOn()
    expect(platform.port.board.ioApics[0]!.requesterId).toBe(0xff00)
    write(0x20_0000 + 5 * 16 + 8, (1 << 18) | 0xff00)
    // Redirection entry 4: index 5, remappable format, vector 61h as the IRTE, unmasked.
    write(0xfec0_0000, 0x19)
    write(0xfec0_0010, (5 << 17) | (1 << 16))
    write(0xfec0_0000, 0x18)
    write(0xfec0_0010, 0x61)
    platform.ioApic.assertLine(4, true)
    expect(platform.port.processors[0]!.takeInterrupt()).toBe(0x61)
  })
})

describe('wiring', () => {
  test('is per root-bus function: each unit serves what is soldered to it, and null is served by none', () => {
    platform = build({
      ...machine(),
      iommu: { kind: 'intel-vtd', units: [{ id: 'a' }, { id: 'b' }] },
      hostBridges: [
        {
          remappingUnit: 'a',
          devices: [
            endpoint('02.0', { remappingUnit: null }),
            bridge('rootPort', '03.0', [endpoint('00.0')]),
            bridge('rootPort', '04.0', [endpoint('00.0')], { remappingUnit: 'b' }),
          ],
        },
      ],
    })
    platform.powerOn()
    enumerate()
    const unitOf = (rid: number) => platform.unitOf(0, rid as never)?.id
    expect(unitOf(ENDPOINT)).toBeUndefined()
    expect(unitOf(BEHIND_PORT_3)).toBe('a')
    expect(unitOf(BEHIND_PORT_4)).toBe('b')
    expect(unitOf(0x0208)).toBe('b') // an id that only a bridge could use
    expect(platform.port.board.remapping.units).toMatchObject([
      {
        id: 'a',
        registerBase: 0xfed9_0000,
        scopes: [
          { kind: 'ioapic', path: { rootBus: 0xff, steps: [{ device: 0, fn: 0 }] } },
          { kind: 'bridge', path: { rootBus: 0, steps: [{ device: 3, fn: 0 }] } },
        ],
      },
      {
        id: 'b',
        registerBase: 0xfed9_1000,
        scopes: [{ kind: 'bridge', path: { rootBus: 0, steps: [{ device: 4, fn: 0 }] } }],
      },
    ])
    write(UNIT + 0x1000 + RTADDR, 0x10_0000)
    write(UNIT + 0x1000 + GCMD, 0x4000_0000)
    write(UNIT + 0x1000 + GCMD, 0x8000_0000)
    expect(dma(BEHIND_PORT_4, 'write', 0x1000, new Uint8Array(4))).toMatchObject({
      unit: 1,
      faultReason: 0x01,
    })
    expect(dma(BEHIND_PORT_3, 'write', 0x1000, new Uint8Array(4))).toMatchObject({ unit: 0, faultReason: 0 })
    expect(dma(ENDPOINT, 'write', 0x1000, new Uint8Array(4))).toMatchObject({ unit: -1, faultReason: 0 })
  })
})

describe('power', () => {
  beforeEach(enumerate)

  test('off loses the contents of RAM and every register', () => {
    const fresh = build(machine())
    fresh.powerOn()
    write(0x1000, 0x1234_5678)
    write(UNIT + RTADDR, 0x10_0000)
    platform.port.outPort(0xcf8, 4, 0x8000_0000)
    platform.powerOff()
    platform.powerOn()
    expect(read(0x1000)).toBe(0)
    expect(platform.save()).toEqual(fresh.save())
  })

  test('reset keeps RAM and gives every register its reset value', () => {
    write(0x1000, 0x1234_5678)
    write(UNIT + RTADDR, 0x10_0000)
    platform.reset()
    expect(read(0x1000)).toBe(0x1234_5678)
    expect(read(UNIT + RTADDR)).toBe(0)
    expect(read(config(0, 2, 0x04)) & 0xffff).toBe(0)
  })

  test('a saved platform is loaded into another of its topology, and goes on alike', () => {
    write(0x1000, 0x1234_5678)
    const twin = build(machine())
    twin.load(platform.save())
    expect(twin.save()).toEqual(platform.save())
    expect(twin.powered).toBe(true)
    platform = twin
    const target = new Uint8Array(4)
    dma(BEHIND_PORT_3, 'read', 0x1000, target)
    expect([...target]).toEqual([0x78, 0x56, 0x34, 0x12])
  })
})
