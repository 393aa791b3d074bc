/** Plans a fleet: which machine goes to which host and gets which devices, in which steps, and what that disturbs. */
import { usesKernelDma } from '../../host/vfio/rules.ts'
import { kernelRefusalOf } from '../linux/index.ts'
import {
  type AssignmentPolicy,
  type Candidate,
  deviceAt,
  type Grant,
  groupOf,
  nearestMiss,
  type PlacementRequest,
  type PolicyHost,
  type Refusal,
  type Refused,
} from '../model/index.ts'

export interface FleetRequest extends PlacementRequest {
  /** The only host that will do; absent: any. */
  readonly host?: string
}

/** Something of the host that stops working. */
export interface Disruption {
  readonly device: string
  readonly text: string
}

export interface PlannedMachine {
  readonly vm: string
  readonly host: string
  readonly grants: readonly Pick<Grant, 'need' | 'devices'>[]
  /** Functions to attach, in order. */
  readonly steps: readonly { readonly attach: string }[]
  readonly disrupted: readonly Disruption[]
  /** What the policy grants and the host's kernel would refuse. */
  readonly kernelRefuses: readonly Refusal[]
}

/** Why a host would not take a machine. */
export interface HostRefusal {
  readonly host: string
  readonly refusal: Refusal
  readonly need?: string
  readonly nearestMiss?: Candidate
}

export interface RefusedMachine {
  readonly vm: string
  readonly hosts: readonly HostRefusal[]
}

export interface FleetPlan {
  readonly placed: readonly PlannedMachine[]
  readonly refused: readonly RefusedMachine[]
}

export interface FleetOptions {
  /** Fill the first host before the next, or take the one with the fewest assigned devices. */
  readonly hosts: 'pack' | 'spread'
}

/** Places requests in their order; each sees what those before it took. Pure: nothing is changed but the answer. */
export function planFleet(
  hosts: readonly PolicyHost[],
  policy: AssignmentPolicy,
  requests: readonly FleetRequest[],
  { hosts: order }: FleetOptions = { hosts: 'pack' },
): FleetPlan {
  const states = hosts.map(host => ({ ...host, users: new Map(host.users), tenants: new Map(host.tenants) }))
  const placed: PlannedMachine[] = []
  const refused: RefusedMachine[] = []
  for (const request of requests) {
    const candidates = states.filter(({ name }) => request.host === undefined || request.host === name)
    if (order === 'spread') candidates.sort((a, b) => a.users.size - b.users.size)
    const refusals: (readonly [host: string, Refused])[] = []
    for (const host of candidates) {
      const placement = policy.place(host, request)
      if (!placement.granted) {
        refusals.push([host.name, placement])
        continue
      }
      placed.push(planned(host, request.vm, placement.grants))
      for (const { devices } of placement.grants)
        for (const device of devices) host.users.set(device, request.vm)
      if (request.tenant !== undefined) host.tenants.set(request.vm, request.tenant)
      break
    }
    // Nobody asks why a machine is not on a host as long as another one took it.
    if (refusals.length === candidates.length)
      refused.push({ vm: request.vm, hosts: refusals.map(([host, why]) => explain(host, why)) })
  }
  return { placed, refused }
}

function explain(host: string, placement: Refused): HostRefusal {
  const miss = nearestMiss(placement.considered)
  return {
    host,
    refusal: placement.refusal,
    ...(placement.need === undefined ? {} : { need: placement.need.resource }),
    ...(miss === undefined ? {} : { nearestMiss: miss }),
  }
}

function planned(host: PolicyHost, vm: string, grants: readonly Grant[]): PlannedMachine {
  const devices = grants.flatMap(grant => grant.devices)
  return {
    vm,
    host: host.name,
    // Not what was considered: that would keep a verdict on every device for every machine of the fleet.
    grants: grants.map(({ need, devices: granted }) => ({ need, devices: granted })),
    steps: devices.map(attach => ({ attach })),
    disrupted: devices.flatMap(address => disruptions(host, address)),
    kernelRefuses: devices.flatMap(address => kernelRefusalOf(host, vm, address) ?? []),
  }
}

function disruptions(host: PolicyHost, address: string): Disruption[] {
  const device = deviceAt(host, address)
  if (device === undefined) return []
  // Drivers that hold a device for user space do nothing with it: nothing of the host goes when they do.
  const own = usesKernelDma(device.driver ?? null)
  const name = device.network?.name
  return [
    ...(own
      ? [
          {
            device: address,
            text: `host driver ${device.driver} loses ${address}${name === undefined ? '' : ` and its interface ${name}`}`,
          },
        ]
      : []),
    ...groupOf(host, device)
      .filter(mate => mate !== device && mate.role !== 'bridge')
      .map(mate => ({
        device: mate.address,
        text: `${mate.address} is in its IOMMU group and can go to no other machine`,
      })),
  ]
}
