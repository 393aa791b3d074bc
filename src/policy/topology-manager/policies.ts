/**
 * The kubelet's Topology Manager policies. Sources: kubernetes/kubernetes pkg/kubelet/cm/topologymanager/policy_*.go and
 * the KubeletConfiguration reference.
 */
import { type Refusal, refusePolicy } from '../model/index.ts'
import { closerMasks, type NodeDistances } from './distances.ts'
import { countNodes, maskOf, type NodeMask, type ProviderHints, type TopologyHint } from './hints.ts'
import { hintLists, mergeHints } from './merge.ts'

export const TOPOLOGY_MANAGER_POLICIES = ['none', 'best-effort', 'restricted', 'single-numa-node'] as const
export type TopologyManagerPolicy = (typeof TOPOLOGY_MANAGER_POLICIES)[number]

export interface Alignment {
  /** Null: the policy binds to no node. */
  readonly hint: TopologyHint
  /** Absent if the pod is admitted. */
  readonly refusal?: Refusal
}

/** `distances`, if given, stand for the option `prefer-closest-numa-nodes`. */
export function align(
  policy: TopologyManagerPolicy,
  numaNodes: readonly number[],
  providers: readonly ProviderHints[],
  distances?: NodeDistances,
): Alignment {
  if (policy === 'none') return { hint: { affinity: null, preferred: true } }
  const hint = merge(policy, maskOf(numaNodes), hintLists(providers), distances)
  const refusal = refusalOf(policy, hint)
  return refusal === undefined ? { hint } : { hint, refusal }
}

function merge(
  policy: TopologyManagerPolicy,
  everyNode: NodeMask,
  lists: readonly (readonly TopologyHint[])[],
  distances: NodeDistances | undefined,
): TopologyHint {
  const compare = distances === undefined ? undefined : closerMasks(distances)
  if (policy !== 'single-numa-node') return mergeHints(everyNode, lists, compare)
  const merged = mergeHints(everyNode, lists.map(onlySingleNodes), compare)
  // The default affinity would bind to every node: this policy then binds to none.
  return merged.affinity === everyNode ? { affinity: null, preferred: merged.preferred } : merged
}

const onlySingleNodes = (hints: readonly TopologyHint[]): TopologyHint[] =>
  hints.filter(({ affinity, preferred }) => preferred && (affinity === null || countNodes(affinity) === 1))

/** Why a pod with this merged hint is not admitted; undefined if it is. */
export function refusalOf(policy: TopologyManagerPolicy, { preferred }: TopologyHint): Refusal | undefined {
  if (preferred || policy === 'none' || policy === 'best-effort') return undefined
  return {
    errorClass: 'TopologyAffinityError',
    text:
      policy === 'restricted'
        ? 'no choice of devices and processors has the affinity that each of them prefers'
        : 'no single NUMA node can serve all devices and processors',
  }
}

/** Throws `invalidDocument`. */
export function parseTopologyManagerPolicy(name: string): TopologyManagerPolicy {
  const known = TOPOLOGY_MANAGER_POLICIES.find(policy => policy === name)
  if (known !== undefined) return known
  return refusePolicy(`topologyManagerPolicy "${name}" is none of ${TOPOLOGY_MANAGER_POLICIES.join(', ')}`, {
    errorClass: 'unknown-policy',
    field: 'topologyManagerPolicy',
  })
}
