/**
 * libvirt's bookkeeping of PCI host devices: an active list (used by a domain) and an inactive one (detached from the
 * host's driver, used by nobody). Sources: libvirt/libvirt src/hypervisor/virhostdev.c, src/util/virpci.c.
 */
import { type Device, deviceAt, groupOf, isVirtual, type PolicyHost, type Refusal } from '../model/index.ts'

/** Who uses a device: domains of different hypervisor drivers are different users even by one name. */
export interface DomainIdentity {
  readonly driver: string
  readonly name: string
}

export interface HostDevice {
  readonly address: string
  /** libvirt detaches and gives back by itself. */
  readonly managed: boolean
  /** Given as `<interface type='hostdev'>`. */
  readonly network?: boolean
}

export interface HostDeviceOptions {
  /** Assignment through VFIO; the legacy back ends check ACS of switches themselves. */
  readonly backend?: 'vfio' | 'legacy'
  readonly relaxedAcsCheck?: boolean
  /** Below a switch that does not isolate its ports. */
  readonly behindUnisolatedSwitch?: (device: Device) => boolean
  /** Drivers that refuse to bind. */
  readonly failingDrivers?: readonly string[]
}

const STUB_DRIVER = 'vfio-pci'

interface Inactive {
  /** What the host's driver was before. */
  readonly original: string | null
}

export class LibvirtHostDevices {
  readonly #host: PolicyHost
  readonly #options: HostDeviceOptions
  readonly active = new Map<string, DomainIdentity>()
  readonly inactive = new Map<string, Inactive>()
  /** Active devices that were managed, with the driver to give them back to. */
  readonly #managed = new Map<string, string | null>()

  constructor(host: PolicyHost, options: HostDeviceOptions = {}) {
    this.#host = host
    this.#options = options
  }

  /** `virsh nodedev-detach`: undefined on success. */
  detach(address: string): Refusal | undefined {
    const refusal = this.#refuseUse(address) ?? this.#refuseBinding(address)
    if (refusal !== undefined) return refusal
    if (!this.inactive.has(address))
      this.inactive.set(address, { original: deviceAt(this.#host, address)?.driver ?? null })
    return undefined
  }

  /** `virsh nodedev-reattach`: the driver that takes the device, null for none. */
  reattach(
    address: string,
    probe: (device: Device) => string | null,
  ): Refusal | { readonly driver: string | null } {
    const refusal = this.#refuseUse(address)
    if (refusal !== undefined) return refusal
    const device = deviceAt(this.#host, address)
    if (device === undefined)
      return { errorClass: 'no-such-device', text: `there is no device ${address}`, device: address }
    const original = this.inactive.get(address)?.original ?? device.driver ?? null
    this.inactive.delete(address)
    return { driver: original !== null && original !== STUB_DRIVER ? original : probe(device) }
  }

  /** `virsh nodedev-reset`: leaves the lists as they are. */
  reset(address: string): Refusal | undefined {
    return this.#refuseUse(address)
  }

  /** A domain starts: all of its devices are checked before any is detached, so a refusal changes nothing. */
  prepare(domain: DomainIdentity, devices: readonly HostDevice[]): Refusal | undefined {
    for (const device of devices) {
      const refusal = this.#refuseDevice(device, domain)
      if (refusal !== undefined) return refusal
    }
    const binding = devices
      .filter(({ managed }) => managed)
      .map(({ address }) => this.#refuseBinding(address))
    const failed = binding.find(refusal => refusal !== undefined)
    if (failed !== undefined) return failed
    for (const { address, managed } of devices) {
      const original = this.inactive.get(address)?.original ?? deviceAt(this.#host, address)?.driver ?? null
      if (managed) this.#managed.set(address, original)
      this.inactive.delete(address)
      this.active.set(address, domain)
    }
    return undefined
  }

  /** The daemon comes back and finds a domain running: what it has is marked as used, nothing is asked. */
  adopt(domain: DomainIdentity, devices: readonly HostDevice[]): void {
    for (const { address, managed } of devices) {
      if (managed) this.#managed.set(address, deviceAt(this.#host, address)?.driver ?? null)
      this.active.set(address, domain)
    }
  }

  /** A domain ends: managed devices go back to the host unless they were detached by hand before, which keeps them aside. */
  release(
    domain: DomainIdentity,
    devices: readonly HostDevice[],
    detachedByHand: ReadonlySet<string> = new Set(),
  ): void {
    for (const { address, managed } of devices) {
      const user = this.active.get(address)
      if (user?.name !== domain.name || user.driver !== domain.driver) continue
      this.active.delete(address)
      const original = this.#managed.get(address) ?? null
      this.#managed.delete(address)
      if (!managed || detachedByHand.has(address)) this.inactive.set(address, { original })
    }
  }

  /** In the order of virHostdevPreparePCIDevicesImpl. */
  #refuseDevice({ address, managed, network }: HostDevice, domain: DomainIdentity): Refusal | undefined {
    const refuse = (errorClass: string, text: string, device = address): Refusal => ({
      errorClass,
      text,
      device,
    })
    const device = deviceAt(this.#host, address)
    if (device === undefined) return refuse('no-such-device', `there is no device ${address}`)
    if (network && !isVirtual(device))
      return refuse(
        'only-SR-IOV-VFs',
        `${address} is no SR-IOV virtual function, which interface type hostdev needs`,
      )
    if (device.role === 'bridge')
      return refuse('non-endpoint-device', `${address} is a bridge, not an endpoint`)
    const legacy = this.#options.backend === 'legacy'
    const unisolated = this.#options.behindUnisolatedSwitch?.(device) ?? false
    if (legacy && unisolated && !this.#options.relaxedAcsCheck)
      return refuse('not-assignable-acs', `${address} is behind a switch that lacks ACS`)
    const mates = legacy ? [device] : groupOf(this.#host, device)
    for (const mate of mates) {
      const user = this.active.get(mate.address)
      if (user === undefined) continue
      // Devices of one group may be split over one domain's devices, never over two domains.
      const same = mate.address !== address && user.name === domain.name && user.driver === domain.driver
      if (!same)
        return refuse(
          'device-in-use',
          `${mate.address} is in use by ${user.driver}/${user.name}`,
          mate.address,
        )
    }
    if (!managed && device.driver !== STUB_DRIVER && !this.inactive.has(address))
      return refuse(
        'must-be-manually-detached',
        `unmanaged ${address} must be manually detached from the host`,
      )
    return undefined
  }

  #refuseUse(address: string): Refusal | undefined {
    const user = this.active.get(address)
    if (user === undefined) return undefined
    return {
      errorClass: 'device-in-use',
      text: `${address} is in use by ${user.driver}/${user.name}`,
      device: address,
    }
  }

  #refuseBinding(address: string): Refusal | undefined {
    if (!this.#options.failingDrivers?.includes(STUB_DRIVER)) return undefined
    return { errorClass: 'bind-failed', text: `${STUB_DRIVER} would not bind to ${address}`, device: address }
  }
}
