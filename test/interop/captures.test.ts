import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { type ImportedCapture, importCapture, readCapture } from '../../src/interop/index.ts'
import { importFiles } from '../../src/interop/linux-capture.ts'
import { parseTopology, type TopologyDocument, type TopologyNodeDocument } from '../../src/platform/index.ts'
import { CAPTURES, captureNames, readDump } from '../host/capture-functions.ts'

const folder = (name: string): string => join(CAPTURES, name)
const dumpOf = (name: string): string =>
  gunzipSync(readFileSync(join(folder(name), 'lspci-xxxx.txt.gz'))).toString('latin1')

const imports = new Map<string, ImportedCapture>()
/** A capture of test/data, imported once. */
function captured(name: string): ImportedCapture {
  let found = imports.get(name)
  if (found === undefined) imports.set(name, (found = importCapture(folder(name))))
  return found
}
const topologyOf = (name: string): TopologyDocument => captured(name).topology

const scratch = mkdtempSync(join(tmpdir(), 'northbridge-'))
afterAll(() => rmSync(scratch, { recursive: true }))

/** Every node with the bus it is on. */
function* nodesOf(topology: TopologyDocument): Generator<readonly [bus: number, node: TopologyNodeDocument]> {
  function* below(bus: number, nodes: readonly TopologyNodeDocument[] = []): ReturnType<typeof nodesOf> {
    for (const node of nodes) {
      yield [bus, node]
      yield* below(node.bus?.secondary ?? -1, node.devices)
    }
  }
  for (const bridge of topology.hostBridges) yield* below(bridge.bus ?? 0, bridge.devices)
}

const ridOf = (bus: number, { at }: TopologyNodeDocument): number =>
  bus * 256 + Number.parseInt(at.split('.')[0]!, 16) * 8 + Number(at.split('.')[1])

const find = (topology: TopologyDocument, rid: number): TopologyNodeDocument => {
  for (const [bus, node] of nodesOf(topology)) if (ridOf(bus, node) === rid) return node
  return expect.unreachable(`function ${rid.toString(16)} is there`)
}

describe('Every capture', () => {
  it.each(captureNames())('%s becomes a topology with the same functions at the same places', name => {
    const topology = parseTopology(topologyOf(name))
    const dump = readDump(name)
    const byRid = new Map(dump.map(one => [one.rid, one.bytes]))
    const placed = new Set<number>()
    let virtual = 0
    for (const [bus, node] of nodesOf(topology)) {
      const rid = ridOf(bus, node)
      const bytes = byRid.get(rid)!
      placed.add(rid)
      virtual += node.numVfs ?? 0
      const image = Buffer.from(node.imported!.image, 'hex')
      expect(Buffer.from(bytes).subarray(0, image.length).equals(image)).toBe(true)
      expect(bytes.subarray(image.length).every(byte => byte === 0)).toBe(true)
      if ((bytes[0x0e]! & 0x7f) === 1) {
        expect(node.bus).toEqual({ secondary: bytes[0x19], subordinate: bytes[0x1a] })
      }
    }
    const real = dump.filter(({ bytes }) => bytes[0] !== 0xff || bytes[1] !== 0xff)
    expect([...placed].sort()).toEqual(real.map(one => one.rid).sort())
    expect(virtual).toBe(dump.length - real.length)
  })

  it('says what it assumed, and in captures that is next to nothing', () => {
    const notes = captureNames().flatMap(name => captured(name).notes)
    expect(notes.filter(note => !/is inferred|no virtual function was on/.test(note))).toEqual([])
    expect(notes.length).toBeLessThan(6)
  })
})

describe('What a capture tells beyond config space', () => {
  it('sizes come from lspci -vvv', () => {
    const igb = find(topologyOf('aw39'), 0x100).imported!
    expect(igb.bars).toEqual([
      { index: 0, kind: 'memory32', sizeBytes: 0x2_0000 },
      { index: 1, kind: 'memory32', sizeBytes: 0x2_0000 },
      { index: 2, kind: 'io', sizeBytes: 32 },
      { index: 3, kind: 'memory64', sizeBytes: 0x4000 },
    ])
    expect(igb.sriov?.bars).toEqual([
      { index: 0, kind: 'memory64', prefetchable: true, sizeBytes: 0x4000 },
      { index: 3, kind: 'memory64', prefetchable: true, sizeBytes: 0x4000 },
    ])
    expect(find(topologyOf('pxb-numa'), 0x100).imported).toMatchObject({ romSizeBytes: 0x4_0000 })
  })

  it('VFs that were on are on, and their config space is their own', () => {
    const igb = find(topologyOf('pxb-numa'), 0x4100)
    expect(igb.numVfs).toBe(3)
    expect(igb.imported?.sriov?.ari).toEqual({ offset: 128, stride: 2 })
    expect(igb.imported?.sriov?.image.slice(0, 8)).toBe('ffffffff')
    // MSI-X of 3 vectors at 70h, its table behind VF BAR 3.
    expect(igb.imported?.sriov?.image.slice(0x70 * 2, 0x78 * 2)).toBe('1100020003000000')
  })

  it('processors, memory and proximity domains come from MADT and SRAT', () => {
    const { processors, memory, hostBridges } = topologyOf('pxb-numa')
    expect(processors).toEqual([
      { numaNode: 0, logicalProcessors: 1 },
      { numaNode: 1, logicalProcessors: 1 },
    ])
    expect(memory).toEqual([
      { numaNode: 0, sizeMiB: 256 },
      { numaNode: 1, sizeMiB: 256 },
    ])
    expect(hostBridges.map(({ bus, numaNode }) => [bus, numaNode])).toEqual([
      [0, undefined],
      [0x40, 0],
      [0x80, 1],
    ])
    expect(topologyOf('strict').memory).toEqual([{ sizeMiB: 512 }])
  })

  it('the DMAR says who is wired to what, also who to nothing', () => {
    const bypass = topologyOf('pxb-bypass')
    expect(bypass.hostBridges.map(bridge => bridge.remappingUnit)).toEqual(['dmar0', null, 'dmar0'])
    const all = topologyOf('rmrr')
    expect(all.iommu).toMatchObject({
      units: [{ id: 'dmar0', includeAll: true, registerBase: '0xfed90000', numaNode: 0 }],
    })
    expect(all.hostBridges[0]).not.toHaveProperty('remappingUnit')
    expect(all.reservedMemory).toEqual([
      { base: '0x1e000000', limit: '0x1e00ffff', functions: ['00:05.0'] },
      { base: '0x1e010000', limit: '0x1e011fff', functions: ['00:01.0/00.0'] },
    ])
  })

  it('drivers are those that functions had, and none where they had none', () => {
    const { drivers } = topologyOf('vfio-bound').host!
    expect(drivers).toMatchObject({ '0000:00:1f.2': 'ahci', '0000:00:00.0': null })
    expect(Object.values(drivers!).filter(driver => driver === 'vfio-pci')).toHaveLength(3)
  })

  it('ports whose hot-plug the firmware kept to itself are told from those that the kernel served', () => {
    const granted = (name: string) => topologyOf(name).hostBridges.map(bridge => bridge.nativeHotplug)
    expect(granted('acs-switch')).toEqual([false])
    expect(granted('pxb-bridges')).toEqual([undefined, undefined])
  })

  it('units can do what sysfs says of them', () => {
    const narrow = topologyOf('aw39')
    expect(narrow.hostAddressWidth).toBe(39)
    expect(narrow.iommu).toMatchObject({
      interruptRemapping: true,
      units: [{ capabilities: { SAGAW: 2, MGAW: 38, EIM: 0 } }],
    })
    expect(topologyOf('eim').iommu).not.toMatchObject({ units: [{ capabilities: { EIM: 0 } }] })
    expect(topologyOf('no-intremap').iommu).toMatchObject({
      interruptRemapping: false,
      units: [{ capabilities: { IR: 0 } }],
    })
  })

  it('another IOMMU, or none, is told apart', () => {
    expect(topologyOf('amd-iommu').iommu).toEqual({ kind: 'amd' })
    expect(topologyOf('no-iommu').iommu).toEqual({ kind: 'none' })
  })

  it('the host kernel is the one that ran, with its command line', () => {
    expect(topologyOf('passthrough').host).toMatchObject({
      commandLine: 'console=ttyS0 nokaslr panic=-1 intel_iommu=on iommu=pt',
      kernel: '6.1',
    })
    expect(topologyOf('passthrough-k72').host?.kernel).toBe('7.2')
  })
})

describe('With files missing', () => {
  const plain = join(scratch, 'server.lspci')

  it('a plain dump is enough: sizes are inferred, and an IOMMU is assumed', () => {
    writeFileSync(plain, dumpOf('acs-switch'))
    const { topology, notes } = importCapture(plain)
    expect(topology.name).toBe('server')
    expect(topology.iommu).toEqual({ kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] })
    expect(notes.join('\n')).toContain('nothing tells whether there is an IOMMU')
    expect([...nodesOf(topology)].length).toBe([...nodesOf(topologyOf('acs-switch'))].length)
    expect(notes.join('\n')).toContain('sizes of base addresses are inferred')
    expect(notes.join('\n')).toContain('the kernel version is unknown')
  })

  it('an inferred BAR holds its MSI-X table and ends before its neighbour', () => {
    writeFileSync(plain, dumpOf('aw39'))
    const { topology } = importCapture(plain)
    const sizes = find(topology, 0x100).imported!.bars!.map(bar => bar.sizeBytes)
    // BAR 0 at fe400000 and BAR 1 at fe420000 are 128 KiB apart; BAR 3 has a table of 10 entries and PBA at 2000h.
    expect(sizes[0]).toBe(0x2_0000)
    expect(sizes[1]).toBe(0x2_0000)
    expect(sizes[3]).toBeGreaterThanOrEqual(0x4000)
  })

  it('a packed dump is read as well', () => {
    writeFileSync(join(scratch, 'box.txt.gz'), gzipSync(dumpOf('strict')))
    expect(readCapture(join(scratch, 'box.txt.gz')).name).toBe('box')
  })

  it('without a dump, or with a broken file, the refusal names the file', () => {
    const refusal = (path: string): NorthbridgeError => {
      try {
        importCapture(path)
      } catch (error) {
        if (error instanceof NorthbridgeError) return error
        throw error
      }
      return expect.unreachable('it is refused')
    }
    expect(refusal(join(scratch, 'nowhere'))).toMatchObject({ code: 'notFound' })
    expect(refusal(join(CAPTURES, 'aw39', 'acpi'))).toMatchObject({ code: 'notFound' })
    writeFileSync(join(scratch, 'cut.gz'), gzipSync(dumpOf('strict')).subarray(0, 500))
    expect(refusal(join(scratch, 'cut.gz'))).toMatchObject({ code: 'malformedInput' })
    writeFileSync(join(scratch, 'short'), '00:00.0 x\n00: 86 80\n')
    expect(refusal(join(scratch, 'short')).message).toContain('0000:00:00.0 has 2 bytes')
  })
})

describe('Damaged dumps', () => {
  const lines = dumpOf('mf-igb-vfs').split('\n')
  const text = { name: 'damaged', details: undefined, tables: new Map(), texts: new Map(), about: {} }

  it('give a valid topology or a refusal, never anything else', () => {
    const bytes = fc.record({
      line: fc.nat(lines.length - 1),
      column: fc.nat(15),
      value: fc.integer({ min: 0, max: 255 }),
    })
    const headers = lines.flatMap((line, i) => (/^(?:00|10|20|30): /.test(line) ? [i] : []))
    const inHeader = fc.record({
      line: fc.constantFrom(...headers),
      column: fc.nat(15),
      value: fc.integer({ min: 0, max: 255 }),
    })
    fc.assert(
      fc.property(
        fc.array(fc.oneof(bytes, inHeader), { minLength: 1, maxLength: 8 }),
        fc.option(fc.nat(lines.length)),
        (changes, end) => {
          const damaged = [...lines]
          for (const { line, column, value } of changes) {
            const match = /^([0-9a-f]+: )(.*)$/.exec(damaged[line]!)
            if (match === null) continue
            const values = match[2]!.split(' ')
            values[column] = value.toString(16).padStart(2, '0')
            damaged[line] = match[1] + values.join(' ')
          }
          try {
            const dump = damaged.slice(0, end ?? damaged.length).join('\n')
            parseTopology(importFiles({ ...text, dump }).topology)
          } catch (error) {
            if (!(error instanceof NorthbridgeError)) throw error
            expect(['malformedInput', 'invalidDocument']).toContain(error.code)
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})

describe('Remapping units of a capture', () => {
  const unit = (name: string) => {
    const { iommu } = topologyOf(name)
    if (iommu.kind !== 'intel-vtd') return expect.unreachable('the capture has remapping units')
    return { ...iommu, capabilities: iommu.units[0]!.capabilities }
  }

  it('can do what the real ones could, scalable mode included', () => {
    expect(unit('scalable-first').capabilities).toMatchObject({ SMTS: 1, FSTS: 1, FS1GP: 1 })
    expect(unit('scalable-first').capabilities).not.toHaveProperty('SSTS')
    expect(unit('scalable-second').capabilities).toMatchObject({ SMTS: 1, SSTS: 1 })
    expect(unit('ats').capabilities).toMatchObject({ DT: 1 })
  })

  it('come with the root ports below which device-TLBs may be used', () => {
    expect(unit('ats').atsPorts).toEqual([{ allPorts: true }])
    expect(unit('switch-basic').atsPorts).toBeUndefined()
  })
})

describe('Topologies that were imported', () => {
  const imported = join(import.meta.dirname, '../../topologies/imported')

  it.each(readdirSync(imported))('%s is what the importer makes of its capture', file => {
    // Shipped topologies are for stories: functions have the drivers that the modelled kernel has for them.
    const { host, ...topology } = topologyOf(file.replace('.json', ''))
    const { drivers: _, ...kept } = host!
    expect(JSON.parse(readFileSync(join(imported, file), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify({ ...topology, host: kept })),
    )
  })

  it('are those that the demo and the tests tell stories about', () => {
    for (const name of ['acs-switch', 'amd-iommu', 'nested-switch', 'no-iommu', 'pxb-bridges', 'pxb-numa']) {
      expect(readdirSync(imported)).toContain(`${name}.json`)
    }
  })
})
