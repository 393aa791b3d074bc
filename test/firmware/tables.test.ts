import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type RequesterId, requesterId } from '../../src/core/index.ts'
import { sleep } from '../../src/engine/index.ts'
import { importCapture } from '../../src/interop/index.ts'
import {
  type Dmar,
  decodeDmar,
  decodeHpet,
  decodeMadt,
  decodeMcfg,
  decodeSrat,
  proximityDomainOf,
} from '../../src/platform/formats/acpi/index.ts'
import { BOOT_PARAMETERS_SIZE, decodeBootParameters } from '../../src/platform/formats/boot-parameters.ts'
import type { MachinePort } from '../../src/platform/index.ts'
import { CAPTURES } from '../host/capture-functions.ts'
import { endpoint } from '../platform/documents.ts'
import { type Booted, boot, shipped } from './boot.ts'

const documents = new Map(shipped())
const shippedAs = (file: string) => documents.get(file)!

function bytesAt({ platform }: Booted, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  expect(platform.port.readBytes(address, bytes)).toBe(true)
  return bytes
}

const u32 = (bytes: Uint8Array, at: number): number => new DataView(bytes.buffer).getUint32(at, true)
const sum = (bytes: Uint8Array): number => bytes.reduce((total, byte) => (total + byte) & 0xff, 0)

/** All tables as an operating system finds them: RSDP by search, XSDT, the rest. */
function tablesOf(booted: Booted): Map<string, Uint8Array> {
  for (let address = 0xe_0000; address < 0x10_0000; address += 16) {
    const rsdp = bytesAt(booted, address, 36)
    if (Buffer.from(rsdp.subarray(0, 8)).toString() !== 'RSD PTR ') continue
    expect(sum(rsdp.subarray(0, 20))).toBe(0)
    expect(sum(rsdp)).toBe(0)
    const tables = new Map<string, Uint8Array>()
    const xsdtAddress = u32(rsdp, 24)
    const xsdt = bytesAt(booted, xsdtAddress, u32(bytesAt(booted, xsdtAddress, 36), 4))
    for (let at = 36; at < xsdt.length; at += 8) {
      const header = bytesAt(booted, u32(xsdt, at), 36)
      const table = bytesAt(booted, u32(xsdt, at), u32(header, 4))
      expect(sum(table)).toBe(0)
      tables.set(Buffer.from(table.subarray(0, 4)).toString(), table)
    }
    return tables
  }
  return expect.unreachable('an RSDP is found')
}

describe('ACPI tables in memory', () => {
  it('describe a machine with two sockets', () => {
    const tables = tablesOf(boot(shippedAs('two-socket-82599.json')))
    expect([...tables.keys()].sort()).toEqual(['APIC', 'DMAR', 'MCFG', 'SRAT'])
    const madt = decodeMadt(tables.get('APIC')!)
    expect(madt.localApicAddress).toBe(0xfee0_0000)
    const processors = madt.entries.filter(entry => entry.kind === 'localApic')
    expect(processors.length).toBe(8)
    expect(madt.entries.filter(entry => entry.kind === 'ioApic')).toMatchObject([
      { ioApicId: 0, address: 0xfec0_0000 },
    ])
    const srat = decodeSrat(tables.get('SRAT')!)
    const nodes = srat.entries.map(
      entry => entry.kind !== 'unknown' && `${entry.kind} ${proximityDomainOf(entry)}`,
    )
    expect(new Set(nodes)).toEqual(new Set(['processor 0', 'processor 1', 'memory 0', 'memory 1']))
    expect(nodes.filter(node => node === 'processor 1').length).toBe(4)
  })

  it('leave out the SRAT without proximity domains, and the DMAR without remapping units', () => {
    const plain = { name: 'plain', hostBridges: [{ devices: [endpoint('01.0')] }] }
    expect([...tablesOf(boot({ ...plain, iommu: { kind: 'none' } })).keys()].sort()).toEqual(['APIC', 'MCFG'])
    expect([...tablesOf(boot({ ...plain, iommu: { kind: 'amd' } })).keys()].sort()).toEqual(['APIC', 'MCFG'])
    const units = [{ id: 'unit', includeAll: true }]
    expect(tablesOf(boot({ ...plain, iommu: { kind: 'intel-vtd', units } })).has('DMAR')).toBe(true)
  })

  it('lead to configuration space by the MCFG, in every segment', () => {
    const booted = boot({
      name: 'segments',
      iommu: { kind: 'none' },
      hostBridges: [
        { segment: 0, bus: 0, devices: [endpoint('01.0')] },
        { segment: 5, bus: 0x20, devices: [endpoint('03.0')] },
      ],
    })
    const { allocations } = decodeMcfg(tablesOf(booted).get('MCFG')!)
    expect(allocations.map(({ segment }) => segment)).toEqual([0, 5])
    expect(booted.platform.port.readDword(allocations[0]!.base + (1 << 15))).toBe(0x1234_8086)
    expect(booted.platform.port.readDword(allocations[1]!.base + (0x20 << 20) + (3 << 15))).toBe(0x1234_8086)
  })

  it('describe an event timer where the board has one, which counts virtual time', () => {
    const plain = {
      name: 'timer',
      iommu: { kind: 'none' as const },
      hostBridges: [{ devices: [endpoint('01.0')] }],
    }
    expect(tablesOf(boot(plain)).has('HPET')).toBe(false)
    const booted = boot({ ...plain, hpet: true })
    const hpet = decodeHpet(tablesOf(booted).get('HPET')!)
    expect(hpet).toMatchObject({
      blockId: 0x8086_2201,
      addressSpace: 0,
      registerWidth: 64,
      base: 0xfed0_0000,
    })
    const { port } = booted.platform
    expect(port.readDword(hpet.base)).toBe(hpet.blockId)
    port.writeDword(hpet.base + 0x10, 1)
    const before = port.readDword(hpet.base + 0xf0)
    booted.engine.run(sleep(booted.engine, 1_000_000))
    const femtoseconds = port.readDword(hpet.base + 4)
    expect((port.readDword(hpet.base + 0xf0) - before) * femtoseconds).toBe(1e12)
  })

  it('use x2APIC entries for processors whose local APIC id needs more than 8 bits', () => {
    const { entries } = decodeMadt(
      tablesOf(
        boot({
          name: 'many',
          iommu: { kind: 'none' },
          processors: [{ logicalProcessors: 300 }],
          hostBridges: [{ devices: [endpoint('01.0')] }],
        }),
      ).get('APIC')!,
    )
    expect(entries.filter(entry => entry.kind === 'localApic').length).toBe(255)
    expect(entries.filter(entry => entry.kind === 'localX2Apic').length).toBe(45)
  })
})

describe('boot parameters', () => {
  it('say where an address-range unit has its registers, which no ACPI table describes', () => {
    const plain = { name: 'gart', hostBridges: [{ devices: [endpoint('01.0')] }] }
    const of = (iommu: object) => {
      const booted = boot({ ...plain, iommu: iommu as { kind: 'gart' } })
      expect(tablesOf(booted).has('DMAR')).toBe(false)
      return decodeBootParameters(bytesAt(booted, 0x9_0000, BOOT_PARAMETERS_SIZE))
    }
    expect(of({ kind: 'gart' })).toMatchObject({ aperture: 0xfed9_0000, hostBridges: [{ bus: 0 }] })
    expect(of({ kind: 'gart', registerBase: '0xfed20000' }).aperture).toBe(0xfed2_0000)
    expect(of({ kind: 'none' }).aperture).toBeUndefined()
    expect(() => of({ kind: 'gart', registerBase: '0xfee00000' })).toThrow(/0xfed10000 to 0xfedfffff/)
  })
})

describe('DMAR', () => {
  it('says whether interrupts are remapped, and how wide addresses are', () => {
    const dmar = (file: string) =>
      decodeDmar(tablesOf(boot(importCapture(join(CAPTURES, file)).topology)).get('DMAR')!)
    expect(dmar('aw39')).toMatchObject({ hostAddressWidth: 39, flags: 1 })
    expect(dmar('no-intremap')).toMatchObject({ flags: 0 })
  })

  it('lists an include-all unit last for its segment, and structures in ascending order of type', () => {
    const { structures } = decodeDmar(tablesOf(boot(shippedAs('two-socket-82599.json'))).get('DMAR')!)
    expect(structures.map(({ kind }) => kind)).toEqual(['DRHD', 'DRHD', 'RHSA', 'RHSA'])
    expect(structures.flatMap(one => (one.kind === 'DRHD' ? [one.flags] : []))).toEqual([0, 1])
  })

  it('gives reserved memory the scopes of its functions, also behind bridges', () => {
    const { topology } = importCapture(join(CAPTURES, 'rmrr'))
    const { structures } = decodeDmar(tablesOf(boot(topology)).get('DMAR')!)
    expect(structures.filter(one => one.kind === 'RMRR')).toEqual([
      {
        kind: 'RMRR',
        segment: 0,
        base: 0x1e00_0000,
        limit: 0x1e00_ffff,
        scopes: [{ type: 1, enumerationId: 0, startBus: 0, path: [{ device: 5, fn: 0 }] }],
      },
      {
        kind: 'RMRR',
        segment: 0,
        base: 0x1e01_0000,
        limit: 0x1e01_1fff,
        scopes: [
          {
            type: 1,
            enumerationId: 0,
            startBus: 0,
            path: [
              { device: 1, fn: 0 },
              { device: 0, fn: 0 },
            ],
          },
        ],
      },
    ])
  })

  it('names root ports with ATS, and functions of the root complex with a device-TLB', () => {
    const document = (more: object) => ({
      name: 'device-tlbs',
      iommu: { kind: 'intel-vtd' as const, units: [{ id: 'unit', includeAll: true, numaNode: 1 }], ...more },
      hostBridges: [
        {
          devices: [
            { at: '01.0', model: 'root-port' },
            { at: '02.0', model: 'root-port' },
            { at: '04.0', model: 'ats-accelerator' },
          ],
        },
      ],
    })
    const structures = (more: object) => decodeDmar(tablesOf(boot(document(more))).get('DMAR')!).structures
    const some = structures({
      atsPorts: [{ functions: ['00:02.0'] }],
      integratedCaches: [{ required: true, functions: ['00:04.0'] }],
    })
    expect(some.map(({ kind }) => kind)).toEqual(['DRHD', 'ATSR', 'RHSA', 'SATC'])
    const scope = (type: number, device: number) => ({
      type,
      enumerationId: 0,
      startBus: 0,
      path: [{ device, fn: 0 }],
    })
    expect(some[1]).toEqual({ kind: 'ATSR', flags: 0, segment: 0, scopes: [scope(2, 2)] })
    expect(some[2]).toEqual({ kind: 'RHSA', registerBase: 0xfed9_0000, proximityDomain: 1 })
    expect(some[3]).toEqual({ kind: 'SATC', flags: 1, segment: 0, scopes: [scope(1, 4)] })
    expect(structures({ atsPorts: [{ allPorts: true }] })[1]).toEqual({
      kind: 'ATSR',
      flags: 1,
      segment: 0,
      scopes: [],
    })
    expect(() => boot(document({ atsPorts: [{ functions: ['00:04.0'] }] }))).toThrow(/no port of a root bus/)
    expect(() => boot(document({ atsPorts: [{ functions: ['00:09.0'] }] }))).toThrow(/names no function/)
    expect(() => boot(document({ integratedCaches: [{ functions: ['00:01.0'] }] }))).toThrow(/device-TLB/)
    expect(() => boot(document({ atsPorts: [{}] }))).toThrow(/either all ports or some/)
  })

  it('lists devices that only the ACPI namespace knows, with the unit that their requests reach', () => {
    const document = (more: object) => ({
      name: 'namespace',
      iommu: {
        kind: 'intel-vtd' as const,
        units: [{ id: 'one' }, { id: 'rest', includeAll: true, numaNode: 0 }],
        namespaceDevices: [
          { unit: 'rest', number: 2, path: '\\_SB.PCI0.I2C0', requesterId: '00:15.0', ...more },
        ],
      },
      hostBridges: [{ remappingUnit: 'one', devices: [endpoint('01.0')] }],
    })
    const { structures } = decodeDmar(tablesOf(boot(document({}))).get('DMAR')!)
    expect(structures.map(({ kind }) => kind)).toEqual(['DRHD', 'DRHD', 'RHSA', 'ANDD'])
    expect(structures[3]).toEqual({
      kind: 'ANDD',
      deviceNumber: 2,
      name: new TextEncoder().encode('\\_SB.PCI0.I2C0\0'),
    })
    const scope = { type: 5, enumerationId: 2, startBus: 0, path: [{ device: 0x15, fn: 0 }] }
    expect(structures[1]).toMatchObject({ flags: 1, scopes: expect.arrayContaining([scope]) as unknown })
    expect(() => boot(document({ unit: 'other' }))).toThrow(/is no remapping unit: "other"/)
    expect(() => boot(document({ path: 'I2C0' }))).toThrow(/must be an ACPI path/)
    expect(() => boot(document({ requesterId: '00:20.0' }))).toThrow(/requesterId/)
  })

  /** Register base of the unit that serves a function by the table alone: nearest scope, or the include-all unit. */
  function unitByTable(dmar: Dmar, booted: Booted, segment: number, rid: RequesterId): number | undefined {
    const units = dmar.structures.filter(one => one.kind === 'DRHD').filter(one => one.segment === segment)
    // The way up: each bus is the secondary bus of one bridge, or a root bus.
    const bridges = booted.platform.fabric
      .functions()
      .filter(fn => fn.segment === segment && fn.definition.kind !== 'endpoint')
    for (let at: number | undefined = rid; at !== undefined; ) {
      const here: number = at
      for (const unit of units) {
        const hit = unit.scopes.some(
          ({ type, startBus, path }) =>
            type <= 2 && path.length === 1 && startBus * 256 + path[0]!.device * 8 + path[0]!.fn === here,
        )
        if (hit) return unit.registerBase
      }
      at = bridges.find(({ rid: bridge, kind }) => {
        const numbers = booted.read(bridge, 0x18, segment)
        return kind !== 'hostBridge' && ((numbers >>> 8) & 0xff) === here >>> 8
      })?.rid
    }
    return units.find(unit => unit.flags & 1)?.registerBase
  }

  const machines = [
    ...shipped(),
    ...['pxb-bypass', 'rmrr', 'pci-bridge-chain', 'mf-root-ports'].map(
      name => [name, importCapture(join(CAPTURES, name)).topology] as const,
    ),
  ]

  it.each(machines)(
    'of %s names for every function, VFs included, the unit that it is wired to',
    (_, document) => {
      const booted = boot(document)
      const { platform } = booted
      const table = tablesOf(booted).get('DMAR')
      const dmar = table === undefined ? undefined : decodeDmar(table)
      let checked = 0
      forwardByAri(booted)
      for (const fn of platform.fabric.functions()) {
        const expected = dmar && unitByTable(dmar, booted, fn.segment, fn.rid)
        const rids = [fn.rid, ...virtualRids(booted, fn.rid, fn.segment)]
        for (const rid of rids) {
          const unit = platform.unitOf(fn.segment, rid)
          const base = unit && platform.port.board.remapping.units[unit.index]!.registerBase
          expect(base, `${fn.segment}/${rid.toString(16)}`).toBe(expected)
          checked++
        }
      }
      expect(checked).toBeGreaterThan(3)
    },
  )

  /** Lets every port forward by ARI function numbers that can. */
  function forwardByAri({ platform, read, write }: Booted): void {
    for (const { rid, segment, definition } of platform.fabric.functions()) {
      if (segment !== 0 || !['rootPort', 'downstreamPort'].includes(definition.kind)) continue
      let at = read(rid, 0x34) & 0xfc
      while (at !== 0 && (read(rid, at) & 0xff) !== 0x10) at = (read(rid, at) >>> 8) & 0xfc
      if (at !== 0 && read(rid, at + 0x24) & 0x20) write(rid, at + 0x28, 0x20, 0xffff)
    }
  }

  /** Enables two VFs of a PF, and says where they are. */
  function virtualRids({ read, write }: Booted, rid: number, segment: number): RequesterId[] {
    if (segment !== 0) return []
    for (let at = 0x100; at >= 0x100 && read(rid, at) !== 0xffff_ffff; at = read(rid, at) >>> 20) {
      if ((read(rid, at) & 0xffff) !== 0x10) continue
      write(rid, at + 0x10, 2, 0xffff)
      // ARI Capable Hierarchy, then VF Enable and VF Memory Space Enable as well.
      write(rid, at + 0x08, 0x10, 0xffff)
      write(rid, at + 0x08, 0x19, 0xffff)
      const [offset, stride] = [read(rid, at + 0x14) & 0xffff, read(rid, at + 0x14) >>> 16]
      return [0, 1].map(n => requesterId(0, rid + offset + n * stride))
    }
    return []
  }
})

describe('The page for the kernel', () => {
  it('maps RAM, keeps the legacy range and reserved memory for the firmware, and lists host bridges', () => {
    const booted = boot(importCapture(join(CAPTURES, 'rmrr')).topology)
    const { rsdp, memoryMap, hostBridges } = decodeBootParameters(
      bytesAt(booted, 0x9_0000, BOOT_PARAMETERS_SIZE),
    )
    expect(rsdp).toBe(0xe_0000)
    expect(memoryMap).toEqual([
      { base: 0, size: 0x9_0000, type: 1 },
      { base: 0x9_0000, size: 0x7_0000, type: 2 },
      { base: 0x10_0000, size: 0x1df0_0000, type: 1 },
      { base: 0x1e00_0000, size: 0x1_0000, type: 2 },
      { base: 0x1e01_0000, size: 0x2000, type: 2 },
      { base: 0x1e01_2000, size: 0x1fe_e000, type: 1 },
    ])
    expect(hostBridges).toMatchObject([{ segment: 0, bus: 0, lastBus: 0xfe, numaNode: -1 }])
  })
})

describe('Firmware', () => {
  it('touches configuration space and RAM, nothing else', () => {
    const strangers: string[] = []
    const watched = (port: MachinePort): MachinePort => {
      const check = (address: number): void => {
        const inside = port.board.ecam.some(({ base }) => address >= base && address < base + 2 ** 28)
        if (!inside) strangers.push(address.toString(16))
      }
      return {
        board: port.board,
        get processors(): MachinePort['processors'] {
          strangers.push('processors')
          return port.processors
        },
        readDword: address => {
          check(address)
          return port.readDword(address)
        },
        writeDword: (address, value, lanes) => {
          check(address)
          port.writeDword(address, value, lanes)
        },
        readBytes: (address, target) => port.readBytes(address, target),
        writeBytes: (address, source) => port.writeBytes(address, source),
        zeroPages: (first, count) => port.zeroPages(first, count),
        inPort: () => strangers.push('in'),
        outPort: () => void strangers.push('out'),
      }
    }
    boot(shippedAs('two-socket-82599.json'), watched)
    expect(strangers).toEqual([])
  })
})
