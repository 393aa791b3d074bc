/** Why a device is, or is not, a candidate for a resource: the rules of the own policy document, in order. */

import type { Facts } from '../expression.ts'
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
}

interface Rule {
  readonly name: string
  /** Undefined if it has nothing against the device. */
  refuse(device: Device, resource: PolicyResource, situation: Situation): string | undefined
}

const RULES: readonly Rule[] = [
  {
    name: 'select',
    refuse: (device, { select }, situation) => {
      try {
        return select.holds(factsOf(device, situation)) ? undefined : `does not fit "${select.text}"`
      } catch (error) {
        return `"${select.text}" cannot be told: ${(error as Error).message.split('\n')[0]}`
      }
    },
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
function strangerIn(
  scope: SharedScope,
  device: Device,
  { host, users, tenant }: Situation,
): string | undefined {
  const [words, keyOf] = SCOPES[scope]
  const key = keyOf(device)
  if (key === undefined || key === null) return undefined
  for (const other of host.devices) {
    const user = users.get(other.address)
    if (user === undefined || keyOf(other) !== key || tenantOf(host, user) === tenant) continue
    return `shares the ${words} ${key} with ${other.address} of tenant ${tenantOf(host, user)}`
  }
  return undefined
}

/** What expressions see. Unknown texts are empty, unknown numbers -1. */
export function factsOf(device: Device, { request, tenant }: Pick<Situation, 'request' | 'tenant'>): Facts {
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
