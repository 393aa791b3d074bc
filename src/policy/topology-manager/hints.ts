/** NUMA affinities as bit masks and the hints that the kubelet's resource managers give. */

/** Bit n stands for NUMA node n: at most 8 nodes in the kubelet, 31 here. */
export type NodeMask = number

export interface TopologyHint {
  /** Null: any node will do. */
  readonly affinity: NodeMask | null
  /** Whether this is as narrow as the request could be served on this machine. */
  readonly preferred: boolean
}

/** Per resource: hints, or null for no preference; an empty list says that nothing can satisfy the request. */
export type ProviderHints = Readonly<Record<string, readonly TopologyHint[] | null>>

export const maskOf = (nodes: readonly number[]): NodeMask =>
  nodes.reduce((mask, node) => mask | (1 << node), 0)

export function nodesOf(mask: NodeMask): number[] {
  const nodes: number[] = []
  for (let node = 0; mask >>> node !== 0; node++) if ((mask >>> node) & 1) nodes.push(node)
  return nodes
}

export function countNodes(mask: NodeMask): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++
  return count
}

/** Fewer nodes; with as many, the one whose lowest differing node comes first. */
export function isNarrower(mask: NodeMask, than: NodeMask): boolean {
  const difference = countNodes(mask) - countNodes(than)
  return difference === 0 ? mask < than : difference < 0
}
