/** Why a device is, or is not, a candidate for a resource: the rules of the own policy document, in order. */

import type { Expression, Facts } from '../expression.ts'
import {
  type Device,
  groupOf,
  type PlacementRequest,
  type PolicyHost,
  type Refusal,
  tenantOf,
} from '../model/index.ts'
import type { PolicyResource, SharedScope } from './document.ts'

export interface Situation {
  readonly host: PolicyHost
  readonly request: PlacementRequest
  /** Who has a device, those of this request included. */
  readonly users: ReadonlyMap<string, string>
  readonly tenant: string
  /** Filled as rules ask: devices of other tenants, by what devices may have in common. Others' do not change here. */
  readonly strangers: Map<SharedScope, ReadonlyMap<unknown, Device>>
}

interface Rule {
  readonly name: string
  /** Undefined if it has nothing against the device. */
  refuse(device: Device, resource: PolicyResource, situation: Situation): string | undefined
}

const RULES: readonly Rule[] = [
  {
    name: 'select',
    refuse: (device, { select }, situation) =>
      select.mentions('vm') ? misfit(device, select, situation) : knownMisfit(device, select, situation),
  },
  {
    name: 'free',
    refuse: ({ address }, _, { users }) => {
      const user = users.get(address)
      return user === undefined ? undefined : `is used by ${user}`
    },
  },
  { name: 'kernel', refuse: ({ kernelRefusal }) => kernelRefusal },
  {
    name: 'group',
    refuse: (device, _, { host, users, request }) => {
      const mate = groupOf(host, device).find(
        ({ address }) => users.has(address) && users.get(address) !== request.vm,
      )
      return mate === undefined
        ? undefined
        : `shares IOMMU group ${device.iommuGroup} with ${mate.address} of ${users.get(mate.address)}`
    },
  },
  {
    name: 'numa',
    refuse: ({ numaNode }, { numa }, { request: { numaNodes } }) =>
      numa !== 'required' || numaNodes === undefined || (numaNode != null && numaNodes.includes(numaNode))
        ? undefined
        : `is on NUMA node ${numaNode ?? 'unknown'}, not on ${numaNodes.join(' or ')}`,
  },
  {
    name: 'neverShare',
    refuse: (device, { neverShare }, situation) => {
      for (const scope of neverShare) {
        const stranger = strangerIn(scope, device, situation)
        if (stranger !== undefined) return stranger
      }
      return undefined
    },
  },
]

const misfits = new WeakMap<Expression, WeakMap<Device, string | undefined>>()

type Asker = Pick<Situation, 'request' | 'tenant'>

/** Of an expression that is the same for every machine: told once for each device. */
function knownMisfit(device: Device, select: Expression, asker: Asker): string | undefined {
  let known = misfits.get(select)
  if (known === undefined) misfits.set(select, (known = new WeakMap()))
  if (!known.has(device)) known.set(device, misfit(device, select, asker))
  return known.get(device)
}

const NOBODY: Asker = { request: { vm: '', needs: [] }, tenant: '' }

/** By an expression that does not mention the machine. */
export const isSelected = (device: Device, select: Expression): boolean =>
  knownMisfit(device, select, NOBODY) === undefined

function misfit(device: Device, select: Expression, situation: Asker): string | undefined {
  try {
    return select.holds(factsOf(device, situation)) ? undefined : `does not fit "${select.text}"`
  } catch (error) {
    return `"${select.text}" cannot be told: ${(error as Error).message.split('\n')[0]}`
  }
}

/** How many rules there are: a candidate that is fit passed all of them. */
export const RULE_COUNT = RULES.length

/** The first rule that a device fails. */
export function judge(
  device: Device,
  resource: PolicyResource,
  situation: Situation,
): { readonly passed: number; readonly refusal?: Refusal } {
  for (const [passed, { name, refuse }] of RULES.entries()) {
    const text = refuse(device, resource, situation)
    if (text !== undefined)
      return {
        passed,
        refusal: { errorClass: name, text: `${device.address} ${text}`, device: device.address },
      }
  }
  return { passed: RULES.length }
}

const SCOPES: Readonly<Record<SharedScope, readonly [words: string, key: (device: Device) => unknown]>> = {
  physicalFunction: ['physical function', ({ role, parent, address }) => (role === 'VF' ? parent : address)],
  iommuGroup: ['IOMMU group', ({ iommuGroup }) => iommuGroup],
  unisolatedSwitch: ['port that lets peers talk', ({ unisolatedBelow }) => unisolatedBelow],
  pcieRoot: ['host bridge', ({ pcieRoot }) => pcieRoot],
}

/** A device of another tenant with which this one would have something in common. */
function strangerIn(scope: SharedScope, device: Device, situation: Situation): string | undefined {
  const [words, keyOf] = SCOPES[scope]
  const key = keyOf(device)
  if (key === undefined || key === null) return undefined
  const { host, users, strangers } = situation
  let found = strangers.get(scope)
  if (found === undefined) strangers.set(scope, (found = strangersBy(keyOf, situation)))
  const other = found.get(key)
  if (other === undefined) return undefined
  return `shares the ${words} ${key} with ${other.address} of tenant ${tenantOf(host, users.get(other.address)!)}`
}

/** The first device of another tenant for everything that devices may have in common. */
function strangersBy(
  keyOf: (device: Device) => unknown,
  { host, users, tenant }: Situation,
): ReadonlyMap<unknown, Device> {
  const strangers = new Map<unknown, Device>()
  for (const device of host.devices) {
    const user = users.get(device.address)
    const key = keyOf(device)
    if (user !== undefined && !strangers.has(key) && tenantOf(host, user) !== tenant)
      strangers.set(key, device)
  }
  return strangers
}

/** What expressions see. Unknown texts are empty, unknown numbers -1. */
export function factsOf(device: Device, { request, tenant }: Asker): Facts {
  const { network, sriov } = device
  return {
    device: {
      address: device.address,
      role: device.role,
      vendorId: device.vendorId ?? '',
      productId: device.productId ?? '',
      classCode: device.classCode ?? '',
      driver: device.driver ?? '',
      numaNode: BigInt(device.numaNode ?? -1),
      iommuGroup: BigInt(device.iommuGroup ?? -1),
      physicalFunction: device.parent ?? '',
      vfIndex: BigInt(device.vfIndex ?? -1),
      totalVfs: BigInt(sriov?.totalVfs ?? 0),
      numVfs: BigInt(sriov?.numVfs ?? 0),
      pcieRoot: device.pcieRoot ?? '',
      isolated: device.unisolatedBelow === undefined,
      resetMethods: [...(device.resetMethods ?? [])],
      interface: network?.name ?? '',
      physicalFunctionInterface: network?.physicalFunctionName ?? '',
    },
    vm: { name: request.vm, tenant, numaNodes: (request.numaNodes ?? []).map(BigInt) },
  }
}
