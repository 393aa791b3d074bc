/**
 * The kubelet as an assignment policy: pools of the device plugin, and processors where the machine names NUMA nodes,
 * are aligned by the Topology Manager before devices are handed out.
 */
import {
  type AssignmentPolicy,
  type Candidate,
  type DeviceNeed,
  type Grant,
  type Placement,
  perDevices,
} from '../model/index.ts'
import { fullName, type Pool, poolsOf, type Resource } from '../sriov-device-plugin/index.ts'
import { closestFirst, hintsFor } from './device-hints.ts'
import { maskOf, type ProviderHints } from './hints.ts'
import { align, type TopologyManagerPolicy } from './policies.ts'

export function topologyManagerPolicy(
  policy: TopologyManagerPolicy,
  resources: readonly Resource[],
): AssignmentPolicy {
  const poolsOn = perDevices(
    ({ devices }) =>
      new Map(poolsOf(resources, devices).map(pool => [fullName(pool.resource), pool] as const)),
  )
  return {
    system: 'kubernetes-topology-manager',
    place(host, request): Placement {
      const pools = poolsOn(host)
      const nodes = host.numaNodes.map(({ id }) => id)
      const everyNode = maskOf(nodes)
      const wanted: { need: DeviceNeed; pool: Pool; considered: Candidate[] }[] = []
      for (const need of merged(request.needs)) {
        const pool = pools.get(need.resource)
        const considered = (pool?.considered ?? []).map(candidate => withUser(candidate, host.users))
        const free = freeOf(considered)
        if (pool === undefined || free.length < need.count) {
          const text = `${need.resource}: ${need.count} wanted, ${free.length} of ${pool?.devices.length ?? 0} free`
          return { granted: false, need, considered, refusal: { errorClass: 'Insufficient', text } }
        }
        wanted.push({ need, pool, considered })
      }
      const devices: ProviderHints = Object.fromEntries(
        wanted.map(({ need, pool, considered }) => {
          const free = freeOf(considered)
          const candidates = pool.devices.filter(({ address }) => free.includes(address))
          return [
            need.resource,
            pool.resource.excludeTopology ? null : hintsFor(pool.devices, candidates, need.count, everyNode),
          ]
        }),
      )
      const processors: readonly ProviderHints[] =
        request.numaNodes === undefined
          ? []
          : [{ cpu: [{ affinity: maskOf(request.numaNodes), preferred: true }] }]
      const { hint, refusal } = align(policy, nodes, [...processors, devices])
      if (refusal !== undefined)
        return { granted: false, refusal, considered: wanted.flatMap(({ considered }) => considered) }
      const left = new Map(
        wanted.map(({ need, pool, considered }) => {
          const free = freeOf(considered)
          const candidates = pool.devices.filter(({ address }) => free.includes(address))
          return [need.resource, closestFirst(candidates, hint.affinity).map(({ address }) => address)]
        }),
      )
      const grants = request.needs.map(
        (need): Grant => ({
          need,
          devices: left.get(need.resource)!.splice(0, need.count),
          considered: wanted.find(each => each.need.resource === need.resource)!.considered,
        }),
      )
      return { granted: true, grants }
    },
  }
}

/** A pod asks for a resource once: what it names several times adds up. */
function merged(needs: readonly DeviceNeed[]): DeviceNeed[] {
  const counts = new Map<string, number>()
  for (const { resource, count } of needs) counts.set(resource, (counts.get(resource) ?? 0) + count)
  return [...counts].map(([resource, count]) => ({ resource, count }))
}

function withUser(candidate: Candidate, users: ReadonlyMap<string, string>): Candidate {
  const user = users.get(candidate.device)
  if (candidate.refusal !== undefined || user === undefined) return candidate
  const text = `${candidate.device} is allocated to ${user}`
  return { ...candidate, refusal: { errorClass: 'allocated', text, device: candidate.device } }
}

const freeOf = (considered: readonly Candidate[]): string[] =>
  considered.filter(({ refusal }) => refusal === undefined).map(({ device }) => device)
