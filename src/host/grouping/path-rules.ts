/**
 * The rules of Linux 6.1 to 7.2 (`pci_device_group`): a function shares a group with what stamps its requester ids,
 * with the ports above it up to where the path to the root isolates, and with functions of its own device that do not
 * isolate either.
 */
import { areAliases, dmaAliases } from './dma-aliases.ts'
import type { GroupingFunction } from './grouping-function.ts'
import type { GroupingRules, Neighbourhood, Placement } from './groups.ts'
import { firstUnisolated, isolates } from './isolation.ts'
import { aliasReason, multifunctionReason, pathReason } from './reasons.ts'

export const PATH_RULES: GroupingRules = {
  place(fn, near) {
    // Requests that carry another function's requester id cannot be told from that function's.
    let seenAs = fn
    for (const { stampedBy } of dmaAliases(fn)) {
      seenAs = stampedBy
      const group = near.groupOf(stampedBy)
      if (group !== undefined) return { group, reason: aliasReason(fn, stampedBy) }
    }
    // Peer-to-peer requests may turn below a port that does not send them all upstream.
    for (let bridge = seenAs.above; bridge !== undefined; bridge = bridge.above) {
      const gap = firstUnisolated(bridge)
      if (gap === undefined) break
      seenAs = bridge
      const group = near.groupOf(bridge)
      if (group !== undefined) return { group, reason: pathReason(fn, bridge, gap) }
    }
    const visited = new Set<GroupingFunction>()
    return amongAliases(fn, seenAs, near, visited) ?? amongFunctions(fn, seenAs, near, visited) ?? {}
  },
}

/** Functions on the same bus of which one is seen under the other's requester id. */
function amongAliases(
  fn: GroupingFunction,
  seenAs: GroupingFunction,
  near: Neighbourhood,
  visited: Set<GroupingFunction>,
): Placement | undefined {
  if (visited.has(seenAs)) return undefined
  visited.add(seenAs)
  const own = near.groupOf(seenAs)
  if (own !== undefined) return { group: own, reason: aliasReason(fn, seenAs) }
  for (const other of seenAs.quirkAliases.length > 0 ? near.peers(seenAs) : near.aliasedPeers(seenAs)) {
    if (other === seenAs || !areAliases(other, seenAs)) continue
    const found = amongAliases(fn, other, near, visited) ?? amongFunctions(fn, other, near, visited)
    if (found !== undefined) return found
  }
  return undefined
}

/** Functions of the same device that lack isolation as well. */
function amongFunctions(
  fn: GroupingFunction,
  seenAs: GroupingFunction,
  near: Neighbourhood,
  visited: Set<GroupingFunction>,
): Placement | undefined {
  if (!seenAs.multifunction || isolates(seenAs)) return undefined
  for (const other of near.peers(seenAs)) {
    if (other === seenAs || other.rid >>> 3 !== seenAs.rid >>> 3 || isolates(other)) continue
    const found = amongAliases(fn, other, near, visited)
    if (found !== undefined) return { ...found, reason: multifunctionReason(fn, seenAs, other) }
  }
  return undefined
}
