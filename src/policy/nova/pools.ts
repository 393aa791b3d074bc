/**
 * Pools of like devices and how requests are met from them. Source: openstack/nova nova/pci/stats.py.
 */
import { childrenOf, type Device, isVirtual, type NumaNode, type PolicyHost } from '../model/index.ts'
import type { PciRequest, PlacementNeed, RequestSpec } from './aliases.ts'
import { looseBoolean } from './booleans.ts'
import { type DeviceSpec, type Tags, whyNotMatched } from './device-spec.ts'
import { resourceClassOf, traitsOf } from './placement-names.ts'

/** nova's names of device types. */
export const DEVICE_TYPES = {
  endpoint: 'type-PCI',
  bridge: 'type-PCI',
  PF: 'type-PF',
  VF: 'type-VF',
  vdpa: 'vdpa',
} as const

type Property = string | number | null

export interface Pool {
  /** What requests are compared with: ids, type, NUMA node, tags. */
  readonly properties: Readonly<Record<string, Property>>
  readonly devices: Device[]
  /** What placement knows its provider by; undefined if it knows none (devices of a physical network). */
  readonly provider: PlacementNeed | undefined
}

/** Tags that are for placement, not for telling devices apart. */
const IGNORED_TAGS = ['resource_class', 'traits']

/** The first specification that selects a device. */
export const specOf = (
  specs: readonly DeviceSpec[],
  device: Device,
  host: PolicyHost,
): DeviceSpec | undefined => specs.find(spec => whyNotMatched(spec, device, host) === undefined)

/** A step of the filter that took devices away, for explanations. */
export interface Dropped {
  readonly rule: string
  readonly devices: readonly Device[]
}

export class PciPools {
  readonly #host: PolicyHost
  readonly #tagsOf: (device: Device) => Tags | undefined
  #pools: Pool[] = []

  /** `tagsOf`: of the specification that selects a device; undefined for devices that none does. */
  constructor(host: PolicyHost, free: readonly Device[], tagsOf: (device: Device) => Tags | undefined) {
    this.#host = host
    this.#tagsOf = tagsOf
    for (const device of free) this.#add(device)
  }

  free(): Device[] {
    return this.#pools.flatMap(({ devices }) => devices)
  }

  #add(device: Device): void {
    const tags = this.#tagsOf(device)
    if (tags === undefined) return
    const properties = propertiesOf(device, tags)
    const known = this.#pools.find(pool => sameProperties(pool.properties, properties))
    if (known !== undefined) {
      known.devices.push(device)
      return
    }
    this.#pools.push({ properties, devices: [device], provider: providerOf(device, tags) })
    // Pools with fewer properties come first, so that devices with tags are spared.
    this.#pools.sort((a, b) => Object.keys(a.properties).length - Object.keys(b.properties).length)
  }

  #remove(address: string): void {
    for (const { devices } of this.#pools) {
      const at = devices.findIndex(device => device.address === address)
      if (at >= 0) devices.splice(at, 1)
    }
  }

  /** Takes devices for all requests; undefined, with the pools as they were, if one cannot be met. */
  consume(
    requests: readonly PciRequest[],
    guestNodes: readonly number[] | undefined,
    dropped: Dropped[] = [],
  ): readonly (readonly Device[])[] | undefined {
    const before = this.#pools.map(pool => ({ ...pool, devices: [...pool.devices] }))
    const taken: Device[][] = []
    for (const request of requests) {
      const devices = this.#take(request, guestNodes, dropped)
      if (devices === undefined) {
        this.#pools = before
        return undefined
      }
      taken.push(devices)
    }
    return taken
  }

  #take(
    request: PciRequest,
    guestNodes: readonly number[] | undefined,
    dropped: Dropped[],
  ): Device[] | undefined {
    const pools = this.filter(request, guestNodes, dropped)
    if (pools === undefined) return undefined
    const taken: Device[] = []
    for (const { devices } of pools) {
      while (taken.length < request.count && devices.length > 0) {
        const device = devices.pop()!
        this.#dropDependants(device)
        taken.push(device)
      }
    }
    return taken.length === request.count ? taken : undefined
  }

  /** A PF that is taken takes its VFs away, a VF its PF. */
  #dropDependants({ role, address, parent }: Device): void {
    if (role === 'PF') for (const child of childrenOf(this.#host, address)) this.#remove(child.address)
    if ((role === 'VF' || role === 'vdpa') && parent !== undefined) this.#remove(parent)
  }

  /** The pools that can serve a request, best first; undefined if they hold too few devices. */
  filter(
    request: PciRequest,
    guestNodes: readonly number[] | undefined,
    dropped: Dropped[] = [],
  ): Pool[] | undefined {
    let pools = this.#pools
    for (const [rule, narrow] of RULES) {
      const left = narrow(pools, request, guestNodes, this.#host.numaNodes)
      const lost = pools.filter(pool => !left.includes(pool)).flatMap(({ devices }) => devices)
      if (lost.length > 0) dropped.push({ rule, devices: lost })
      pools = left
      if (countOf(pools) < request.count) return undefined
    }
    return pools
  }
}

const countOf = (pools: readonly Pool[]): number =>
  pools.reduce((sum, { devices }) => sum + devices.length, 0)

const providerOf = (device: Device, tags: Tags): PlacementNeed | undefined =>
  tags['physical_network'] === undefined
    ? {
        resourceClass: resourceClassOf(tags['resource_class'], device),
        traits: traitsOf(tags, !isVirtual(device)),
      }
    : undefined

function propertiesOf(device: Device, tags: Tags): Record<string, Property> {
  const { address, parent, role, vendorId, productId, numaNode } = device
  const properties: Record<string, Property> = {
    vendor_id: vendorId ?? '',
    product_id: productId ?? '',
    numa_node: numaNode ?? null,
    dev_type: DEVICE_TYPES[role],
    ...Object.fromEntries(Object.entries(tags).filter(([tag]) => !IGNORED_TAGS.includes(tag))),
    // One pool per PF: that is what placement knows.
    address: parent ?? address,
  }
  if (role === 'PF' || role === 'VF' || role === 'vdpa') properties['remote_managed'] ??= 'false'
  return properties
}

function sameProperties(one: Pool['properties'], other: Pool['properties']): boolean {
  const keys = Object.keys(one)
  return (
    keys.length === Object.keys(other).length &&
    keys.every(key => Object.hasOwn(other, key) && one[key] === other[key])
  )
}

type Narrow = (
  pools: Pool[],
  request: PciRequest,
  guestNodes: readonly number[] | undefined,
  hostNodes: readonly NumaNode[],
) => Pool[]

const lower = (value: Property | undefined): Property | undefined =>
  typeof value === 'string' ? value.toLowerCase() : value

const hasAll = ({ properties }: Pool, spec: RequestSpec): boolean =>
  Object.entries(spec).every(
    ([key, value]) => IGNORED_TAGS.includes(key) || lower(properties[key]) === lower(value),
  )

/** Filters in nova's order. */
const RULES: readonly (readonly [rule: string, narrow: Narrow])[] = [
  [
    'PCI attributes differ',
    (pools, { specs }) => pools.filter(pool => specs.some(spec => hasAll(pool, spec))),
  ],
  ['wrong NUMA node', filterNuma],
  ['PFs are only for requests of type-PF', (pools, { specs }) => unlessAsked(pools, specs, 'type-PF')],
  ['vDPA devices are only for requests of vdpa', (pools, { specs }) => unlessAsked(pools, specs, 'vdpa')],
  ['remote-managed devices are only for requests of them', filterRemoteManaged],
  ['placement allocates from other resource providers', filterPlacement],
  ['live_migratable differs', filterLiveMigratable],
]

const unlessAsked = (pools: Pool[], specs: readonly RequestSpec[], type: string): Pool[] =>
  specs.some(spec => spec['dev_type'] === type)
    ? pools
    : pools.filter(({ properties }) => properties['dev_type'] !== type)

function filterRemoteManaged(pools: Pool[], { specs }: PciRequest): Pool[] {
  if (specs.some(spec => looseBoolean(spec['remote_managed'] ?? ''))) return pools
  return pools.filter(({ properties }) => !looseBoolean(properties['remote_managed'] ?? ''))
}

function filterPlacement(pools: Pool[], { allocation }: PciRequest): Pool[] {
  if (allocation === undefined) return pools
  const { resourceClass, traits } = allocation
  return pools.filter(
    ({ provider }) =>
      provider?.resourceClass === resourceClass && traits.every(trait => provider.traits.includes(trait)),
  )
}

/** A device without the tag satisfies neither wish. */
function filterLiveMigratable(pools: Pool[], { specs }: PciRequest): Pool[] {
  for (const wish of ['true', 'false']) {
    if (specs.every(spec => spec['live_migratable'] === wish))
      return pools.filter(({ properties }) => properties['live_migratable'] === wish)
  }
  return pools
}

/** From the strictest affinity to the one that the policy allows, as soon as there are enough devices. */
function filterNuma(
  pools: Pool[],
  { numaPolicy, count }: PciRequest,
  guestNodes: readonly number[] | undefined,
  hostNodes: readonly NumaNode[],
): Pool[] {
  if (guestNodes === undefined || guestNodes.length === 0) return pools
  const on = (nodes: readonly (number | null)[]): Pool[] =>
    pools.filter(({ properties }) => nodes.includes(properties['numa_node'] as number | null))
  const local = on(guestNodes)
  if (numaPolicy === 'required' || countOf(local) >= count) return local
  if (numaPolicy === 'socket') return on(nodesOfSockets(guestNodes, hostNodes))
  const orUnknown = on([...guestNodes, null])
  if (numaPolicy === 'legacy' || countOf(orUnknown) >= count) return orUnknown
  return [...orUnknown, ...pools.filter(pool => !orUnknown.includes(pool))]
}

/** NUMA nodes on the sockets of the guest's nodes; none if the host does not know all of its sockets. */
export function nodesOfSockets(guestNodes: readonly number[], hostNodes: readonly NumaNode[]): number[] {
  if (hostNodes.some(({ socket }) => socket === null)) return []
  const sockets = hostNodes.filter(({ id }) => guestNodes.includes(id)).map(({ socket }) => socket)
  return hostNodes.filter(({ socket }) => sockets.includes(socket)).map(({ id }) => id)
}
