/** Configurations by chance: short, and from all over the schema. */
import fc from 'fast-check'
import type { ConfigurationInput } from '../../src/timing/index.ts'

type Workload = ConfigurationInput['workload']
const few = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const optional = <Value>(values: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(values, { nil: undefined })
/** Without the fields that are to have their defaults. */
const partial = <Fields extends object>(
  fields: {
    [Name in keyof Fields]: fc.Arbitrary<Fields[Name]>
  },
): fc.Arbitrary<Partial<Fields>> => fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<Fields>>

export const machines: fc.Arbitrary<Omit<ConfigurationInput, 'workload'>> = fc.record({
  seed: fc.nat(),
  warmUp: fc.constantFrom(0, 1e4, 3e5),
  duration: fc.constantFrom(1e4, 1e5, 4e5),
  machine: partial({
    costs: fc.constantFrom('default', 'core2', 'nehalem', 'skylake', 'zen2', 'arm-server', 'pentium-3'),
    sockets: few(2),
    cores: few(40),
    threadsPerCore: fc.constantFrom<1 | 2>(1, 2),
  }),
  link: partial({
    generation: few(6),
    lanes: fc.constantFrom(1, 2, 4, 8, 16),
    mps: fc.constantFrom(128, 256, 512, 4096),
    mrrs: fc.constantFrom(128, 512, 4096),
    rcb: fc.constantFrom(64, 128),
  }) as fc.Arbitrary<NonNullable<ConfigurationInput['link']>>,
  adapter: partial({
    gbps: fc.constantFrom(0.1, 1, 10, 25, 100, 400),
    ports: few(3),
    ringSize: fc.constantFrom(1, 2, 64, 512),
    moderation: fc.constantFrom(0, 1000, 20_000, 200_000),
  }),
  iommu: partial({
    mode: fc.constantFrom('off', 'passThrough', 'strict', 'deferred'),
    pageSize: fc.constantFrom('4KiB', '2MiB', '1GiB'),
    allocator: fc.constantFrom('tree', 'cached'),
    buffers: fc.constantFrom('perBuffer', 'pool'),
    leafOnly: fc.boolean(),
    batch: few(70),
    contiguous: fc.boolean(),
    nested: fc.boolean(),
  }) as fc.Arbitrary<NonNullable<ConfigurationInput['iommu']>>,
})

const guests = {
  vms: few(6),
  vcpus: few(3),
  backend: fc.constantFrom('kernel', 'user', 'sidecore'),
  posted: fc.boolean(),
  exitless: fc.boolean(),
  idle: fc.constantFrom('halt', 'poll'),
  apicVirtualization: fc.boolean(),
}

export const workloads: Readonly<Record<string, fc.Arbitrary<Workload>>> = {
  networks: fc.record(
    {
      kind: fc.constant('network'),
      model: fc.constantFrom('native', 'emulated', 'paravirtual', 'vmdq', 'sriov', 'direct'),
      ...guests,
      direction: fc.constantFrom('receive', 'transmit', 'both'),
      pattern: fc.constantFrom('stream', 'datagrams', 'requestResponse'),
      messageBytes: fc.oneof(few(300), fc.constantFrom(1448, 4096, 16_384, 65_536, 1 << 20)),
      mtu: fc.oneof(fc.integer({ min: 60, max: 200 }), fc.constantFrom(1500, 4096, 9000, 65_535)),
      hostQueues: few(4),
      structure: fc.constantFrom('kernel', 'onePiece'),
      hostOffload: fc.boolean(),
      flows: few(5),
      window: optional(fc.constantFrom(1, 3000, 65_536, 1 << 20)),
      rate: optional(fc.constantFrom(10, 1e5, 1e7)),
      offload: fc.boolean(),
    },
    { requiredKeys: ['kind'] },
  ) as fc.Arbitrary<Workload>,
  storage: fc.record(
    {
      kind: fc.constant('storage'),
      model: fc.constantFrom('native', 'emulated', 'paravirtual', 'direct', 'sriov'),
      ...guests,
      operation: fc.constantFrom('read', 'write'),
      blockBytes: fc.oneof(few(600), fc.constantFrom(4096, 65_536, 1 << 20)),
      jobs: few(6),
      depth: few(40),
      completion: fc.constantFrom('interrupt', 'poll'),
    },
    { requiredKeys: ['kind'] },
  ) as fc.Arbitrary<Workload>,
  transfers: fc.record(
    {
      kind: fc.constant('dma'),
      operation: fc.constantFrom('read', 'write', 'readWrite', 'writeThenRead'),
      measure: fc.constantFrom('bandwidth', 'latency'),
      bytes: fc.oneof(few(600), fc.constantFrom(4096, 65_536, 1 << 20)),
      windowBytes: fc.constantFrom(1, 64, 8192, 1 << 24, 2 ** 30),
      cache: fc.constantFrom('warm', 'cold'),
      remote: fc.boolean(),
    },
    { requiredKeys: ['kind'] },
  ) as fc.Arbitrary<Workload>,
  mappings: fc.record(
    {
      kind: fc.constant('mapping'),
      cores: few(40),
      pages: fc.oneof(few(20), fc.constantFrom(512)),
      live: few(300),
      other: fc.constantFrom(0, 100, 10_000),
    },
    { requiredKeys: ['kind'] },
  ) as fc.Arbitrary<Workload>,
}
