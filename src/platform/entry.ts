/** By which function of a root bus the requests of a requester id enter the root complex. */
import { busOf, devfnOf, type RequesterId } from '../core/index.ts'
import type { Fabric, PcieFunction } from '../pcie/index.ts'

/** Also for ids that no function has: those that bridges put on behalf of others. Undefined if nothing is there. */
export function entryOf(fabric: Fabric, segment: number, rid: RequesterId): PcieFunction | undefined {
  const bus = busOf(rid)
  const host = fabric.hostBridges.find(
    bridge => bridge.segment === segment && bridge.bus <= bus && bus <= bridge.lastBus,
  )
  if (host === undefined) return undefined
  const below = host.rootBus.bridges.find(
    ({ secondaryBus, subordinateBus }) => secondaryBus > 0 && secondaryBus <= bus && bus <= subordinateBus,
  )
  if (below !== undefined) return below
  const own = bus === host.bus ? host.rootBus.at(devfnOf(rid)) : undefined
  return own ?? fabric.functionAt(segment, rid)?.physicalFunction
}
