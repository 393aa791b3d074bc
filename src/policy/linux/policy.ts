/** The kernel alone as an assignment policy: a need is an address, and VFIO decides. */
import type { AssignmentPolicy, Candidate, Grant, Placement, PolicyHost, Refusal } from '../model/index.ts'
import { deviceAt, groupOf } from '../model/index.ts'

export const linuxVfioPolicy = (): AssignmentPolicy => ({
  system: 'linux-vfio',
  place(host, { vm, needs }): Placement {
    const grants: Grant[] = []
    for (const need of needs) {
      const refusal = refuse(host, vm, need.resource)
      const candidate: Candidate = { device: need.resource, passed: 0, ...(refusal && { refusal }) }
      if (refusal !== undefined) return { granted: false, need, refusal, considered: [candidate] }
      grants.push({ need, devices: [need.resource], considered: [candidate] })
    }
    return { granted: true, grants }
  },
})

function refuse(host: PolicyHost, vm: string, address: string): Refusal | undefined {
  const device = deviceAt(host, address)
  if (device === undefined) return { errorClass: 'ENODEV', text: `there is no device ${address}` }
  return kernelRefusalOf(host, vm, address)
}

/** Why the host's kernel would not give a device to a machine, whatever a policy says; undefined if it would. */
export function kernelRefusalOf(host: PolicyHost, vm: string, address: string): Refusal | undefined {
  const device = deviceAt(host, address)
  if (device === undefined) return undefined
  const busy = groupOf(host, device).find(mate => {
    const user = host.users.get(mate.address)
    return user !== undefined && (user !== vm || mate === device)
  })
  if (busy !== undefined) {
    const user = host.users.get(busy.address)!
    const text =
      busy === device
        ? `${address} is used by ${user}`
        : `${busy.address} in the same IOMMU group ${device.iommuGroup} is used by ${user}`
    return { errorClass: 'EBUSY', text, device: busy.address }
  }
  if (device.kernelRefusal === undefined) return undefined
  return { errorClass: 'kernel', text: device.kernelRefusal, device: address }
}
