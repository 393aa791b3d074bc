/**
 * The states of a tracked device and of its relatives. Source: openstack/nova nova/objects/pci_device.py.
 */
import type { DeviceRole, Refusal } from '../model/index.ts'

export type DeviceStatus = 'available' | 'claimed' | 'allocated' | 'unclaimable' | 'unavailable' | 'removed'

export interface TrackedDevice {
  readonly address: string
  readonly role: DeviceRole
  readonly parent?: string
  status: DeviceStatus
  /** The instance that claimed or got it. */
  owner: string | null
}

const PARENT_STATES: readonly DeviceStatus[] = ['available', 'unclaimable', 'unavailable']

export class DeviceTracker {
  readonly devices: ReadonlyMap<string, TrackedDevice>
  /** Inconsistencies that nova only warns about (bug 1969496). */
  readonly warnings: string[] = []

  constructor(devices: readonly TrackedDevice[]) {
    this.devices = new Map(devices.map(device => [device.address, device]))
  }

  #children({ address }: TrackedDevice): TrackedDevice[] {
    return [...this.devices.values()].filter(({ parent }) => parent === address)
  }

  #parent({ parent }: TrackedDevice): TrackedDevice | undefined {
    return parent === undefined ? undefined : this.devices.get(parent)
  }

  /** Undefined on success; a refusal changes nothing. */
  claim(device: TrackedDevice, owner: string): Refusal | undefined {
    const refusal = expect(device, ['available']) ?? this.#refuseRelatives(device, 'claim')
    if (refusal !== undefined) return refusal
    if (device.role === 'PF') for (const child of this.#children(device)) child.status = 'unclaimable'
    const parent = isChild(device) ? this.#parent(device) : undefined
    if (parent?.status === 'available') parent.status = 'unclaimable'
    device.status = 'claimed'
    device.owner = owner
    return undefined
  }

  allocate(device: TrackedDevice, owner: string): Refusal | undefined {
    const refusal =
      expect(device, ['available', 'claimed']) ??
      (device.status === 'claimed' ? refuseOwner(device, owner) : undefined) ??
      this.#refuseRelatives(device, 'allocate')
    if (refusal !== undefined) return refusal
    if (device.role === 'PF') for (const child of this.#children(device)) child.status = 'unavailable'
    const parent = isChild(device) ? this.#parent(device) : undefined
    if (parent !== undefined) parent.status = 'unavailable'
    device.status = 'allocated'
    device.owner = owner
    return undefined
  }

  free(device: TrackedDevice, owner?: string): Refusal | undefined {
    const refusal =
      expect(device, ['allocated', 'claimed']) ??
      (owner === undefined ? undefined : refuseOwner(device, owner))
    if (refusal !== undefined) return refusal
    if (device.role === 'PF') for (const child of this.#children(device)) child.status = 'available'
    const parent = isChild(device) ? this.#parent(device) : undefined
    if (
      parent !== undefined &&
      this.#children(parent).every(each => each === device || each.status === 'available')
    )
      parent.status = 'available'
    device.status = 'available'
    device.owner = null
    return undefined
  }

  remove(device: TrackedDevice): Refusal | undefined {
    const refusal = expect(device, ['available', 'unavailable', 'unclaimable'])
    if (refusal !== undefined) return refusal
    if (device.owner !== null) return invalidOwner(device, 'nobody')
    device.status = 'removed'
    return undefined
  }

  #refuseRelatives(device: TrackedDevice, action: 'claim' | 'allocate'): Refusal | undefined {
    if (device.role === 'PF') return this.#refuseChildren(device, action)
    const parent = isChild(device) ? this.#parent(device) : undefined
    if (parent === undefined || PARENT_STATES.includes(parent.status)) return undefined
    return {
      errorClass: 'PciDevicePFInvalidStatus',
      text: `${parent.address}, the PF of ${device.address}, is ${parent.status}`,
      device: parent.address,
    }
  }

  #refuseChildren(device: TrackedDevice, action: 'claim' | 'allocate'): Refusal | undefined {
    const bad: readonly DeviceStatus[] = action === 'claim' ? ['unclaimable', 'unavailable'] : ['unclaimable']
    const busy = this.#children(device).filter(
      ({ status }) => status !== 'available' && !bad.includes(status),
    )
    const [first] = busy
    if (first !== undefined) {
      const text = `${first.address}, a VF of ${device.address}, is ${first.status}`
      return { errorClass: 'PciDeviceVFInvalidStatus', text, device: first.address }
    }
    const odd = this.#children(device).filter(({ status }) => status !== 'available')
    if (action === 'claim' && odd.length > 0)
      this.warnings.push(
        `children of ${device.address} are inconsistent: ${odd.map(({ address }) => address).join(', ')}`,
      )
    return undefined
  }
}

const isChild = ({ role }: TrackedDevice): boolean => role === 'VF' || role === 'vdpa'

function expect({ address, status }: TrackedDevice, allowed: readonly DeviceStatus[]): Refusal | undefined {
  if (allowed.includes(status)) return undefined
  const text = `${address} is ${status}, not ${allowed.join(' or ')}`
  return { errorClass: 'PciDeviceInvalidStatus', text, device: address }
}

const refuseOwner = (device: TrackedDevice, owner: string): Refusal | undefined =>
  device.owner === owner ? undefined : invalidOwner(device, owner)

const invalidOwner = ({ address, owner }: TrackedDevice, wanted: string): Refusal => ({
  errorClass: 'PciDeviceInvalidOwner',
  text: `${address} belongs to ${owner}, not to ${wanted}`,
  device: address,
})
