/**
 * Kubernetes' structured allocator: chooses devices for the requests of claims, with back-tracking. Source:
 * kubernetes/kubernetes staging/src/k8s.io/dynamic-resource-allocation/structured.
 */

import type { Expression, Facts } from '../expression.ts'
import type { Refusal } from '../model/index.ts'
import { parseQuantity } from '../quantity.ts'
import type { PublishedDevice, ResourcePool } from './devices.ts'

export interface DeviceClass {
  readonly name: string
  /** All must hold. */
  readonly selectors: readonly Expression[]
}

export interface DeviceRequest {
  readonly name: string
  readonly deviceClassName: string
  readonly selectors: readonly Expression[]
  /** All devices that match, or this many. */
  readonly count: number | 'all'
  /** Looks at devices without allocating them. */
  readonly adminAccess: boolean
}

/** All devices of these requests (of every request if there are none) share, or differ in, the value of an attribute. */
export interface Constraint {
  readonly requests: readonly string[]
  readonly kind: 'match' | 'distinct'
  /** Qualified name. */
  readonly attribute: string
}

export interface Claim {
  readonly requests: readonly DeviceRequest[]
  readonly constraints: readonly Constraint[]
}

export interface Allocated {
  readonly request: string
  readonly device: PublishedDevice
}

export type Allocation = { readonly allocated: readonly Allocated[] } | { readonly refusal: Refusal }

interface Situation {
  readonly pools: readonly ResourcePool[]
  readonly classes: ReadonlyMap<string, DeviceClass>
  /** Devices that earlier claims hold, by {@link deviceKey}. */
  readonly inUse: ReadonlySet<string>
}

export const deviceKey = ({ driver, pool, name }: PublishedDevice): string => `${driver}/${pool}/${name}`

const refuse = (errorClass: string, text: string): { readonly refusal: Refusal } => ({
  refusal: { errorClass, text },
})

/** One slot that a device has to fill. */
interface Slot {
  readonly request: DeviceRequest
  readonly candidates: readonly PublishedDevice[]
}

export function allocate(claim: Claim, { pools, classes, inUse }: Situation): Allocation {
  const current = latestGenerations(pools)
  const slots: Slot[] = []
  for (const request of claim.requests) {
    const { name, deviceClassName, count } = request
    if (deviceClassName === '') return refuse('missing-class-name', `request ${name}: no deviceClassName`)
    const deviceClass = classes.get(deviceClassName)
    if (deviceClass === undefined)
      return refuse('device-class-not-found', `request ${name}: there is no DeviceClass ${deviceClassName}`)
    const pooled = usable(current, request)
    if ('refusal' in pooled) return pooled
    const selectors = [...deviceClass.selectors, ...request.selectors]
    const matching = matchingDevices(pooled.devices, selectors, request)
    if ('refusal' in matching) return matching
    if (count === 'all') {
      if (matching.devices.length === 0)
        return refuse('not-allocatable', `request ${name}: no device matches`)
      slots.push(...matching.devices.map(device => ({ request, candidates: [device] })))
    } else {
      slots.push(...Array.from({ length: count }, () => ({ request, candidates: matching.devices })))
    }
  }
  const chosen = fill(slots, claim.constraints, inUse)
  if (chosen === undefined)
    return refuse('not-allocatable', 'no choice of free devices satisfies all requests')
  return { allocated: slots.map(({ request }, index) => ({ request: request.name, device: chosen[index]! })) }
}

function latestGenerations(pools: readonly ResourcePool[]): ResourcePool[] {
  const latest = new Map<string, ResourcePool>()
  for (const pool of pools) {
    const key = `${pool.driver}/${pool.name}`
    const known = latest.get(key)
    if (known === undefined || pool.generation > known.generation) latest.set(key, pool)
  }
  return [...latest.values()]
}

type Devices = { readonly devices: readonly PublishedDevice[] } | { readonly refusal: Refusal }

/** A pool that is being updated serves no request; one that asks for all devices fails because of it. */
function usable(pools: readonly ResourcePool[], { name, count }: DeviceRequest): Devices {
  const devices: PublishedDevice[] = []
  for (const pool of pools) {
    const incomplete = pool.slicesSeen !== pool.sliceCount
    const invalid = new Set(pool.devices.map(device => device.name)).size !== pool.devices.length
    if (count === 'all' && incomplete)
      return refuse(
        'pool-being-updated',
        `request ${name} asks for all devices, but pool ${pool.name} is being updated`,
      )
    if (invalid && !incomplete)
      return refuse('invalid-resource-pool', `request ${name}: pool ${pool.name} has two devices of one name`)
    if (!incomplete) devices.push(...pool.devices)
  }
  return { devices }
}

function matchingDevices(
  devices: readonly PublishedDevice[],
  selectors: readonly Expression[],
  { name }: DeviceRequest,
): Devices {
  const matching: PublishedDevice[] = []
  for (const device of devices) {
    const facts = factsOf(device)
    for (const selector of selectors) {
      try {
        if (!selector.holds(facts)) break
      } catch (error) {
        // An attribute that a device lacks is an error of the selector, not a mismatch.
        const text = `request ${name}: "${selector.text}" fails for ${device.name}: ${(error as Error).message.split('\n')[0]}`
        return refuse('selector-error', text)
      }
      if (selector === selectors.at(-1)) matching.push(device)
    }
    if (selectors.length === 0) matching.push(device)
  }
  return { devices: matching }
}

/** `device.attributes["domain"].name`: domains that a device lacks are empty, not missing. */
function factsOf({ driver, attributes, capacity = {} }: PublishedDevice): Facts {
  return {
    device: {
      driver,
      attributes: byDomain(driver, attributes, value => (typeof value === 'number' ? BigInt(value) : value)),
      capacity: byDomain(driver, capacity, parseQuantity),
    },
  }
}

function byDomain<Value>(
  driver: string,
  facts: Readonly<Record<string, Value>>,
  shown: (value: Value) => unknown,
): Facts {
  const domains: Record<string, Record<string, unknown>> = { [driver]: {} }
  for (const [qualified, value] of Object.entries(facts)) {
    const at = qualified.lastIndexOf('/')
    const domain = at < 0 ? driver : qualified.slice(0, at)
    const members = (domains[domain] ??= {})
    members[qualified.slice(at + 1)] = shown(value)
  }
  return domains
}

function fill(
  slots: readonly Slot[],
  constraints: readonly Constraint[],
  inUse: ReadonlySet<string>,
): PublishedDevice[] | undefined {
  const chosen: PublishedDevice[] = []
  const rest = (index: number): boolean => {
    const slot = slots[index]
    if (slot === undefined) return true
    const { request, candidates } = slot
    for (const device of candidates) {
      const key = deviceKey(device)
      // Administrators may look at what other claims hold, but one claim gets a device once at most.
      if (chosen.includes(device) || (!request.adminAccess && inUse.has(key))) continue
      chosen[index] = device
      if (constraints.every(constraint => holds(constraint, slots, chosen, index)) && rest(index + 1))
        return true
      chosen.length = index
    }
    return false
  }
  return rest(0) ? chosen : undefined
}

/** Whether a constraint holds among the devices chosen so far, of which slot `last` is the newest. */
function holds(
  { requests, kind, attribute }: Constraint,
  slots: readonly Slot[],
  chosen: readonly PublishedDevice[],
  last: number,
): boolean {
  const concerned = (index: number): boolean =>
    requests.length === 0 || requests.includes(slots[index]!.request.name)
  if (!concerned(last)) return true
  const value = attributeOf(chosen[last]!, attribute)
  if (value === undefined) return false
  for (let index = 0; index < last; index++) {
    if (concerned(index) && (attributeOf(chosen[index]!, attribute) === value) !== (kind === 'match'))
      return false
  }
  return true
}

/** A device may leave out the domain of an attribute that is its driver's own. */
function attributeOf({ attributes, driver }: PublishedDevice, name: string): unknown {
  return (
    attributes[name] ??
    (name.startsWith(`${driver}/`) ? attributes[name.slice(driver.length + 1)] : undefined)
  )
}
