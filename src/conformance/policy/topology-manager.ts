/** Worked cases of the kubelet's Topology Manager. */
import { z } from 'zod'
import { parseDocument } from '../../core/index.ts'
import {
  align,
  maskOf,
  nodesOf,
  type ProviderHints,
  parseTopologyManagerPolicy,
  refusalOf,
} from '../../policy/index.ts'
import type { Judge, Outcome } from './worked-case.ts'

const nodes = z.array(z.int().min(0).max(30)).nullable()
const hint = z.object({ nodes, preferred: z.boolean() })
const requestSchema = z.union([
  z.object({ hintProviders: z.array(z.record(z.string(), z.array(hint).nullable())) }),
  z.object({ mergedHint: z.object({ affinity: nodes, preferred: z.boolean() }) }),
])
const policySchema = z.object({ topologyManagerPolicy: z.string() })
const machineSchema = z.object({ numa_nodes: z.array(z.int().min(0).max(30)) })

const maskOrNull = (list: readonly number[] | null): number | null => (list === null ? null : maskOf(list))

export const judgeTopologyManager: Judge = ({ devices, policy, request }): Outcome => {
  const { topologyManagerPolicy } = parseDocument(policySchema, policy, 'policy')
  const name = parseTopologyManagerPolicy(topologyManagerPolicy)
  const asked = parseDocument(requestSchema, request, 'request')
  if ('mergedHint' in asked) {
    const { affinity, preferred } = asked.mergedHint
    const refusal = refusalOf(name, { affinity: maskOrNull(affinity), preferred })
    return refusal === undefined
      ? { decision: 'merged' }
      : { decision: 'deny', errorClass: refusal.errorClass }
  }
  const { numa_nodes } = parseDocument(machineSchema, devices[0], 'devices/0')
  const providers = asked.hintProviders.map(
    (provider): ProviderHints =>
      Object.fromEntries(
        Object.entries(provider).map(([resource, hints]) => [
          resource,
          hints?.map(each => ({ affinity: maskOrNull(each.nodes), preferred: each.preferred })) ?? null,
        ]),
      ),
  )
  const { hint, refusal } = align(name, numa_nodes, providers)
  return {
    decision: 'merged',
    affinity: hint.affinity === null ? null : nodesOf(hint.affinity),
    preferred: hint.preferred,
    admit: refusal === undefined,
  }
}
