/**
 * Adding host devices to a machine's definition. Source: oVirt/ovirt-engine
 * backend/manager/modules/bll/.../hostdev/AddVmHostDevicesCommand.java.
 */
import { type Device, deviceAt, groupOf, type PolicyHost, type Refusal } from '../model/index.ts'

export interface PinnedMachine {
  readonly status: string
  /** To how many hosts it is pinned: host devices need exactly one. */
  readonly pinnedHosts: number
}

export interface AddedDevice {
  readonly address: string
  /** Came along because it shares the group: handed over, but not shown to the guest. */
  readonly placeholder: boolean
}

/** The device and, as placeholders, the rest of its IOMMU group. */
export function addHostDevice(
  address: string,
  { status, pinnedHosts }: PinnedMachine,
  host: PolicyHost,
): { readonly added: readonly AddedDevice[] } | { readonly refusal: Refusal } {
  const refuse = (errorClass: string, text: string) => ({ refusal: { errorClass, text, device: address } })
  if (status !== 'Down')
    return refuse('vm-is-not-down', `the machine is ${status}: host devices are added while it is down`)
  if (pinnedHosts !== 1)
    return refuse('vm-not-pinned', `the machine is pinned to ${pinnedHosts} hosts, not to one`)
  const device = deviceAt(host, address)
  if (device === undefined) return refuse('no-such-device', `there is no device ${address}`)
  const mates = groupOf(host, device).filter((mate: Device) => mate !== device && mate.role !== 'bridge')
  return {
    added: [
      { address, placeholder: false },
      ...mates.map(mate => ({ address: mate.address, placeholder: true })),
    ],
  }
}
