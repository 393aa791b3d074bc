import { describe, expect, it } from 'vitest'
import { ownPolicy, type PlacementRequest, parseOwnPolicy } from '../../src/policy/index.ts'
import { hostWith } from './hosts.ts'

const VFS = { name: 'vf', select: 'device.role == "VF"' }
const policyWith = (resource: object, rest: object = {}) =>
  ownPolicy(parseOwnPolicy({ resources: [{ ...VFS, ...resource }], ...rest }))
const wants = (count: number, rest: Partial<PlacementRequest> = {}): PlacementRequest => ({
  vm: 'a',
  needs: [{ resource: 'vf', count }],
  ...rest,
})
const twoNics = hostWith('h', [
  { bus: 5, vfs: 4, numaNode: 0 },
  { bus: 0x85, vfs: 4, numaNode: 1 },
])
const devices = (placement: ReturnType<ReturnType<typeof policyWith>['place']>): readonly string[] =>
  placement.granted ? placement.grants.flatMap(grant => grant.devices) : [placement.refusal.errorClass]

describe('the own policy document', () => {
  it('prefers the NUMA nodes of the machine', () => {
    expect(devices(policyWith({}).place(twoNics, wants(1, { numaNodes: [1] })))).toEqual(['0000:85:10.0'])
  })

  it('refuses remote devices where the node is required, and says which node they are on', () => {
    const placement = policyWith({ numa: 'required' }).place(twoNics, wants(5, { numaNodes: [1] }))
    expect(placement).toMatchObject({ granted: false, refusal: { errorClass: 'count' } })
    if (placement.granted) return
    expect(placement.considered.find(({ device }) => device === '0000:05:10.0')?.refusal?.text).toBe(
      '0000:05:10.0 is on NUMA node 0, not on 1',
    )
  })

  it('packs physical functions, or spreads over them', () => {
    const used = { ...twoNics, users: new Map([['0000:85:10.0', 'b']]) }
    expect(devices(policyWith({ numa: 'any' }).place(used, wants(2)))).toEqual([
      '0000:85:10.2',
      '0000:85:10.4',
    ])
    expect(devices(policyWith({ numa: 'any', placement: 'spread' }).place(used, wants(2)))).toEqual([
      '0000:05:10.0',
      '0000:85:10.2',
    ])
  })

  it('keeps what is reserved', () => {
    expect(devices(policyWith({ reserve: 6 }).place(twoNics, wants(2)))).toHaveLength(2)
    expect(devices(policyWith({ reserve: 7 }).place(twoNics, wants(2)))).toEqual(['reserve'])
  })

  it('keeps all devices of a resource below one host bridge where asked to', () => {
    expect(devices(policyWith({ pcieRoot: 'same' }).place(twoNics, wants(5)))).toEqual(['pcieRoot'])
    const own = { ...twoNics, users: new Map([['0000:85:10.0', 'a']]) }
    expect(devices(policyWith({ pcieRoot: 'same' }).place(own, wants(1)))).toEqual(['0000:85:10.2'])
  })

  it('never shares a physical function with another tenant where told so, but does with another machine of the same', () => {
    const shared = {
      ...hostWith('h', [{ bus: 5, vfs: 4, numaNode: 0 }]),
      users: new Map([['0000:05:10.0', 'b']]),
      tenants: new Map([
        ['a', 'red'],
        ['b', 'blue'],
        ['c', 'blue'],
      ]),
    }
    const policy = policyWith({ neverShare: ['physicalFunction'] })
    expect(policy.place(shared, wants(1))).toMatchObject({ granted: false })
    expect(devices(policy.place(shared, wants(1, { vm: 'c' })))).toEqual(['0000:05:10.2'])
  })

  it('takes no device whose group mate another machine has', () => {
    const host = hostWith('h', [{ bus: 5, vfs: 2, numaNode: 0, unisolated: true }], {
      users: new Map([['0000:05:10.0', 'b']]),
    })
    const placement = policyWith({}).place(host, wants(1))
    expect(placement).toMatchObject({ granted: false })
    if (placement.granted) return
    expect(placement.considered.find(({ device }) => device === '0000:05:10.2')?.refusal?.text).toBe(
      '0000:05:10.2 shares IOMMU group 500 with 0000:05:10.0 of b',
    )
  })

  it('goes to no host that does not remap interrupts, unless told that any will do', () => {
    const host = { ...twoNics, isolatedInterrupts: false }
    expect(devices(policyWith({}).place(host, wants(1)))).toEqual(['interrupts'])
    expect(devices(policyWith({}, { interrupts: 'any' }).place(host, wants(1)))).toHaveLength(1)
  })

  it.each([
    [{ resources: [{ name: 'x', select: 'device.' }] }, 'resources/0/select'],
    [{ resources: [{ name: 'X', select: 'true' }] }, 'resources/0/name'],
    [{ resources: [{ name: 'x', select: 'true', numa: 'near' }] }, 'resources/0/numa'],
    [{ resources: [] }, 'resources'],
  ])('names the field that is wrong: %j', (document, field) => {
    expect(() => parseOwnPolicy(document)).toThrow(field)
  })
})
