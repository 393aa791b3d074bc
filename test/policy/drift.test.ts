import { describe, expect, it } from 'vitest'
import { driftOf, perturb, readPolicy } from '../../src/policy/index.ts'
import { hostWith } from './hosts.ts'

const own = (select: string) =>
  readPolicy('northbridge', [
    { name: 'own.yaml', text: JSON.stringify({ resources: [{ name: 'vf', select }] }) },
  ])
const host = hostWith('h', [
  { bus: 5, vfs: 2, numaNode: 0 },
  { bus: 6, vfs: 2, numaNode: 0 },
])
const requests = [{ vm: 'a', needs: [{ resource: 'vf', count: 1 }] }]

describe('perturbed hosts', () => {
  it('shift every bus below a host bridge by one', () =>
    expect(
      perturb(host, 'renumber-buses')
        .host.devices.map(({ address }) => address)
        .filter(each => each.endsWith('00.0')),
    ).toEqual(['0000:06:00.0', '0000:07:00.0']))

  it('exchange cards, and know which was which', () => {
    const { before } = perturb(host, 'swap-slots')
    expect(before.get('0000:05:10.0')).toBe('0000:06:10.0')
    expect(before.get('0000:06:00.0')).toBe('0000:05:00.0')
  })

  it('keep VFs with their PF', () => {
    for (const { parent, address } of perturb(host, 'swap-slots').host.devices)
      if (parent !== undefined) expect(address.slice(0, 7)).toBe(parent.slice(0, 7))
  })
})

describe('drift', () => {
  it('is none where a policy asks for what devices are', () =>
    expect(
      driftOf(host, own('device.role == "VF"'), requests).filter(
        ({ perturbation }) => perturbation === 'renumber-buses',
      ),
    ).toEqual([]))

  it('shows who depends on addresses, and why they are refused afterwards', () => {
    const drifts = driftOf(host, own('device.physicalFunction == "0000:05:00.0"'), requests)
    expect(drifts).toEqual([
      expect.objectContaining({ perturbation: 'renumber-buses', before: ['0000:05:10.0'], after: undefined }),
      expect.objectContaining({
        perturbation: 'swap-slots',
        before: ['0000:05:10.0'],
        after: ['0000:06:10.0'],
      }),
    ])
    expect(drifts[0]!.reason).toBe('vf: 1 wanted, 0 fit and free')
  })
})
