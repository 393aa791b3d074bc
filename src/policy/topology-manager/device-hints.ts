/**
 * Which NUMA nodes could serve a request for devices of a pool, and which devices a pod then gets. Source:
 * kubernetes/kubernetes pkg/kubelet/cm/devicemanager/topology_hints.go (generateDeviceTopologyHints) and manager.go
 * (filterByAffinity).
 */
import type { Device } from '../model/index.ts'
import { countNodes, type NodeMask, type TopologyHint } from './hints.ts'

const isIn = ({ numaNode }: Device, mask: NodeMask): boolean =>
  numaNode !== undefined && numaNode !== null && ((mask >>> numaNode) & 1) === 1

/** Null if no device of the pool tells its node: the resource then has no preference. */
export function hintsFor(
  pool: readonly Device[],
  free: readonly Device[],
  count: number,
  everyNode: NodeMask,
): readonly TopologyHint[] | null {
  if (!pool.some(device => isIn(device, everyNode))) return null
  const masks = masksWithin(everyNode)
  // How narrow it could be with all of the pool free: a hint that is wider because devices are taken is not preferred.
  const narrowest = Math.min(
    countNodes(everyNode),
    ...masks.filter(mask => pool.filter(device => isIn(device, mask)).length >= count).map(countNodes),
  )
  return masks
    .filter(mask => free.filter(device => isIn(device, mask)).length >= count)
    .map(affinity => ({ affinity, preferred: countNodes(affinity) === narrowest }))
}

function masksWithin(everyNode: NodeMask): NodeMask[] {
  const masks: NodeMask[] = []
  for (let mask = 1; mask <= everyNode; mask++) if ((mask & ~everyNode) === 0) masks.push(mask)
  return masks.sort((a, b) => countNodes(a) - countNodes(b) || a - b)
}

/** Those on the nodes first, then those elsewhere, then those that tell no node. */
export function closestFirst(free: readonly Device[], affinity: NodeMask | null): readonly Device[] {
  if (affinity === null) return free
  const rank = (device: Device): number =>
    isIn(device, affinity) ? 0 : device.numaNode === undefined || device.numaNode === null ? 2 : 1
  return [...free].sort((a, b) => rank(a) - rank(b))
}
