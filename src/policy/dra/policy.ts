/** Dynamic resource allocation as an assignment policy: a need is a claim (or claim template) by name. */
import type { AssignmentPolicy, Candidate, Grant, Placement, PolicyHost } from '../model/index.ts'
import { allocate, deviceKey } from './allocator.ts'
import { discoverSriovDevices, type PublishedDevice, type ResourcePool } from './devices.ts'
import type { DraConfiguration } from './documents.ts'
import { publishedDevices } from './sriov-policies.ts'

export function draPolicy({ classes, claims, policies, attributes }: DraConfiguration): AssignmentPolicy {
  return {
    system: 'kubernetes-dra',
    place(host, { needs }): Placement {
      const devices = publishedDevices(discoverSriovDevices(host), policies, attributes)
      const pools = poolOf(host, devices)
      const inUse = new Set(devices.filter(({ address }) => host.users.has(address!)).map(deviceKey))
      const grants: Grant[] = []
      for (const need of needs) {
        const considered = devices.map(device => consider(device, host))
        const refused = (errorClass: string, text: string): Placement => ({
          granted: false,
          need,
          considered,
          refusal: { errorClass, text },
        })
        const claim = claims.get(need.resource)
        if (claim === undefined)
          return refused('claim-not-found', `there is no claim or template ${need.resource}`)
        const given: string[] = []
        for (let each = 0; each < need.count; each++) {
          const allocation = allocate(claim, { pools, classes, inUse })
          if ('refusal' in allocation) return refused(allocation.refusal.errorClass, allocation.refusal.text)
          for (const { device } of allocation.allocated) {
            inUse.add(deviceKey(device))
            given.push(device.address!)
          }
        }
        grants.push({ need, devices: given, considered })
      }
      return { granted: true, grants }
    },
  }
}

function poolOf(host: PolicyHost, devices: readonly PublishedDevice[]): ResourcePool[] {
  const [first] = devices
  if (first === undefined) return []
  return [{ driver: first.driver, name: host.name, generation: 1, sliceCount: 1, slicesSeen: 1, devices }]
}

function consider({ address }: PublishedDevice, { users }: PolicyHost): Candidate {
  const user = users.get(address!)
  if (user === undefined) return { device: address!, passed: 1 }
  const refusal = { errorClass: 'allocated', text: `${address} is allocated to ${user}`, device: address! }
  return { device: address!, passed: 0, refusal }
}
