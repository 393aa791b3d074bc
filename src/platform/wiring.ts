/** Which remapping unit each root-bus function is soldered to, as the document says. */
import type { Topology, TopologyHostBridge, TopologyNode, TopologyRemappingUnit } from './topology-schema.ts'

export const unitsOf = ({ iommu }: Topology): readonly TopologyRemappingUnit[] =>
  iommu.kind === 'intel-vtd' ? iommu.units : []

/** The address-range unit that all requests pass, if the machine has one instead of remapping units. */
export const apertureOf = ({ iommu }: Topology) => (iommu.kind === 'gart' ? iommu : undefined)

/** The unit that serves every function of a segment which no other unit is wired to. */
export const includeAllUnit = (topology: Topology, segment: number): TopologyRemappingUnit | undefined =>
  unitsOf(topology).find(unit => unit.includeAll && unit.segment === segment)

/** Unit id of a root-bus function; null if none: its requests reach memory as they are. */
export function unitIdOf(
  topology: Topology,
  hostBridge: TopologyHostBridge,
  node: TopologyNode,
): string | null {
  if (node.remappingUnit !== undefined) return node.remappingUnit
  return unitIdOfHostBridge(topology, hostBridge)
}

/** Unit id of what hangs on a root bus and says nothing itself. */
export function unitIdOfHostBridge(topology: Topology, hostBridge: TopologyHostBridge): string | null {
  if (hostBridge.remappingUnit !== undefined) return hostBridge.remappingUnit
  return includeAllUnit(topology, hostBridge.segment)?.id ?? null
}

/** Unit id of the I/O APIC: the include-all unit of its segment, or else the first unit there. */
export function unitIdOfIoApic(topology: Topology, segment: number): string | null {
  const unit = includeAllUnit(topology, segment) ?? unitsOf(topology).find(unit => unit.segment === segment)
  return unit?.id ?? null
}
