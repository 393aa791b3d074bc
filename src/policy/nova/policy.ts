/** OpenStack Nova as an assignment policy: a need is the name of an alias. */
import {
  type AssignmentPolicy,
  type Candidate,
  type Device,
  type Placement,
  type PolicyHost,
  perDevices,
  type Refused,
  refusedInShort,
} from '../model/index.ts'
import { type PciRequest, requestsOfFlavor } from './aliases.ts'
import { type NovaConfiguration, specsOn } from './configuration.ts'
import { type DeviceSpec, inReach } from './device-spec.ts'
import { type DeviceStatus, DeviceTracker } from './device-states.ts'
import { placementView } from './placement-view.ts'
import { type Dropped, PciPools, specOf } from './pools.ts'

export function novaPolicy(configuration: NovaConfiguration): AssignmentPolicy {
  const factsOn = perDevices((host): HostFacts => {
    const specs = specsOn(host, configuration)
    if (configuration.reportInPlacement) placementView(host, specs)
    const selected = new Map(host.devices.map(device => [device.address, specOf(specs, device, host)]))
    const tracked = host.devices
      .filter(
        ({ address, role }) => role !== 'bridge' && inReach(address) && selected.get(address) !== undefined,
      )
      .map(({ address, role, parent }) => ({ address, role, ...(parent === undefined ? {} : { parent }) }))
    return { specs: selected, tracked }
  })
  return {
    system: 'nova',
    place(host, { needs, numaNodes, numaPolicy }): Placement {
      const facts = factsOn(host)
      const flavor = {
        'pci_passthrough:alias': needs.map(({ resource, count }) => `${resource}:${count}`).join(','),
        ...(numaPolicy === undefined ? {} : { 'hw:pci_numa_affinity_policy': numaPolicy }),
      }
      const requests = needs.length === 0 ? [] : requestsOfFlavor(flavor, configuration.aliases)
      if ('refusal' in requests) return { granted: false, refusal: requests.refusal, considered: [] }
      const wanted = requests.reduce((sum, { count }) => sum + count, 0)
      const unused = facts.tracked.reduce((sum, { address }) => sum + (host.users.has(address) ? 0 : 1), 0)
      // A device in use is never given again, whatever the pools are.
      if (wanted > unused) return refusedInShort(() => askPools(host, facts, requests, numaNodes).refused!)
      const { taken, refused, considered } = askPools(host, facts, requests, numaNodes)
      if (refused !== undefined) return refused
      const grants = needs.map((need, index) => ({
        need,
        considered,
        devices: taken[index]!.map(({ address }) => address),
      }))
      return { granted: true, grants }
    },
  }
}

type Answer = { readonly considered: readonly Candidate[] } & (
  | { readonly taken: readonly (readonly Device[])[]; readonly refused?: undefined }
  | { readonly taken?: undefined; readonly refused: Refused }
)

/** What the pools of a host give as it stands. */
function askPools(
  host: PolicyHost,
  facts: HostFacts,
  requests: readonly PciRequest[],
  numaNodes: readonly number[] | undefined,
): Answer {
  const statuses = statusesOn(host, facts)
  const free = host.devices.filter(({ address }) => statuses.get(address) === 'available')
  const pools = new PciPools(host, free, ({ address }) => facts.specs.get(address)?.tags)
  const dropped: Dropped[] = []
  const taken = pools.consume(requests, numaNodes, dropped)
  const rules = new Map<string, number>()
  for (const [at, { devices }] of [...dropped.entries()].reverse())
    for (const { address } of devices) rules.set(address, at)
  const considered = host.devices.map(device => explain(device, statuses, dropped, rules))
  return taken === undefined
    ? { considered, refused: { granted: false, considered, refusal: noValidHost(requests) } }
    : { considered, taken }
}

/** What follows from the configuration and the devices, whoever uses them. */
interface HostFacts {
  /** The specification that selects each device. */
  readonly specs: ReadonlyMap<string, DeviceSpec | undefined>
  /** Those that nova keeps account of. */
  readonly tracked: readonly Pick<Device, 'address' | 'role' | 'parent'>[]
}

/** The user never learns more than this; candidates tell why. */
const noValidHost = (requests: readonly PciRequest[]) => ({
  errorClass: 'NoValidHost',
  text: `no devices for ${requests.map(({ alias, count }) => `${alias}:${count}`).join(', ')}`,
})

/** Of every device that is tracked: who is used, and what that does to PFs and VFs. */
function statusesOn({ users }: PolicyHost, { tracked }: HostFacts): ReadonlyMap<string, DeviceStatus> {
  const tracker = new DeviceTracker(tracked.map(device => ({ ...device, status: 'available', owner: null })))
  for (const [address, user] of users) {
    const device = tracker.devices.get(address)
    if (device !== undefined) tracker.allocate(device, user)
  }
  return new Map([...tracker.devices].map(([address, { status }]) => [address, status]))
}

function explain(
  { address }: Device,
  statuses: ReadonlyMap<string, DeviceStatus>,
  dropped: readonly Dropped[],
  /** The first of them that dropped a device. */
  rules: ReadonlyMap<string, number>,
): Candidate {
  const refuse = (passed: number, errorClass: string, text: string): Candidate => ({
    device: address,
    passed,
    refusal: { errorClass, text, device: address },
  })
  const status = statuses.get(address)
  if (status === undefined) return refuse(0, 'no-device-spec', `no device_spec selects ${address}`)
  if (status !== 'available') return refuse(1, 'not-available', `${address} is ${status}`)
  const at = rules.get(address)
  return at === undefined
    ? { device: address, passed: 2 + dropped.length }
    : refuse(2 + at, 'filtered', `${address}: ${dropped[at]!.rule}`)
}
