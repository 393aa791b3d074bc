/** The Topology Manager option `prefer-closest-numa-nodes`: among masks as wide, the one whose nodes lie closest. */
import { countNodes, isNarrower, nodesOf } from './hints.ts'
import type { CompareMasks } from './merge.ts'

/** Row and column: NUMA nodes; as the ACPI SLIT says, 10 is local. */
export type NodeDistances = readonly (readonly number[])[]

/** Mean over all pairs, a node with itself included. */
export function meanDistance(distances: NodeDistances, mask: number): number {
  const nodes = nodesOf(mask)
  let sum = 0
  for (const from of nodes) for (const to of nodes) sum += distances[from]?.[to] ?? Number.POSITIVE_INFINITY
  return sum / nodes.length ** 2
}

export const closerMasks =
  (distances: NodeDistances): CompareMasks =>
  (candidate, current) => {
    if (countNodes(candidate) !== countNodes(current)) return isNarrower(candidate, current)
    const difference = meanDistance(distances, candidate) - meanDistance(distances, current)
    return difference === 0 ? isNarrower(candidate, current) : difference < 0
  }
