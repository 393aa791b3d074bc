/** What a simulation is asked: machine, link, adapter, remapping and the work. One schema, plain JSON, every field with its default. */
import { z } from 'zod'
import { type Issue, invalidDocument, parseDocument } from '../core/index.ts'
import { machineNames } from './costs/cost-file.ts'
import { PARAMETERS } from './costs/parameters.ts'

const count = (limit: number) => z.number().int().min(1).max(limit)

export const machineSchema = z.strictObject({
  costs: z.string().default('default').describe('Cost file: a processor generation of costs/timing'),
  overrides: z
    .record(z.string(), z.number().min(0))
    .default({})
    .describe('Other values for parameters of the cost file, by their names'),
  sockets: count(8).default(1),
  cores: count(1024).default(16).describe('Of all sockets'),
  threadsPerCore: z.union([z.literal(1), z.literal(2)]).default(1),
  gigahertz: z
    .number()
    .positive()
    .max(10)
    .optional()
    .describe('Processor clock; default: that of the cost file'),
})

export const linkSchema = z.strictObject({
  generation: count(6).default(3),
  lanes: z.literal([1, 2, 4, 8, 12, 16, 32]).default(8),
  mps: z.literal([128, 256, 512, 1024, 2048, 4096]).default(256).describe('Max_Payload_Size, bytes'),
  mrrs: z.literal([128, 256, 512, 1024, 2048, 4096]).default(512).describe('Max_Read_Request_Size, bytes'),
  rcb: z.literal([64, 128]).default(64).describe('Read Completion Boundary, bytes'),
})

export const adapterSchema = z.strictObject({
  gbps: z.number().positive().max(1600).default(10).describe('Line rate of a port'),
  ports: count(8).default(1),
  ringSize: count(65536)
    .default(512)
    .describe('Descriptors of a ring; queues of datagrams between software hold as many'),
  moderation: z
    .number()
    .min(0)
    .max(1e7)
    .default(20_000)
    .describe('Least time between two interrupts of a queue, ns'),
})

export const IOMMU_MODES = ['off', 'passThrough', 'strict', 'deferred'] as const
export const iommuSchema = z.strictObject({
  mode: z
    .enum(IOMMU_MODES)
    .default('off')
    .describe('Of the kernel that owns the device. An assigned device has a static map unless this is off'),
  pageSize: z.enum(['4KiB', '2MiB', '1GiB']).default('4KiB').describe('Largest page of the mappings'),
  allocator: z.enum(['tree', 'cached']).default('cached').describe('Of I/O virtual addresses'),
  buffers: z
    .enum(['perBuffer', 'pool'])
    .default('perBuffer')
    .describe('Map and unmap for each buffer, or recycle buffers that stay mapped'),
  leafOnly: z.boolean().default(false).describe('Invalidate with IH: paging-structure caches are kept'),
  batch: count(256).default(1).describe('Buffers unmapped by one invalidation in strict mode'),
  contiguous: z.boolean().default(false).describe('Buffers of a batch have neighbouring addresses'),
  nested: z
    .boolean()
    .default(false)
    .describe('A virtual machine has an IOMMU of its own, whose maps cost exits'),
})

export const NETWORK_MODELS = ['native', 'emulated', 'paravirtual', 'vmdq', 'sriov', 'direct'] as const
export type NetworkModel = (typeof NETWORK_MODELS)[number]

const machines = {
  vms: count(1024).default(1),
  vcpus: count(64).default(1).describe('Of each virtual machine'),
  backend: z
    .enum(['kernel', 'user', 'sidecore'])
    .default('kernel')
    .describe('Where the back end of emulated and paravirtual devices runs'),
  posted: z.boolean().default(false).describe('Interrupts of assigned devices are posted'),
  exitless: z
    .boolean()
    .default(false)
    .describe('Interrupts are taken and completed by the guest without exits (ELI)'),
  idle: z
    .enum(['halt', 'poll'])
    .default('halt')
    .describe(
      'What a guest does with nothing to do: one that polls never exits to halt, so that interrupts find it running',
    ),
  apicVirtualization: z.boolean().default(true).describe('EOI of virtual interrupts without an exit'),
}

export const networkSchema = z.strictObject({
  kind: z.literal('network'),
  model: z.enum(NETWORK_MODELS).default('native'),
  ...machines,
  direction: z.enum(['receive', 'transmit', 'both']).default('receive'),
  pattern: z
    .enum(['stream', 'datagrams', 'requestResponse'])
    .default('stream')
    .describe('Flow-controlled bytes, datagrams at an offered rate, or one message at a time'),
  messageBytes: count(1 << 20)
    .default(16_384)
    .describe('What the application hands over at once'),
  mtu: z.number().int().min(68).max(65_535).default(1500).describe('Of IPv4, headers included, bytes'),
  hostQueues: count(256)
    .default(1)
    .describe('Receive queues of the host, where it sorts packets for machines'),
  structure: z
    .enum(['kernel', 'onePiece'])
    .default('kernel')
    .describe(
      'Of a hypervisor without queues for its machines: a switch and back ends as threads of a host kernel, or all of it in one go where the adapter interrupts',
    ),
  hostOffload: z
    .boolean()
    .default(false)
    .describe('Switch and back ends see large packets too: the host joins received ones'),
  flows: count(65_536).default(1).describe('Of each virtual machine, or of the host'),
  window: count(1 << 24)
    .optional()
    .describe(
      'Bytes of a stream that may be unacknowledged; default: what the wire holds in 200 µs, shared by all',
    ),
  rate: z
    .number()
    .positive()
    .optional()
    .describe('Datagrams a second offered to each machine; default: line rate'),
  offload: z
    .boolean()
    .default(true)
    .describe(
      'Segmentation and receive offload: the stack of whoever runs the application sees large packets',
    ),
})

export const storageSchema = z.strictObject({
  kind: z.literal('storage'),
  model: z.enum(['native', 'emulated', 'paravirtual', 'direct', 'sriov']).default('native'),
  ...machines,
  operation: z.enum(['read', 'write']).default('read'),
  blockBytes: count(1 << 20).default(4096),
  jobs: count(1024).default(1),
  depth: count(4096).default(1).describe('Requests of a job under way'),
  completion: z.enum(['interrupt', 'poll']).default('interrupt'),
})

export const dmaSchema = z.strictObject({
  kind: z.literal('dma'),
  operation: z.enum(['read', 'write', 'readWrite', 'writeThenRead']).default('read'),
  measure: z
    .enum(['bandwidth', 'latency'])
    .default('bandwidth')
    .describe('All engines at once, or one transfer at a time'),
  bytes: count(1 << 20).default(64),
  windowBytes: count(2 ** 32)
    .default(8192)
    .describe('Transfers go to this many bytes, in random order'),
  cache: z.enum(['warm', 'cold']).default('warm').describe('Whether the window lies in the last-level cache'),
  remote: z.boolean().default(false).describe("Memory of another socket than the link's"),
})

export const mappingSchema = z.strictObject({
  kind: z.literal('mapping'),
  cores: count(1024).default(1).describe('Processors that map and unmap in a loop'),
  pages: count(512).default(1).describe('Of one mapping'),
  live: count(65_536).default(256).describe('Mappings that each processor holds at a time'),
  other: z
    .number()
    .min(0)
    .default(0)
    .describe('Time that a processor spends elsewhere between two rounds, ns'),
})

export const configurationSchema = z
  .strictObject({
    seed: z.number().int().min(0).max(0xffff_ffff).default(1),
    warmUp: z.number().min(0).max(1e12).default(1e6).describe('Time before anything is measured, ns'),
    duration: z.number().positive().max(1e12).default(5e6).describe('Time that is measured, ns'),
    machine: machineSchema.prefault({}),
    link: linkSchema.prefault({}),
    adapter: adapterSchema.prefault({}),
    iommu: iommuSchema.prefault({}),
    workload: z.discriminatedUnion('kind', [networkSchema, storageSchema, dmaSchema, mappingSchema]),
  })
  .meta({ title: 'Northbridge simulation', description: 'What a timed simulation is asked' })

export type Configuration = z.output<typeof configurationSchema>
export type ConfigurationInput = z.input<typeof configurationSchema>
export type NetworkWorkload = z.output<typeof networkSchema>
export type StorageWorkload = z.output<typeof storageSchema>
export type DmaWorkload = z.output<typeof dmaSchema>
export type MappingWorkload = z.output<typeof mappingSchema>
export type Workload = Configuration['workload']

/** Throws `invalidDocument` with an issue for each broken rule. */
export function parseConfiguration(document: unknown): Configuration {
  const configuration = parseDocument(configurationSchema, document, WHAT)
  const issues = [
    ...machineIssues(configuration),
    ...mappingIssues(configuration),
    ...sizeIssues(configuration),
  ]
  if (issues.length > 0) throw invalidDocument(WHAT, issues)
  return configuration
}

const WHAT = 'the simulation'

function machineIssues({ machine: { costs, overrides } }: Configuration): Issue[] {
  const known = machineNames()
  const names = Object.keys(overrides).filter(name => !Object.hasOwn(PARAMETERS, name))
  return [
    ...(known.includes(costs)
      ? []
      : [{ path: '/machine/costs', message: `must be one of ${known.join(', ')}` }]),
    ...names.map(name => ({ path: `/machine/overrides/${name}`, message: 'is not a known parameter' })),
  ]
}

function mappingIssues({ workload, machine, iommu }: Configuration): Issue[] {
  if (workload.kind !== 'mapping') return []
  const issues: Issue[] = []
  const processors = machine.cores * machine.threadsPerCore
  if (workload.cores > processors) {
    issues.push({
      path: '/workload/cores',
      message: `must be at most the ${processors} processors of the machine`,
    })
  }
  if (iommu.mode !== 'strict' && iommu.mode !== 'deferred') {
    issues.push({ path: '/iommu/mode', message: 'must be strict or deferred where buffers are mapped' })
  }
  return issues
}

/** Buffers that a simulation maps at most, all together: more say nothing new and take long. */
const MOST_BUFFERS = 2 ** 21

function sizeIssues({ workload, adapter }: Configuration): Issue[] {
  const refuse = (path: string, buffers: number): Issue[] =>
    buffers <= MOST_BUFFERS
      ? []
      : [{ path, message: `makes ${buffers} buffers, more than the ${MOST_BUFFERS} that a simulation takes` }]
  switch (workload.kind) {
    case 'network':
      return refuse('/adapter/ringSize', workload.vms * workload.vcpus * adapter.ringSize * 2)
    case 'storage':
      return refuse('/workload/depth', workload.vms * workload.jobs * workload.depth)
    case 'mapping':
      return refuse('/workload/live', workload.cores * workload.live * workload.pages)
    default:
      return []
  }
}
