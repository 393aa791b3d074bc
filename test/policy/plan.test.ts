import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type FleetRequest,
  ownPolicy,
  type PolicyHost,
  parseOwnPolicy,
  planFleet,
} from '../../src/policy/index.ts'
import { hostWith } from './hosts.ts'

const POLICY = ownPolicy(
  parseOwnPolicy({
    resources: [
      { name: 'vf', select: 'device.role == "VF"', neverShare: ['iommuGroup'] },
      { name: 'near', select: 'device.role == "VF"', numa: 'required', priority: 80 },
      { name: 'pf', select: 'device.role == "PF" && device.numVfs == 0' },
    ],
  }),
)

const nic = fc.record({
  bus: fc.integer({ min: 1, max: 200 }),
  vfs: fc.integer({ min: 0, max: 6 }),
  numaNode: fc.integer({ min: 0, max: 1 }),
  unisolated: fc.boolean(),
})
const fleet = fc
  .array(fc.uniqueArray(nic, { selector: ({ bus }) => bus, maxLength: 4 }), { minLength: 1, maxLength: 3 })
  .map(hosts => hosts.map((nics, index) => hostWith(`host${index}`, nics)))
const need = fc.record({
  resource: fc.constantFrom('vf', 'near', 'pf', 'none'),
  count: fc.integer({ min: 1, max: 4 }),
})
const requests = fc
  .array(
    fc.record({
      needs: fc.array(need, { minLength: 1, maxLength: 2 }),
      numaNodes: fc.option(fc.constantFrom([0], [1], [0, 1]), { nil: undefined }),
      tenant: fc.constantFrom('red', 'blue'),
    }),
    { maxLength: 8 },
  )
  .map(list =>
    list.map(
      ({ numaNodes, ...rest }, index): FleetRequest => ({
        vm: `vm${index}`,
        ...rest,
        ...(numaNodes === undefined ? {} : { numaNodes }),
      }),
    ),
  )

const stateOf = (hosts: readonly PolicyHost[]): string => JSON.stringify(hosts.map(host => [...host.users]))

describe('a plan for a fleet', () => {
  it('gives no device twice, and no two machines devices of one IOMMU group', () => {
    fc.assert(
      fc.property(fleet, requests, (hosts, wanted) => {
        const { placed } = planFleet(hosts, POLICY, wanted)
        const owners = new Map<string, string>()
        for (const { vm, host, steps } of placed) {
          for (const { attach } of steps) {
            const device = hosts
              .find(({ name }) => name === host)!
              .devices.find(({ address }) => address === attach)!
            for (const key of [`${host}/${attach}`, `${host}/group ${device.iommuGroup}`]) {
              expect(owners.get(key) ?? vm).toBe(vm)
              owners.set(key, vm)
            }
          }
        }
      }),
    )
  })

  it('answers every request once, gives what was asked for, and changes nothing', () => {
    fc.assert(
      fc.property(fleet, requests, (hosts, wanted) => {
        const before = stateOf(hosts)
        const { placed, refused } = planFleet(hosts, POLICY, wanted)
        expect(stateOf(hosts)).toBe(before)
        expect([...placed, ...refused].map(({ vm }) => vm).sort()).toEqual(wanted.map(({ vm }) => vm).sort())
        for (const { vm, grants } of placed) {
          const { needs } = wanted.find(request => request.vm === vm)!
          expect(grants.map(({ need: each, devices }) => [each, devices.length])).toEqual(
            needs.map(each => [each, each.count]),
          )
        }
      }),
    )
  })

  it('refuses only what no host could take at that moment, with a reason from every host', () => {
    fc.assert(
      fc.property(fleet, requests, (hosts, wanted) => {
        const { refused } = planFleet(hosts, POLICY, wanted)
        for (const { hosts: reasons } of refused) {
          expect(reasons.map(({ host }) => host).sort()).toEqual(hosts.map(({ name }) => name).sort())
          for (const { refusal } of reasons) expect(refusal.text).not.toBe('')
        }
      }),
    )
  })

  it('tells what the host loses', () => {
    const host = hostWith('h', [{ bus: 5, vfs: 0, numaNode: 0 }])
    const { placed } = planFleet([host], POLICY, [{ vm: 'a', needs: [{ resource: 'pf', count: 1 }] }])
    expect(placed[0]!.disrupted).toEqual([
      { device: '0000:05:00.0', text: 'host driver ixgbe loses 0000:05:00.0 and its interface ens5' },
    ])
  })
})
