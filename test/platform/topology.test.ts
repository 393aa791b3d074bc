import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { parseTopology, type TopologyDocument, topologyJsonSchema } from '../../src/platform/index.ts'
import { bridge, endpoint, image, physicalFunction, topology } from './documents.ts'

/** The issues with which a document is refused. */
function issuesOf(document: unknown): readonly { path: string; message: string }[] {
  try {
    parseTopology(document)
  } catch (error) {
    expect(error).toBeInstanceOf(NorthbridgeError)
    expect((error as NorthbridgeError).code).toBe('invalidDocument')
    return (error as NorthbridgeError).details.issues!
  }
  return []
}

const pathsOf = (document: unknown): string[] => issuesOf(document).map(issue => issue.path)

/** A sound document with one spot changed. */
function changed(path: readonly (string | number)[], value: unknown): unknown {
  const document = JSON.parse(
    JSON.stringify(
      topology([bridge('rootPort', '01.0', [physicalFunction('00.0')])], {
        processors: [{ logicalProcessors: 2 }],
        memory: [{ sizeMiB: 512 }],
        host: { commandLine: 'intel_iommu=on', kernel: '6.1' },
      }),
    ),
  )
  let at = document
  for (const key of path.slice(0, -1)) at = at[key]
  at[path.at(-1)!] = value
  return document
}

describe('a topology document', () => {
  test('is accepted when it is sound, with defaults filled in', () => {
    const parsed = parseTopology(topology([bridge('rootPort', '01.0', [physicalFunction('00.0')])]))
    expect(parsed.hostAddressWidth).toBe(46)
    expect(parsed.processors).toEqual([{ numaNode: -1, logicalProcessors: 2 }])
    expect(parsed.memory).toEqual([{ numaNode: -1, sizeMiB: 4096 }])
    expect(parsed.hostBridges[0]).toMatchObject({ segment: 0, bus: 0, numaNode: -1 })
    expect(parsed.host).toEqual({ commandLine: 'intel_iommu=on', kernel: '6.1' })
  })

  test('reads the same again after it was written with its defaults', () => {
    const parsed = parseTopology(topology([bridge('rootPort', '01.0', [physicalFunction('00.0')])]))
    expect(parseTopology(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed)
  })

  test.each<[path: (string | number)[], value: unknown, where?: string]>([
    [['name'], undefined],
    [['name'], 'Not a Name'],
    [['name'], null],
    [['colour'], 'red'],
    [['hostAddressWidth'], '46'],
    [['hostAddressWidth'], 53],
    [['hostAddressWidth'], 46.5],
    [['processors'], []],
    [['processors', 0, 'logicalProcessors'], '2'],
    [['processors', 0, 'logicalProcessors'], 0],
    [['memory', 0, 'sizeMiB'], null],
    [['memory', 0, 'sizeMiB'], Number.NaN],
    [['memory', 0, 'sizeGiB'], 2],
    [['iommu'], undefined],
    [['iommu', 'kind'], 'arm-smmu'],
    [['iommu', 'units'], []],
    [['iommu', 'units', 0, 'id'], 7],
    [['iommu', 'units', 0, 'registerBase'], 0xfed9_0000],
    [['iommu', 'units', 0, 'capabilities'], { MGAWS: 38 }, '/iommu/units/0/capabilities/MGAWS'],
    [['hostBridges'], []],
    [['hostBridges', 0, 'bus'], true],
    [['hostBridges', 0, 'bus'], 256],
    [['hostBridges', 0, 'numaNode'], null],
    [['hostBridges', 0, 'devices', 0, 'at'], '1.8'],
    [['hostBridges', 0, 'devices', 0, 'at'], '20.0'],
    [['hostBridges', 0, 'devices', 0, 'hot/plug~'], true, '/hostBridges/0/devices/0/hot~1plug~0'],
    [['hostBridges', 0, 'devices', 0, 'devices', 0, 'numVfs'], '2'],
    [['hostBridges', 0, 'devices', 0, 'devices', 0, 'numVfs'], -1],
    [['hostBridges', 0, 'devices', 0, 'devices', 0, 'imported', 'image'], '0'],
    [['hostBridges', 0, 'devices', 0, 'devices', 0, 'imported', 'kind'], 'gpu'],
    [['host', 'kernel'], '5.4'],
    [['host', 'commandLine'], ['intel_iommu=on']],
  ])('is refused at the very field, and never repaired: %j = %j', (path, value, where) => {
    expect(pathsOf(changed(path, value))).toContain(where ?? `/${path.join('/')}`)
  })

  test('lists every wrong field at once', () => {
    const document = { ...topology([]), hostAddressWidth: '46', extra: 1 }
    expect(pathsOf(document).sort()).toEqual(['/extra', '/hostAddressWidth'])
  })
})

describe('the rules between fields', () => {
  const port = (devices: Parameters<typeof bridge>[2]) => topology([bridge('rootPort', '01.0', devices)])
  const units = (...list: object[]): Partial<TopologyDocument> =>
    ({ iommu: { kind: 'intel-vtd', units: list } }) as Partial<TopologyDocument>

  test.each<[rule: string, path: string, document: unknown]>([
    ['one function per slot', '/hostBridges/0/devices/1/at', topology([endpoint('02.0'), endpoint('2.0')])],
    ['function 0 is there', '/hostBridges/0/devices/0/at', topology([endpoint('02.1')])],
    [
      'only bridges have children',
      '/hostBridges/0/devices/0/devices',
      topology([endpoint('02.0', { devices: [endpoint('00.0')] })]),
    ],
    [
      'only bridges have bus numbers',
      '/hostBridges/0/devices/0/bus',
      topology([endpoint('02.0', { bus: { secondary: 1, subordinate: 1 } })]),
    ],
    ['a model or an image', '/hostBridges/0/devices/0/model', topology([{ at: '02.0' }])],
    [
      'not a model and an image',
      '/hostBridges/0/devices/0/model',
      topology([endpoint('02.0', { model: 'intel-82576' })]),
    ],
    ['a known model', '/hostBridges/0/devices/0/model', topology([{ at: '02.0', model: 'no-such-model' }])],
    ['one device on a link', '/hostBridges/0/devices/0/devices/0/at', port([endpoint('01.0')])],
    ['root ports on root buses', '/hostBridges/0/devices/0/devices/0', port([bridge('rootPort', '00.0')])],
    [
      'downstream ports below upstream ports',
      '/hostBridges/0/devices/0',
      topology([bridge('downstreamPort', '01.0')]),
    ],
    [
      'nothing else below upstream ports',
      '/hostBridges/0/devices/0/devices/0/devices/0',
      port([bridge('upstreamPort', '00.0', [endpoint('00.0')])]),
    ],
    [
      'upstream ports below ports',
      '/hostBridges/0/devices/0/devices/0',
      topology([bridge('bridge', '01.0', [bridge('upstreamPort', '00.0')])]),
    ],
    [
      'numVfs at most TotalVFs',
      '/hostBridges/0/devices/0/devices/0/numVfs',
      port([physicalFunction('00.0', { numVfs: 9 })]),
    ],
    [
      'numVfs needs SR-IOV',
      '/hostBridges/0/devices/0/devices/0/numVfs',
      port([endpoint('00.0', { numVfs: 1 })]),
    ],
    [
      'wiring is per root-bus function',
      '/hostBridges/0/devices/0/devices/0/remappingUnit',
      port([endpoint('00.0', { remappingUnit: 'dmar0' })]),
    ],
    [
      'a known unit',
      '/hostBridges/0/devices/0/remappingUnit',
      topology([endpoint('02.0', { remappingUnit: 'dmar1' })]),
    ],
    [
      'a unit of the segment',
      '/hostBridges/0/remappingUnit',
      topology([], {
        ...units({ id: 'a', segment: 1 }),
        hostBridges: [{ remappingUnit: 'a' }, { segment: 1 }],
      }),
    ],
    [
      'no bypass where one unit serves all',
      '/hostBridges/0/remappingUnit',
      topology([], { hostBridges: [{ remappingUnit: null }] }),
    ],
    ['unit ids are unique', '/iommu/units/1/id', topology([], units({ id: 'a' }, { id: 'a' }))],
    [
      'one include-all unit per segment, the last in the list',
      '/iommu/units/0/includeAll',
      topology([], units({ id: 'a', includeAll: true }, { id: 'b', includeAll: true })),
    ],
    [
      'a unit has a segment with functions',
      '/iommu/units/0/segment',
      topology([], units({ id: 'a', segment: 3 })),
    ],
    [
      'capabilities that go together',
      '/iommu/units/0/capabilities',
      topology([], units({ id: 'a', capabilities: { QI: 0 } })),
    ],
    [
      'registers in their range',
      '/iommu/units/0/registerBase',
      topology([], units({ id: 'a', registerBase: '0xfee00000' })),
    ],
    [
      'registers apart',
      '/iommu/units/1/registerBase',
      topology([], units({ id: 'a', registerBase: '0xfed91000' }, { id: 'b', registerBase: '0xfed91000' })),
    ],
    [
      'one host bridge per root bus',
      '/hostBridges/1/bus',
      topology([], { hostBridges: [{ bus: 3 }, { bus: 3 }] }),
    ],
    [
      'host bridges with their own buses',
      '/hostBridges/0/lastBus',
      topology([], { hostBridges: [{ lastBus: 64 }, { bus: 64 }] }),
    ],
    ['buses in order', '/hostBridges/0/lastBus', topology([], { hostBridges: [{ bus: 9, lastBus: 8 }] })],
    ['the bus of the I/O APIC', '/hostBridges/0/lastBus', topology([], { hostBridges: [{ lastBus: 255 }] })],
    ['no root bus there either', '/hostBridges/0/bus', topology([], { hostBridges: [{ bus: 255 }] })],
    [
      'enough bus numbers',
      '/hostBridges/0/devices',
      topology([], { hostBridges: [{ bus: 5, lastBus: 5, devices: [bridge('rootPort', '01.0')] }] }),
    ],
    [
      'bus numbers nest',
      '/hostBridges/0/devices/0/devices/0/bus',
      topology([
        bridge(
          'rootPort',
          '01.0',
          [bridge('upstreamPort', '00.0', [], { bus: { secondary: 9, subordinate: 9 } })],
          {
            bus: { secondary: 1, subordinate: 4 },
          },
        ),
      ]),
    ],
    [
      'siblings have their own buses',
      '/hostBridges/0/devices/1/bus',
      topology([
        bridge('rootPort', '01.0', [], { bus: { secondary: 1, subordinate: 4 } }),
        bridge('rootPort', '02.0', [], { bus: { secondary: 4, subordinate: 5 } }),
      ]),
    ],
    [
      'one entry per NUMA node',
      '/memory/1/numaNode',
      topology([], {
        memory: [
          { numaNode: 1, sizeMiB: 64 },
          { numaNode: 1, sizeMiB: 64 },
        ],
      }),
    ],
    [
      'an address width for what there is',
      '/hostAddressWidth',
      topology([], { hostAddressWidth: 36, memory: [{ sizeMiB: 65536 }] }),
    ],
    [
      'logical processors in all',
      '/processors',
      topology([], { processors: [{ logicalProcessors: 1000 }, { logicalProcessors: 1000 }] }),
    ],
    [
      'reserved memory in RAM',
      '/reservedMemory/0/base',
      topology([endpoint('02.0')], {
        reservedMemory: [{ base: '0xfed00000', limit: '0xfed00fff', functions: ['00:02.0'] }],
      }),
    ],
    [
      'reserved memory apart',
      '/reservedMemory/1/base',
      topology([endpoint('02.0')], {
        reservedMemory: [
          { base: '0x1000000', limit: '0x1000fff', functions: ['00:02.0'] },
          { base: '0x1000000', limit: '0x1001fff', functions: ['00:02.0'] },
        ],
      }),
    ],
    [
      'reserved memory in whole pages',
      '/reservedMemory/0/limit',
      topology([endpoint('02.0')], {
        reservedMemory: [{ base: '0x1000000', limit: '0x1000ffe', functions: ['00:02.0'] }],
      }),
    ],
    [
      'reserved memory of known functions',
      '/reservedMemory/0/functions/1',
      topology([endpoint('02.0')], {
        reservedMemory: [{ base: '0x1000000', limit: '0x1000fff', functions: ['00:02.0', '00:1c.0/00.0'] }],
      }),
    ],
    [
      'BAR addresses of existing BARs',
      '/hostBridges/0/devices/0/barAddresses/2',
      topology([endpoint('02.0', { barAddresses: { 2: '0xfe000000' } })]),
    ],
    [
      'BAR addresses aligned to their size',
      '/hostBridges/0/devices/0/barAddresses/0',
      topology([endpoint('02.0', { barAddresses: { 0: '0xfe000800' } })]),
    ],
    [
      'ACS in extended config space',
      '/hostBridges/0/devices/0/acs',
      topology([{ at: '02.0', model: 'intel-82540em', acs: ['RR'] }]),
    ],
    [
      'a function that the data sheet has',
      '/hostBridges/0/devices/0/functionOfModel',
      topology([{ at: '02.0', model: 'intel-82576', functionOfModel: 2 }]),
    ],
    [
      'windows of whole mebibytes',
      '/hostBridges/0/devices/0/windows/memory',
      topology([
        bridge('rootPort', '01.0', [], { windows: { memory: { base: '0xc0000000', limit: '0xc0000fff' } } }),
      ]),
    ],
    ['windows of bridges', '/hostBridges/0/devices/0/windows', topology([endpoint('02.0', { windows: {} })])],
    [
      'subsystem ids of type 0 headers',
      '/hostBridges/0/devices/0/subsystem',
      topology([{ at: '01.0', model: 'root-port', subsystem: { vendor: '0x8086', device: '0x0001' } }]),
    ],
  ])('%s: %s', (_rule, path, document) => {
    expect(pathsOf(document)).toContain(path)
  })

  test.each<[rule: string, field: string, change: object]>([
    ['Vendor ID ffff is no function', 'image', { image: 'ffffffff' }],
    ['the header type fits the kind', 'kind', { image: image({ 0: [4, 0x1234_8086], 14: [1, 1] }) }],
    [
      '64-bit BARs take two registers',
      'bars/0/index',
      { bars: [{ index: 5, kind: 'memory64', sizeBytes: 4096 }] },
    ],
    [
      'registers belong to one BAR',
      'bars/1/index',
      {
        bars: [
          { index: 0, kind: 'memory64', sizeBytes: 4096 },
          { index: 1, kind: 'memory32', sizeBytes: 4096 },
        ],
      },
    ],
    [
      'sizes are powers of two',
      'bars/0/sizeBytes',
      { bars: [{ index: 0, kind: 'memory32', sizeBytes: 4095 }] },
    ],
    ['I/O BARs are small', 'bars/0/sizeBytes', { bars: [{ index: 0, kind: 'io', sizeBytes: 512 }] }],
    ['the image fits the config space', 'image', { configSizeBytes: 256 }],
    ['SR-IOV needs its capability', 'sriov', { sriov: physicalFunction('00.0').imported!.sriov }],
    ['ROMs are 2 KiB or more', 'romSizeBytes', { romSizeBytes: 1024 }],
  ])('of imported functions: %s', (_rule, field, change) => {
    const node = endpoint('02.0')
    const document = topology([{ ...node, imported: { ...node.imported!, ...change } }])
    expect(pathsOf(document)).toContain(`/hostBridges/0/devices/0/imported/${field}`)
  })

  test('with ARI, functions beyond 7 of one device are at device numbers above 0', () => {
    const document = topology([
      bridge('rootPort', '01.0', [
        physicalFunction('00.0'),
        physicalFunction('01.0'),
        physicalFunction('01.1'),
      ]),
    ])
    expect(issuesOf(document)).toEqual([])
  })
})

describe('hostile documents', () => {
  test('nested deeper than any machine are refused before they are judged', () => {
    let document: unknown = []
    for (let i = 0; i < 100_000; i++) document = { devices: [document] }
    expect(issuesOf(document)[0]!.message).toMatch(/nested deeper than 128 levels/)
  })

  test('that contain themselves are too deep', () => {
    const document: Record<string, unknown> = { name: 'x' }
    document['self'] = document
    expect(issuesOf(document)[0]!.message).toMatch(/nested deeper/)
  })

  test('with huge arrays are refused with the limit', () => {
    expect(issuesOf({ ...topology([]), hostBridges: new Array(5_000_000) })[0]!.message).toMatch(
      /4000000 values/,
    )
  })

  test('with more siblings than a bus has functions are refused', () => {
    const devices = Array.from({ length: 257 }, () => endpoint('02.0'))
    expect(pathsOf(topology(devices))).toContain('/hostBridges/0/devices')
  })

  test('with fields of the object prototype are refused', () => {
    expect(pathsOf(JSON.parse('{"__proto__": {"name": "x"}}'))).toContain('/__proto__')
    expect(pathsOf(JSON.parse('{"constructor": 1}'))).toContain('/constructor')
  })

  test('of any shape end as invalidDocument, never as a crash', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
        thing => {
          expect(issuesOf(thing).length).toBeGreaterThan(0)
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('made from a sound one by changing any one value never crash', () => {
    const sound = JSON.stringify(changed(['name'], 'sound'))
    const paths: (string | number)[][] = []
    const collect = (value: unknown, path: (string | number)[]): void => {
      if (path.length > 0) paths.push(path)
      if (value === null || typeof value !== 'object') return
      for (const [key, item] of Object.entries(value)) {
        collect(item, [...path, Array.isArray(value) ? Number(key) : key])
      }
    }
    collect(JSON.parse(sound), [])
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        issuesOf(changed(path, value))
      }),
      { numRuns: 1_000 },
    )
  })
})

test('the JSON Schema describes what people write: no field with a default is required', () => {
  const schema = topologyJsonSchema()
  expect(schema.required).toEqual(['name', 'iommu', 'hostBridges'])
  expect(schema.additionalProperties).toBe(false)
})
