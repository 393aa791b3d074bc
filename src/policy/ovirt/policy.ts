/** oVirt as an assignment policy: a need is the name of a network, each count a pass-through vNIC on it. */
import {
  type AssignmentPolicy,
  type Candidate,
  type Device,
  groupOf,
  type Placement,
  type PolicyHost,
} from '../model/index.ts'
import { type SchedulableVf, scheduleVfs, type VfsConfiguration, type VirtualNic } from './vf-scheduler.ts'

/** Which networks may use the VFs of a PF. */
export interface AllowedNetworks {
  readonly physicalFunction: string
  readonly allNetworksAllowed: boolean
  readonly networks: readonly string[]
  readonly labels: readonly string[]
}

export interface OvirtConfiguration {
  readonly physicalFunctions: readonly AllowedNetworks[]
  readonly networkLabels: Readonly<Record<string, string>>
}

export function ovirtPolicy({ physicalFunctions, networkLabels }: OvirtConfiguration): AssignmentPolicy {
  return {
    system: 'ovirt',
    place(host, { needs }): Placement {
      const configurations = physicalFunctions.map(
        (allowed): VfsConfiguration => ({ ...allowed, vfs: vfsOf(host, allowed.physicalFunction) }),
      )
      const vnics = needs.flatMap(({ resource, count }, need) =>
        Array.from({ length: count }, (_, index): VirtualNic => {
          const label = networkLabels[resource]
          const name = `${need}/${index}`
          return {
            name,
            network: resource,
            passthrough: true,
            plugged: true,
            ...(label === undefined ? {} : { networkLabel: label }),
          }
        }),
      )
      const considered = configurations.flatMap(({ vfs }) => vfs.map(candidateOf))
      const schedule = scheduleVfs(vnics, configurations)
      if ('refusal' in schedule) {
        const need = needs[Number(schedule.problemVnics[0]!.split('/')[0])]!
        const text = `network ${need.resource}: no free VF of a PF that may serve it`
        return { granted: false, need, considered, refusal: { ...schedule.refusal, text } }
      }
      const grants = needs.map((need, index) => ({
        need,
        considered,
        devices: Array.from({ length: need.count }, (_, each) => schedule.vfs.get(`${index}/${each}`)!),
      }))
      return { granted: true, grants }
    },
  }
}

function vfsOf(host: PolicyHost, physicalFunction: string): SchedulableVf[] {
  return host.devices
    .filter(({ role, parent }) => role === 'VF' && parent === physicalFunction)
    .map(
      (device: Device): SchedulableVf => ({
        address: device.address,
        free: !host.users.has(device.address),
        sharesGroup: groupOf(host, device).length > 1,
        directlyAttached: false,
      }),
    )
}

function candidateOf({ address, free, sharesGroup }: SchedulableVf): Candidate {
  if (free && !sharesGroup) return { device: address, passed: 2 }
  const [errorClass, text] = free
    ? ['shares-iommu-group', `${address} shares its IOMMU group`]
    : ['vf-in-use', `${address} is in use`]
  return {
    device: address,
    passed: free ? 1 : 0,
    refusal: { errorClass: errorClass!, text: text!, device: address },
  }
}
