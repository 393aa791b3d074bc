/** Bus numbers of host bridges. */
import { IO_APIC_REQUESTER_ID, segmentsOf } from './address-layout.ts'
import type { Topology, TopologyHostBridge } from './topology-schema.ts'

/** Last bus number below a host bridge: as the document says, or up to the next host bridge of its segment. */
export function lastBusOf(topology: Topology, { segment, bus, lastBus }: TopologyHostBridge): number {
  if (lastBus !== undefined) return lastBus
  const ioApicSegment = segmentsOf(topology)[0]
  const next = topology.hostBridges
    .filter(other => other.segment === segment && other.bus > bus)
    .map(other => other.bus)
  return Math.min(segment === ioApicSegment ? (IO_APIC_REQUESTER_ID >>> 8) - 1 : 255, ...next.map(n => n - 1))
}
