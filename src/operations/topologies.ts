/** Operations on the catalogue of topologies. */
import { type Static, Type } from '@sinclair/typebox'
import { NorthbridgeError } from '../core/index.ts'
import { readTopology, type Topology, topologyJsonSchema } from '../platform/index.ts'
import type { TopologyEntry } from './context.ts'
import { now, operation } from './operation.ts'
import { Count, Document, Fields, Identifier } from './schemas.ts'

export const TopologyDocument = Document(topologyJsonSchema(), 'TopologyDocument')

export const TopologySummary = Fields(
  {
    name: Type.String(),
    description: Type.String(),
    shipped: Type.Boolean({ description: 'Part of Northbridge; cannot be changed' }),
    functions: Count(2 ** 31),
    processors: Count(2 ** 31),
    memoryMiB: Count(2 ** 50),
    iommu: Type.String(),
    remappingUnits: Count(2 ** 31),
  },
  { $id: 'TopologySummary' },
)

type Node = NonNullable<Topology['hostBridges'][number]['devices']>[number]
const countNodes = (nodes: readonly Node[]): number =>
  nodes.reduce((sum, node) => sum + 1 + countNodes(node.devices ?? []), 0)

export function summary({ shipped, topology }: TopologyEntry): Static<typeof TopologySummary> {
  const { iommu } = topology
  return {
    name: topology.name,
    description: topology.description,
    shipped,
    functions: topology.hostBridges.reduce((sum, bridge) => sum + countNodes(bridge.devices), 0),
    processors: topology.processors.reduce((sum, socket) => sum + socket.logicalProcessors, 0),
    memoryMiB: topology.memory.reduce((sum, node) => sum + node.sizeMiB, 0),
    iommu: iommu.kind,
    remappingUnits: iommu.kind === 'intel-vtd' ? iommu.units.length : iommu.kind === 'gart' ? 1 : 0,
  }
}

const rejectShipped = (entry: TopologyEntry): void => {
  if (entry.shipped) {
    throw new NorthbridgeError(
      'nameTaken',
      `Topology "${entry.topology.name}" ships with Northbridge and cannot be changed; store yours under another name`,
    )
  }
}

const path = '/v1/topologies'

export const topologies = operation({
  summary: 'Lists the topologies that platforms can be made from',
  rest: { method: 'GET', path },
  words: 'topologies list',
  input: Fields({}),
  output: Type.Array(TopologySummary),
  errors: [],
  list: {
    key: (item: Static<typeof TopologySummary>) => item.name,
    columns: ['name', 'functions', 'processors', 'memoryMiB', 'iommu', 'remappingUnits', 'shipped'],
  },
  run: context => now(() => context.topologies.entries().map(([, entry]) => summary(entry))),
})

export const createTopology = operation({
  summary: 'Stores a topology under its name',
  rest: { method: 'POST', path, status: 201, location: `${path}/{name}`, body: 'document' },
  words: 'topologies create',
  input: Fields({ document: TopologyDocument }),
  output: TopologySummary,
  errors: ['invalidDocument', 'nameTaken', 'limitExceeded'],
  *run(context, { document }) {
    const entry = { shipped: false, topology: yield* readTopology(document) }
    context.topologies.reserve(entry.topology.name)
    context.topologies.set(entry.topology.name, entry)
    return summary(entry)
  },
})

export const topology = operation({
  summary: 'Shows a topology document, defaults filled in',
  rest: { method: 'GET', path: `${path}/{name}` },
  words: 'topologies get',
  input: Fields({ name: Identifier }),
  output: TopologyDocument,
  errors: ['notFound'],
  run: (context, { name }) => now(() => context.topologies.get(name).topology),
})

export const replaceTopology = operation({
  summary: 'Stores a topology under the name in the path, in the place of one that had it',
  rest: { method: 'PUT', path: `${path}/{name}`, body: 'document' },
  words: 'topologies replace',
  input: Fields({ name: Identifier, document: TopologyDocument }),
  output: TopologySummary,
  errors: ['invalidDocument', 'nameTaken', 'limitExceeded'],
  *run(context, { name, document }) {
    const parsed = yield* readTopology(document)
    if (parsed.name !== name) {
      const message = `is "${parsed.name}" but the topology is stored under "${name}"`
      throw new NorthbridgeError('invalidDocument', `topology: /name ${message}`, {
        issues: [{ path: '/name', message }],
      })
    }
    if (context.topologies.has(name)) rejectShipped(context.topologies.get(name))
    const entry = { shipped: false, topology: parsed }
    context.topologies.set(name, entry)
    return summary(entry)
  },
})

export const deleteTopology = operation({
  summary: 'Forgets a topology; platforms made from it stay',
  rest: { method: 'DELETE', path: `${path}/{name}`, status: 204 },
  words: 'topologies delete',
  input: Fields({ name: Identifier }),
  output: Type.Null(),
  errors: ['notFound', 'nameTaken'],
  run: (context, { name }) =>
    now(() => {
      rejectShipped(context.topologies.get(name))
      context.topologies.delete(name)
      return null
    }),
})

export const validateTopology = operation({
  summary: 'Judges a topology document without storing it; a wrong one is answered with its wrong fields',
  asks: true,
  rest: { method: 'POST', path: `${path}/validate`, body: 'document' },
  words: 'topologies validate',
  input: Fields({ document: TopologyDocument }),
  output: Fields({ valid: Type.Literal(true), topology: TopologySummary }),
  errors: ['invalidDocument'],
  *run(_context, { document }) {
    const topology = yield* readTopology(document)
    return { valid: true as const, topology: summary({ shipped: false, topology }) }
  },
  tell: ({ topology }) => `Topology "${topology.name}" is valid: ${topology.functions} functions.`,
})
