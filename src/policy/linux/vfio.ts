/**
 * VFIO on a machine that is described, not simulated: the rules of the host kernel (`host/vfio/rules.ts`) put to a
 * group. A simulated machine's own kernel is asked instead (`HostKernel.vfio.whyNot`).
 */
import { type ReservedMemoryErrno, usesKernelDma } from '../../host/vfio/rules.ts'
import { type Device, groupOf, type PolicyHost, type Refusal } from '../model/index.ts'

/** The member of its group that keeps user space off a device: one that a driver of the host uses. */
export function refuseGroup(host: PolicyHost, device: Device): Refusal | undefined {
  const mate = groupOf(host, device).find(({ driver = null }) => usesKernelDma(driver))
  if (mate === undefined) return undefined
  return {
    errorClass: 'group-not-viable',
    text: `group ${device.iommuGroup ?? 'of its own'} is not viable: ${mate.address} belongs to host driver ${mate.driver}`,
    device: mate.address,
  }
}

/** Reserved memory that must stay mapped one to one keeps user domains off; what is relaxable does not. */
export function refuseReservedMemory(
  host: PolicyHost,
  device: Device,
  errno: ReservedMemoryErrno,
): (Refusal & { readonly reason: string }) | undefined {
  const mate = groupOf(host, device).find(({ reservedRegions }) => reservedRegions === 'direct')
  if (mate === undefined) return undefined
  return {
    errorClass: errno,
    reason: errno === 'EINVAL' ? 'require_direct' : 'rmrr',
    text: `firmware requires an identity mapping of memory for ${mate.address}`,
    device: mate.address,
  }
}

/** A group has one user at a time. */
export class GroupUse {
  #open = false

  open(): Refusal | undefined {
    if (this.#open) return { errorClass: 'EBUSY', text: 'the group is open already' }
    this.#open = true
    return undefined
  }

  close(): void {
    this.#open = false
  }
}
