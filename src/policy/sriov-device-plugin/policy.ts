/** The device plugin as an assignment policy: a need is a resource name, and the kubelet picks from its pool. */
import {
  type AssignmentPolicy,
  type Candidate,
  type DeviceNeed,
  type Grant,
  type Placement,
  type PolicyHost,
  perDevices,
} from '../model/index.ts'
import { DEFAULT_PREFIX, fullName, type Resource } from './configuration.ts'
import { type Pool, poolsOf } from './pools.ts'

export function devicePluginPolicy(
  resources: readonly Resource[],
  prefix = DEFAULT_PREFIX,
): AssignmentPolicy {
  const poolsOn = perDevices(
    ({ devices }) =>
      new Map(poolsOf(resources, devices).map(pool => [fullName(pool.resource, prefix), pool] as const)),
  )
  return {
    system: 'sriov-network-device-plugin',
    place(host, { needs }): Placement {
      const pools = poolsOn(host)
      const given = new Set<string>()
      const grants: Grant[] = []
      for (const need of needs) {
        const answer = serve(need, pools.get(need.resource), host, given)
        if ('refusal' in answer) return { granted: false, need, ...answer }
        for (const device of answer.devices) given.add(device)
        grants.push(answer)
      }
      return { granted: true, grants }
    },
  }
}

type Refused = Omit<Extract<Placement, { granted: false }>, 'granted' | 'need'>

function serve(
  need: DeviceNeed,
  pool: Pool | undefined,
  { users }: PolicyHost,
  given: ReadonlySet<string>,
): Grant | Refused {
  if (pool === undefined || pool.devices.length === 0) {
    const text =
      pool === undefined ? 'no resource of that name is configured' : 'its pool is empty: no server runs'
    return {
      refusal: { errorClass: 'Insufficient', text: `${need.resource}: ${text}` },
      considered: pool?.considered ?? [],
    }
  }
  const considered = pool.considered.map((candidate): Candidate => {
    const user = users.get(candidate.device) ?? (given.has(candidate.device) ? 'this machine' : undefined)
    if (candidate.refusal !== undefined || user === undefined) return candidate
    const text = `${candidate.device} is allocated to ${user}`
    return { ...candidate, refusal: { errorClass: 'allocated', text, device: candidate.device } }
  })
  const free = considered.filter(({ refusal }) => refusal === undefined).map(({ device }) => device)
  if (free.length >= need.count) return { need, devices: free.slice(0, need.count), considered }
  const text = `${need.resource}: ${need.count} wanted, ${free.length} of ${pool.devices.length} free`
  return { refusal: { errorClass: 'Insufficient', text }, considered }
}
