/**
 * How the kubelet merges hints of several managers into one affinity. Source: kubernetes/kubernetes
 * pkg/kubelet/cm/topologymanager/policy.go (HintMerger) and its tests.
 */
import { countNodes, isNarrower, type NodeMask, type ProviderHints, type TopologyHint } from './hints.ts'

/** A merged hint always has an affinity, though it may be the default one. */
export interface MergedHint extends TopologyHint {
  readonly affinity: NodeMask
}

/** Orders two masks of equal standing: whether the candidate is better. */
export type CompareMasks = (candidate: NodeMask, current: NodeMask) => boolean

/** No hints at all, and no hints for a resource, say "anything will do"; an empty list says "nothing will". */
export function hintLists(providers: readonly ProviderHints[]): (readonly TopologyHint[])[] {
  return providers.flatMap(provider => {
    const lists = Object.values(provider)
    if (lists.length === 0) return [[{ affinity: null, preferred: true }]]
    return lists.map(list =>
      list === null ? [{ affinity: null, preferred: true }] : list.length === 0 ? [UNSATISFIABLE] : list,
    )
  })
}

const UNSATISFIABLE: TopologyHint = { affinity: null, preferred: false }

/** Every choice of one hint from each list, first list slowest. */
function* permutations(lists: readonly (readonly TopologyHint[])[]): Generator<readonly TopologyHint[]> {
  const chosen: TopologyHint[] = []
  function* choose(depth: number): Generator<readonly TopologyHint[]> {
    if (depth === lists.length) return yield chosen
    for (const hint of lists[depth]!) {
      chosen[depth] = hint
      yield* choose(depth + 1)
    }
  }
  yield* choose(0)
}

/** Preferred only if every hint is and all their masks are the same. */
function mergeOne(everyNode: NodeMask, hints: readonly TopologyHint[]): MergedHint {
  const masks = hints.flatMap(({ affinity }) => (affinity === null ? [] : [affinity]))
  return {
    affinity: masks.reduce((all, mask) => all & mask, everyNode),
    preferred: hints.every(({ preferred }) => preferred) && masks.every(mask => mask === masks[0]),
  }
}

/**
 * The width that no merge of hints can be better than: the widest of the narrowest masks of each list. Among hints that
 * are not preferred, one this wide wastes least.
 */
function bestUnpreferredWidth(lists: readonly (readonly TopologyHint[])[]): number {
  const narrowest = lists.map(hints =>
    Math.min(...hints.flatMap(({ affinity }) => (affinity === null ? [] : [countNodes(affinity)]))),
  )
  return Math.max(0, ...narrowest.filter(Number.isFinite))
}

function isBetter(candidate: MergedHint, current: MergedHint, best: number, compare: CompareMasks): boolean {
  if (candidate.preferred !== current.preferred) return candidate.preferred
  if (candidate.preferred) return compare(candidate.affinity, current.affinity)
  const width = countNodes(candidate.affinity)
  const currentWidth = countNodes(current.affinity)
  if (currentWidth > best) return compare(candidate.affinity, current.affinity)
  if (currentWidth === best) return width === best && compare(candidate.affinity, current.affinity)
  if (width > best) return false
  if (width === best) return true
  return width === currentWidth ? compare(candidate.affinity, current.affinity) : width > currentWidth
}

/** The best merge of one hint from each list; the default affinity, not preferred, if no merge leaves a node. */
export function mergeHints(
  everyNode: NodeMask,
  lists: readonly (readonly TopologyHint[])[],
  compare: CompareMasks = isNarrower,
): MergedHint {
  const best = bestUnpreferredWidth(lists)
  let current: MergedHint | undefined
  for (const hints of permutations(lists)) {
    const candidate = mergeOne(everyNode, hints)
    if (candidate.affinity === 0) continue
    if (current === undefined || isBetter(candidate, current, best, compare)) current = candidate
  }
  return current ?? { affinity: everyNode, preferred: false }
}
