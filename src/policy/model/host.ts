/** A host as a policy sees it. */
import type { Device } from './device.ts'

export interface NumaNode {
  readonly id: number
  /** Processor socket; null if the host does not tell. */
  readonly socket: number | null
}

export interface PolicyHost {
  readonly name: string
  readonly devices: readonly Device[]
  readonly numaNodes: readonly NumaNode[]
  /** Whether a device can raise only the vectors it was given (interrupt remapping). */
  readonly isolatedInterrupts: boolean
  /** Who uses a device, by address: the name of a virtual machine. */
  readonly users: ReadonlyMap<string, string>
  /** Whose a virtual machine is, by its name. One that is not listed is a tenant of its own. */
  readonly tenants?: ReadonlyMap<string, string>
}

export const tenantOf = ({ tenants }: PolicyHost, vm: string): string => tenants?.get(vm) ?? vm

/** Devices by address and by group: looked up often, and the same for as long as the list of devices is. */
interface Index {
  readonly byAddress: ReadonlyMap<string, Device>
  readonly byGroup: ReadonlyMap<number, readonly Device[]>
  readonly byParent: ReadonlyMap<string, readonly Device[]>
}

function buildIndex({ devices }: PolicyHost): Index {
  const byGroup = new Map<number, Device[]>()
  for (const device of devices) {
    const { iommuGroup: group } = device
    if (group === undefined || group === null) continue
    const members = byGroup.get(group)
    if (members === undefined) byGroup.set(group, [device])
    else members.push(device)
  }
  // Of two devices at one address the first counts.
  const byAddress = new Map(devices.toReversed().map(device => [device.address, device]))
  const byParent = new Map<string, Device[]>()
  for (const device of devices) {
    if (device.parent === undefined) continue
    const children = byParent.get(device.parent)
    if (children === undefined) byParent.set(device.parent, [device])
    else children.push(device)
  }
  return { byAddress, byGroup, byParent }
}

/** VFs and vDPA devices of a PF. */
export const childrenOf = (host: PolicyHost, address: string): readonly Device[] =>
  indexOf(host).byParent.get(address) ?? []

export const deviceAt = (host: PolicyHost, address: string): Device | undefined =>
  indexOf(host).byAddress.get(address)

/** The members of a device's IOMMU group, the device included; the device alone if it has no group. */
export function groupOf(host: PolicyHost, device: Device): readonly Device[] {
  const { iommuGroup: group } = device
  return group === undefined || group === null ? [device] : (indexOf(host).byGroup.get(group) ?? [])
}

/** What follows from a host's devices alone, worked out once for each list of devices. */
export function perDevices<Result>(compute: (host: PolicyHost) => Result): (host: PolicyHost) => Result {
  const known = new WeakMap<readonly Device[], { readonly result: Result }>()
  return host => {
    let found = known.get(host.devices)
    if (found === undefined) known.set(host.devices, (found = { result: compute(host) }))
    return found.result
  }
}

const indexOf = perDevices(buildIndex)
