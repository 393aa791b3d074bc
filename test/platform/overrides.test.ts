import { expect, test } from 'vitest'
import { Engine } from '../../src/engine/index.ts'
import { Platform, parseTopology, type TopologyNodeDocument } from '../../src/platform/index.ts'
import { endpoint, image, physicalFunction, topology } from './documents.ts'

/** Config space of functions on bus 0 of a machine made of these nodes, read by ECAM. */
function configOf(nodes: TopologyNodeDocument[]): (device: number, register: number, fn?: number) => number {
  const engine = new Engine()
  const platform = engine.run(Platform.build(parseTopology(topology(nodes)), engine))
  platform.powerOn()
  return (device, register, fn = 0) =>
    platform.port.readDword(0x8000_0000 + (device << 15) + (fn << 12) + register)
}

/** Identifiers and offsets of the extended capability list. */
function extendedList(read: (register: number) => number): [id: number, offset: number][] {
  const list: [number, number][] = []
  for (let at = 0x100; at !== 0; ) {
    const header = read(at)
    if (header === 0) break
    list.push([header & 0xffff, at])
    at = header >>> 20
  }
  return list
}

test('"acs": [] takes the capability out of the list and leaves the others in it', () => {
  const read = configOf([
    { at: '01.0', model: 'root-port' },
    { at: '02.0', model: 'root-port', acs: [] },
  ])
  const before = extendedList(register => read(1, register))
  expect(before.map(([id]) => id)).toContain(0x0d)
  expect(extendedList(register => read(2, register))).toEqual(before.filter(([id]) => id !== 0x0d))
})

test('a list that began with the capability begins with a null capability instead', () => {
  const acsFirst = image({
    0: [4, 0x1234_8086],
    6: [2, 0x0010],
    52: [1, 0x40],
    64: [4, 0x0002_0010],
    256: [4, 0x1501_000d],
    260: [4, 0x001d],
    336: [4, 0x0001_0003],
  })
  const node = endpoint('02.0')
  const read = configOf([{ ...node, imported: { ...node.imported!, image: acsFirst }, acs: [] }])
  expect(extendedList(register => read(2, register))).toEqual([
    [0x00, 0x100],
    [0x03, 0x150],
  ])
})

test('"acs" sets the bits of the ACS Capability register, and adds the capability where there is none', () => {
  const read = configOf([
    { at: '01.0', model: 'root-port', acs: ['SV', 'RR'] },
    endpoint('02.0', { acs: ['RR', 'CR', 'DT'] }),
    physicalFunction('03.0', { acs: ['RR', 'CR'] }),
  ])
  const acsOf = (device: number): number => {
    const at = extendedList(register => read(device, register)).find(([id]) => id === 0x0d)?.[1]
    return at === undefined ? -1 : read(device, at + 4)
  }
  expect(acsOf(1)).toBe(0x05)
  expect(acsOf(2)).toBe(0x4c)
  expect(acsOf(3)).toBe(0x0c)
})

test('"subsystem" sets both subsystem ids', () => {
  const read = configOf([
    { at: '02.0', model: 'intel-82574l', subsystem: { vendor: '0x15d9', device: '0x10d3' } },
  ])
  expect(read(2, 0x2c)).toBe(0x10d3_15d9)
})

test('functions that share a device number say so in bit 7 of the header type; others do not', () => {
  const read = configOf([
    { at: '01.0', model: 'root-port' },
    { at: '02.0', model: 'root-port' },
    { at: '02.1', model: 'root-port' },
  ])
  const headerType = (device: number, fn?: number): number => (read(device, 0x0c, fn) >>> 16) & 0xff
  expect(headerType(1)).toBe(0x01)
  expect(headerType(2)).toBe(0x81)
  expect(headerType(2, 1)).toBe(0x81)
})

test('a node takes the function of the data sheet that has its number, or the one it names', () => {
  const read = configOf([
    { at: '02.0', model: 'intel-82576' },
    { at: '02.1', model: 'intel-82576' },
    { at: '03.0', model: 'intel-82576', functionOfModel: 1 },
  ])
  const dependencyLink = (device: number, fn: number): number => {
    const sriov = extendedList(register => read(device, register, fn)).find(([id]) => id === 0x10)![1]
    return (read(device, sriov + 0x10, fn) >>> 16) & 0xff
  }
  expect(dependencyLink(2, 0)).toBe(0)
  expect(dependencyLink(2, 1)).toBe(1)
  expect(dependencyLink(3, 0)).toBe(1)
})
