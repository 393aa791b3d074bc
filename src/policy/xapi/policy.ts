/** XenServer as an assignment policy: a need is an SR-IOV network, each count a virtual interface on it. */
import type { AssignmentPolicy, Candidate, Grant, Placement, PolicyHost } from '../model/index.ts'
import { refuseNetworks, refuseSriovCapacity, refuseWithoutIommu } from './network-sriov.ts'

export interface XapiConfiguration {
  /** PFs of each SR-IOV network, which is their VFs. */
  readonly networks: Readonly<Record<string, readonly string[]>>
}

export function xapiPolicy({ networks }: XapiConfiguration): AssignmentPolicy {
  return {
    system: 'xapi',
    place(host, { needs }): Placement {
      const all = new Map(Object.entries(networks).map(([name, pfs]) => [name, candidatesOf(host, pfs)]))
      const present = [...all].filter(([, vfs]) => vfs.length > 0).map(([name]) => name)
      const required = new Map<string, number>()
      for (const { resource, count } of needs) required.set(resource, (required.get(resource) ?? 0) + count)
      const idle = new Map(
        [...all].map(([name, vfs]) => [name, vfs.filter(({ refusal }) => !refusal).length]),
      )
      const refusal =
        refuseNetworks([...required.keys()], present) ??
        refuseSriovCapacity(required, idle) ??
        refuseWithoutIommu(host.devices.some(({ iommuGroup }) => typeof iommuGroup === 'number'))
      if (refusal !== undefined) return { granted: false, refusal, considered: [...all.values()].flat() }
      const given = new Set<string>()
      const grants = needs.map((need): Grant => {
        const considered = all.get(need.resource)!
        const free = considered.filter(
          ({ device, refusal: taken }) => taken === undefined && !given.has(device),
        )
        const devices = free.slice(0, need.count).map(({ device }) => device)
        for (const device of devices) given.add(device)
        return { need, devices, considered }
      })
      return { granted: true, grants }
    },
  }
}

function candidatesOf(host: PolicyHost, physicalFunctions: readonly string[]): Candidate[] {
  return host.devices
    .filter(({ role, parent }) => role === 'VF' && physicalFunctions.includes(parent ?? ''))
    .map(({ address }): Candidate => {
      const user = host.users.get(address)
      if (user === undefined) return { device: address, passed: 1 }
      return {
        device: address,
        passed: 0,
        refusal: { errorClass: 'vf-in-use', text: `${address} is used by ${user}`, device: address },
      }
    })
}
