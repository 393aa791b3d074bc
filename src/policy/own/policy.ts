/** The own policy document at work: a need is the name of a resource. */

import type { Expression } from '../expression.ts'
import {
  type AssignmentPolicy,
  type Candidate,
  type Device,
  type DeviceNeed,
  type Grant,
  isVirtual,
  type Placement,
  type PlacementRequest,
  type PolicyHost,
  perDevices,
  type Refusal,
  type Refused,
  refusedInShort,
  tenantOf,
} from '../model/index.ts'
import { factsOf, isSelected, judge, type Situation } from './candidates.ts'
import type { OwnPolicy, PolicyResource } from './document.ts'

type Served = Grant | { readonly refusal: Refusal; readonly considered: readonly Candidate[] }

export function ownPolicy(policy: OwnPolicy): AssignmentPolicy {
  return {
    system: 'northbridge',
    place(host, request): Placement {
      if (policy.interrupts === 'isolated' && !host.isolatedInterrupts) {
        const text = `${host.name} does not remap interrupts: a device could raise any of them`
        return { granted: false, refusal: { errorClass: 'interrupts', text }, considered: [] }
      }
      // A device in use is never given again, and what a resource does not select never is.
      if (request.needs.some(need => need.count > unusedFor(need, policy, host)))
        return refusedInShort(() => placeOn(host, request, policy) as Refused)
      return placeOn(host, request, policy)
    },
  }
}

/** Devices that a need could have at most; any number if its selection depends on the machine. */
function unusedFor({ resource: name }: DeviceNeed, { resources }: OwnPolicy, host: PolicyHost): number {
  const select = resources.get(name)?.select
  if (select === undefined || select.mentions('vm')) return Number.POSITIVE_INFINITY
  return selectedBy(select)(host).reduce((sum, address) => sum + (host.users.has(address) ? 0 : 1), 0)
}

const selections = new WeakMap<Expression, (host: PolicyHost) => readonly string[]>()

/** Addresses that an expression selects on a host, whichever machine asks. */
function selectedBy(select: Expression): (host: PolicyHost) => readonly string[] {
  let known = selections.get(select)
  if (known === undefined) {
    known = perDevices(({ devices }) =>
      devices.filter(device => isSelected(device, select)).map(({ address }) => address),
    )
    selections.set(select, known)
  }
  return known
}

function placeOn(host: PolicyHost, request: PlacementRequest, policy: OwnPolicy): Placement {
  const users = new Map(host.users)
  const tenant = request.tenant ?? tenantOf(host, request.vm)
  const strangers: Situation['strangers'] = new Map()
  const grants = new Map<DeviceNeed, Grant>()
  for (const need of inOrder(request.needs, policy)) {
    const resource = policy.resources.get(need.resource)
    const served: Served =
      resource === undefined
        ? {
            refusal: { errorClass: 'resource', text: `there is no resource ${need.resource}` },
            considered: [],
          }
        : serve(need, resource, { host, request, users, tenant, strangers })
    if ('refusal' in served) return { granted: false, need, ...served }
    for (const device of served.devices) users.set(device, request.vm)
    grants.set(need, served)
  }
  return { granted: true, grants: request.needs.map(need => grants.get(need)!) }
}

function inOrder(needs: PlacementRequest['needs'], { resources }: OwnPolicy): DeviceNeed[] {
  const priority = ({ resource }: DeviceNeed): number => resources.get(resource)?.priority ?? 0
  return [...needs].sort((a, b) => priority(b) - priority(a))
}

function serve(need: DeviceNeed, resource: PolicyResource, situation: Situation): Served {
  const { devices } = situation.host
  const fit: Device[] = []
  const considered = devices
    .filter(({ role }) => role !== 'bridge')
    .map((device): Candidate => {
      const verdict = judge(device, resource, situation)
      if (verdict.refusal === undefined) fit.push(device)
      return { device: device.address, ...verdict }
    })
  const chosen = choose(fit, need.count, resource, situation)
  if (chosen !== undefined && fit.length - need.count >= resource.reserve)
    return { need, devices: chosen.map(({ address }) => address), considered }
  const refusal = (errorClass: string, text: string): Served => ({
    considered,
    refusal: { errorClass, text: `${need.resource}: ${text}` },
  })
  if (fit.length < need.count) return refusal('count', `${need.count} wanted, ${fit.length} fit and free`)
  if (chosen === undefined)
    return refusal('pcieRoot', `no host bridge has ${need.count} of the ${fit.length} that fit`)
  return refusal('reserve', `${fit.length} fit, of which ${resource.reserve} are reserved`)
}

/** The best of those that fit; undefined if a constraint among them cannot be met. */
function choose(
  fit: readonly Device[],
  count: number,
  resource: PolicyResource,
  situation: Situation,
): readonly Device[] | undefined {
  const ranked = rank(fit, resource, situation)
  if (resource.pcieRoot === 'any') return ranked.length < count ? undefined : take(ranked, count, resource)
  const bound = rootOfOwn(situation, resource)
  const roots = bound === undefined ? [...new Set(ranked.map(({ pcieRoot }) => pcieRoot))] : [bound]
  for (const root of roots) {
    const below = ranked.filter(({ pcieRoot }) => pcieRoot === root)
    if (below.length >= count) return take(below, count, resource)
  }
  return undefined
}

/** The host bridge below which the machine has such a device already. */
function rootOfOwn(
  { host, users, request, tenant }: Situation,
  { select }: PolicyResource,
): string | undefined {
  const own = host.devices.find(
    device => users.get(device.address) === request.vm && select.holds(factsOf(device, { request, tenant })),
  )
  return own?.pcieRoot
}

const physicalOf = (device: Device): string => (isVirtual(device) ? (device.parent ?? '') : device.address)

/** Local NUMA nodes first, then by how full the physical function is, then by address. */
function rank(
  fit: readonly Device[],
  { numa, placement }: PolicyResource,
  { host, request, users }: Situation,
): Device[] {
  const load = new Map<string, number>()
  for (const device of host.devices) {
    if (!users.has(device.address)) continue
    load.set(physicalOf(device), (load.get(physicalOf(device)) ?? 0) + 1)
  }
  const remote = ({ numaNode }: Device): number =>
    numa === 'any' || request.numaNodes === undefined || request.numaNodes.includes(numaNode ?? -1) ? 0 : 1
  const fill = (device: Device): number =>
    (placement === 'pack' ? -1 : 1) * (load.get(physicalOf(device)) ?? 0)
  return [...fit].sort(
    (a, b) =>
      remote(a) - remote(b) ||
      fill(a) - fill(b) ||
      (a.address < b.address ? -1 : a.address > b.address ? 1 : 0),
  )
}

/** Spreading goes round the physical functions, packing takes what comes first. */
function take(ranked: readonly Device[], count: number, { placement }: PolicyResource): Device[] {
  if (placement === 'pack') return ranked.slice(0, count)
  const rounds = new Map<string, Device[]>()
  for (const device of ranked) {
    const physical = physicalOf(device)
    const queue = rounds.get(physical)
    if (queue === undefined) rounds.set(physical, [device])
    else queue.push(device)
  }
  const chosen: Device[] = []
  for (let round = 0; chosen.length < count; round++) {
    for (const queue of rounds.values()) {
      const device = queue[round]
      if (device !== undefined && chosen.length < count) chosen.push(device)
    }
  }
  return chosen
}
