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

export function deviceAt(host: PolicyHost, address: string): Device | undefined {
  return host.devices.find(device => device.address === address)
}

/** The members of a device's IOMMU group, the device included; the device alone if it has no group. */
export function groupOf(host: PolicyHost, device: Device): readonly Device[] {
  const { iommuGroup: group } = device
  return group === undefined || group === null
    ? [device]
    : host.devices.filter(({ iommuGroup }) => iommuGroup === group)
}
