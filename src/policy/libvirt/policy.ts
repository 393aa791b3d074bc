/** libvirt as an assignment policy: a need is a host address, or the name of a network that hands out VFs of a PF. */
import {
  type AssignmentPolicy,
  type Candidate,
  deviceAt,
  type Grant,
  type Placement,
  type PolicyHost,
  type Refusal,
} from '../model/index.ts'
import { type HostDevice, type HostDeviceOptions, LibvirtHostDevices } from './host-devices.ts'

/** `<network>` with `<forward mode='hostdev'>`: functions that are listed, then VFs of these PFs, first free first. */
export interface HostDeviceNetwork {
  readonly name: string
  readonly functions?: readonly string[]
  readonly physicalFunctions: readonly string[]
}

export interface LibvirtConfiguration extends HostDeviceOptions {
  readonly managed: boolean
  readonly networks: readonly HostDeviceNetwork[]
}

const HYPERVISOR = 'QEMU'

export function libvirtPolicy({ managed, networks, ...options }: LibvirtConfiguration): AssignmentPolicy {
  return {
    system: 'libvirt',
    place(host, { vm, needs }): Placement {
      const devices = new LibvirtHostDevices(host, options)
      for (const [address, user] of host.users)
        devices.active.set(address, { driver: HYPERVISOR, name: user })
      const grants: Grant[] = []
      for (const need of needs) {
        const network = networks.find(({ name }) => name === need.resource)
        const given: string[] = []
        const considered: Candidate[] = []
        for (let each = 0; each < need.count; each++) {
          const chosen = network === undefined ? need.resource : firstFree(network, host, devices)
          if (typeof chosen !== 'string') return { granted: false, need, refusal: chosen, considered }
          const device: HostDevice = { address: chosen, managed, network: network !== undefined }
          const refusal = devices.prepare({ driver: HYPERVISOR, name: vm }, [device])
          considered.push(
            refusal === undefined ? { device: chosen, passed: 1 } : { device: chosen, passed: 0, refusal },
          )
          if (refusal !== undefined) return { granted: false, need, refusal, considered }
          given.push(chosen)
        }
        grants.push({ need, devices: given, considered })
      }
      return { granted: true, grants }
    },
  }
}

/** The VF that a network gives next; all taken is an error of its own. */
export function firstFree(
  { name, functions = [], physicalFunctions }: HostDeviceNetwork,
  host: PolicyHost,
  { active }: LibvirtHostDevices,
): string | Refusal {
  const listed = functions.flatMap(address => deviceAt(host, address) ?? [])
  const virtual = physicalFunctions.flatMap(pf =>
    host.devices
      .filter(({ role, parent }) => role === 'VF' && parent === pf)
      .sort((a, b) => (a.vfIndex ?? 0) - (b.vfIndex ?? 0)),
  )
  const free = [...listed, ...virtual].find(({ address }) => !active.has(address))
  return (
    free?.address ?? {
      errorClass: 'requires-exclusive-access-none-available',
      text: `network ${name} requires exclusive access to interfaces, but none are available`,
    }
  )
}
