/**
 * The reworked rules of the patch series "Fix incorrect iommu_groups with PCIe ACS" (Jason Gunthorpe, version 3,
 * 5 September 2025, posted to linux-pci and kvm; not merged when it was read). Isolation is a property of buses: the
 * first bus on the way up that does not isolate makes one group of everything below it, because access control limits
 * where a function's requests may go, not who may reach the function. A device without an ACS capability is taken to
 * have no way around inside. The patches on the enhanced capability of ACS (8 to 11) are not part of it here.
 */
import { PORT_TYPE } from '../../pcie/formats/index.ts'
import { areAliases } from './dma-aliases.ts'
import type { GroupingFunction } from './grouping-function.ts'
import type { GroupingRules, Neighbourhood, Placement } from './groups.ts'
import { isolates } from './isolation.ts'
import { isDisguisedExpressBridge } from './quirks.ts'
import { belowReason, busReason, pathReason, reachReason } from './reasons.ts'

export const BUS_RULES: GroupingRules = {
  place(fn, near) {
    const bridge = (fn.physical ?? fn).above
    if (bridge === undefined) return amongReachable(fn, near)
    const group = near.groupOf(bridge)
    if (group?.spreads) return { group, reason: belowReason(fn, bridge) }
    const bus = isolationBelow(bridge, near)
    if (bus.isolated) return amongReachable(fn, near)
    if (bus.withBridge) {
      return group === undefined ? {} : { group, reason: pathReason(fn, bridge, bridge), spreads: true }
    }
    const mate = near.below(bridge).find(other => other !== fn && near.groupOf(other) !== undefined)
    if (mate === undefined) return { spreads: true }
    return { group: near.groupOf(mate)!, reason: busReason(fn, mate, bus.lackedBy), spreads: true }
  },
}

type BusIsolation =
  | { readonly isolated: true }
  /** Not isolated from the bridge either. */
  | { readonly isolated: false; readonly withBridge: true }
  | { readonly isolated: false; readonly withBridge: false; readonly lackedBy: GroupingFunction }

const ISOLATED: BusIsolation = { isolated: true }
const WITH_BRIDGE: BusIsolation = { isolated: false, withBridge: true }

/** `pci_bus_isolated`: whether requests from the bus below a bridge can end anywhere but at the root complex. */
function isolationBelow(bridge: GroupingFunction, near: Neighbourhood): BusIsolation {
  const type = isDisguisedExpressBridge(bridge) ? PORT_TYPE.pcieToPciBridge : bridge.expressType
  switch (type) {
    case PORT_TYPE.rootPort:
      return bridge.acs !== undefined && !isolates(bridge) ? WITH_BRIDGE : ISOLATED
    case PORT_TYPE.downstreamPort:
      return ISOLATED
    case PORT_TYPE.upstreamPort:
      for (const port of near.below(bridge)) {
        if (port.expressType !== PORT_TYPE.downstreamPort || port.quirkAliases.length > 0) return WITH_BRIDGE
        if (!isolates(port)) return { isolated: false, withBridge: false, lackedBy: port }
      }
      return ISOLATED
    case PORT_TYPE.pcieToPciBridge:
      return bridge.decodesMemory ? WITH_BRIDGE : { isolated: false, withBridge: false, lackedBy: bridge }
    default:
      return WITH_BRIDGE
  }
}

/** `pci_reachable_set`: the functions of a bus that reach each other inside their device, or alias each other. */
function amongReachable(fn: GroupingFunction, near: Neighbourhood): Placement {
  const peers = near.peers(fn)
  const found = new Set([fn])
  for (const one of found) {
    for (const other of peers) if (!found.has(other) && areInReach(one, other)) found.add(other)
  }
  if (found.size === 1) return {}
  const mates = [...found].filter(other => other !== fn).sort((a, b) => a.rid - b.rid)
  const mate = mates.find(other => near.groupOf(other) !== undefined)
  if (mate === undefined) return { spreads: true }
  return { group: near.groupOf(mate)!, reason: reachReason(fn, mate), spreads: true }
}

function areInReach(a: GroupingFunction, b: GroupingFunction): boolean {
  if (areAliases(a, b)) return true
  if (a.physical !== undefined || b.physical !== undefined || a.rid >>> 3 !== b.rid >>> 3) return false
  if (a.multifunction !== b.multifunction) return true
  if (!a.multifunction) return false
  return [a, b].some(one => one.acs !== undefined && !isolates(one))
}
