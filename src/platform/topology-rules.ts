/** The rules of a topology that tie fields together. Each names the field to change and the rule it breaks. */
import { type Issue, NorthbridgeError } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { resolveCapabilities } from '../vtd/index.ts'
import { IO_APIC_REQUESTER_ID, layOutAddresses, layoutIssues, segmentsOf } from './address-layout.ts'
import type { FunctionCatalogue } from './function-catalogue.ts'
import { lastBusOf } from './host-bridge-buses.ts'
import { TOPOLOGY_LIMITS, type Topology } from './topology-schema.ts'
import { treeIssues } from './topology-tree-rules.ts'
import { unitsOf } from './wiring.ts'
import { checkWiring, type Report } from './wiring-rules.ts'

const IO_APIC_BUS = IO_APIC_REQUESTER_ID >>> 8
const IO_APIC_BUS_RULE = `must leave bus ${IO_APIC_BUS} to the I/O APIC`

/** Every broken rule, in document order within each group of rules. Empty for a topology that can be built. */
export function* topologyIssues(topology: Topology, catalogue: FunctionCatalogue): Software<Issue[]> {
  const issues: Issue[] = []
  const report: Report = (path, message) => issues.push({ path, message })
  processorsAndMemory(topology, report)
  remappingUnits(topology, report)
  namespaceDevices(topology, report)
  hostBridges(topology, report)
  yield* treeIssues(topology, catalogue, report)
  if (issues.length > 0) return issues
  // Where everything lies can only be said of machines that are sound so far.
  const layout = layOutAddresses(topology)
  return [...layoutIssues(topology, layout), ...reservedMemoryIssues(topology, layout.ram)]
}

function processorsAndMemory({ processors, memory }: Topology, report: Report): void {
  const count = processors.reduce((sum, socket) => sum + socket.logicalProcessors, 0)
  if (count > TOPOLOGY_LIMITS.processors) {
    report('/processors', `hold ${count} logical processors, more than ${TOPOLOGY_LIMITS.processors}`)
  }
  for (const [i, { numaNode }] of memory.entries()) {
    if (memory.findIndex(other => other.numaNode === numaNode) < i) {
      report(`/memory/${i}/numaNode`, 'has memory already: one entry per NUMA node')
    }
  }
}

function remappingUnits(topology: Topology, report: Report): void {
  const segments = segmentsOf(topology)
  const units = unitsOf(topology)
  for (const [i, unit] of units.entries()) {
    const path = `/iommu/units/${i}`
    if (units.findIndex(other => other.id === unit.id) < i) {
      report(`${path}/id`, `is the id of an earlier unit: "${unit.id}"`)
    }
    if (!segments.includes(unit.segment)) {
      report(`${path}/segment`, `has no host bridge: segment ${unit.segment}`)
    }
    if (unit.includeAll && units.findLastIndex(other => other.segment === unit.segment) > i) {
      report(`${path}/includeAll`, 'is for the last unit of a segment: what is not named before falls to it')
    }
    try {
      resolveCapabilities(unit.capabilities)
    } catch (error) {
      if (!(error instanceof NorthbridgeError)) throw error
      report(`${path}/capabilities`, error.message)
    }
  }
}

function namespaceDevices({ iommu }: Topology, report: Report): void {
  if (iommu.kind !== 'intel-vtd') return
  for (const [i, { unit, number }] of iommu.namespaceDevices.entries()) {
    const path = `/iommu/namespaceDevices/${i}`
    if (!iommu.units.some(({ id }) => id === unit)) report(`${path}/unit`, `is no remapping unit: "${unit}"`)
    if (iommu.namespaceDevices.findIndex(other => other.number === number) < i) {
      report(`${path}/number`, 'is the number of an earlier device')
    }
  }
}

function hostBridges(topology: Topology, report: Report): void {
  const { hostBridges } = topology
  for (const [i, bridge] of hostBridges.entries()) {
    const path = `/hostBridges/${i}`
    const before = hostBridges.slice(0, i).filter(other => other.segment === bridge.segment)
    const last = lastBusOf(topology, bridge)
    if (before.some(other => other.bus === bridge.bus)) {
      report(`${path}/bus`, `is the root bus of an earlier host bridge of segment ${bridge.segment}`)
      continue
    }
    if (last < bridge.bus) {
      if (bridge.lastBus === undefined) report(`${path}/bus`, IO_APIC_BUS_RULE)
      else report(`${path}/lastBus`, 'is below the root bus')
    }
    if (bridge.lastBus === IO_APIC_BUS && bridge.segment === segmentsOf(topology)[0]) {
      report(`${path}/lastBus`, IO_APIC_BUS_RULE)
    }
    const overlapping = hostBridges.find(
      other => other.segment === bridge.segment && other.bus > bridge.bus && other.bus <= last,
    )
    if (overlapping !== undefined) {
      report(`${path}/lastBus`, `reaches into the buses of the host bridge at bus ${overlapping.bus}`)
    }
    checkWiring(topology, bridge.remappingUnit, bridge.segment, `${path}/remappingUnit`, report)
  }
}

function reservedMemoryIssues(
  { reservedMemory }: Topology,
  ram: readonly { readonly base: number; readonly size: number }[],
): Issue[] {
  const issues: Issue[] = []
  const ranges = reservedMemory.map(({ base, limit }) => ({ base: Number(base), limit: Number(limit) }))
  for (const [i, { base, limit }] of ranges.entries()) {
    const path = `/reservedMemory/${i}`
    if (base % 4096 !== 0) issues.push({ path: `${path}/base`, message: 'must be a multiple of 4 KiB' })
    if ((limit + 1) % 4096 !== 0) {
      issues.push({ path: `${path}/limit`, message: 'must be the last byte of a 4-KiB page' })
    }
    if (limit < base) issues.push({ path: `${path}/limit`, message: 'is below the base' })
    else if (!ram.some(range => base >= range.base && limit < range.base + range.size)) {
      issues.push({ path: `${path}/base`, message: 'and the limit must lie in RAM' })
    }
    if (ranges.some((other, j) => j < i && base <= other.limit && other.base <= limit)) {
      issues.push({ path: `${path}/base`, message: 'overlaps earlier reserved memory' })
    }
  }
  return issues
}
