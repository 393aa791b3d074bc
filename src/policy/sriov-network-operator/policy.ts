/** The operator as an assignment policy: node policies decide which VFs of which PFs make up a resource. */
import type { AssignmentPolicy, Candidate, Device, Grant, Placement, PolicyHost } from '../model/index.ts'
import { type NodeInterface, type WantedInterface, wantedState } from './merge.ts'
import { type NodePolicy, parseVfRange } from './node-policy.ts'

/** PFs with an interface, as the agent on the host would report them. */
export function interfacesOf(host: PolicyHost): NodeInterface[] {
  return host.devices.flatMap(({ role, address, vendorId = '', productId = '', sriov, network }) =>
    role !== 'PF' || network?.name === undefined
      ? []
      : [
          {
            name: network.name,
            altNames: network.alternativeNames ?? [],
            pciAddress: address,
            vendor: vendorId,
            deviceID: productId,
            totalVfs: sriov?.totalVfs ?? 0,
            numVfs: sriov?.numVfs ?? 0,
            mtu: network.mtu ?? 0,
            linkType: network.linkType ?? '',
            netFilter: '',
          },
        ],
  )
}

/** A need is the name of a resource, without prefix. VFs that a policy wants but that are not enabled yet are no candidates. */
export function networkOperatorPolicy(policies: readonly NodePolicy[]): AssignmentPolicy {
  return {
    system: 'sriov-network-operator',
    place(host, { needs }): Placement {
      const wanted = wantedState(policies, interfacesOf(host))
      const given = new Set<string>()
      const grants: Grant[] = []
      for (const need of needs) {
        const considered = host.devices
          .filter(({ role }) => role === 'VF')
          .map(device => consider(device, need.resource, wanted, host, given))
        const free = considered.filter(({ refusal }) => refusal === undefined)
        if (free.length < need.count) {
          const text = `${need.resource}: ${need.count} wanted, ${free.length} free`
          return { granted: false, need, considered, refusal: { errorClass: 'Insufficient', text } }
        }
        const devices = free.slice(0, need.count).map(({ device }) => device)
        for (const device of devices) given.add(device)
        grants.push({ need, devices, considered })
      }
      return { granted: true, grants }
    },
  }
}

function consider(
  { address, parent, vfIndex = -1 }: Device,
  resource: string,
  wanted: readonly WantedInterface[],
  { users }: PolicyHost,
  given: ReadonlySet<string>,
): Candidate {
  const refuse = (passed: number, errorClass: string, text: string): Candidate => ({
    device: address,
    passed,
    refusal: { errorClass, text, device: address },
  })
  const pf = wanted.find(({ pciAddress }) => pciAddress === parent)
  if (pf === undefined) return refuse(0, 'not-selected', `no policy selects ${parent}, the PF of ${address}`)
  const group = pf.vfGroups.find(({ vfRange }) => {
    const range = parseVfRange(vfRange)
    return range !== undefined && vfIndex >= range.first && vfIndex <= range.last
  })
  if (group?.resourceName !== resource)
    return refuse(
      1,
      'other-resource',
      `VF ${vfIndex} of ${pf.name} belongs to ${group?.resourceName ?? 'no resource'}`,
    )
  const user = users.get(address) ?? (given.has(address) ? 'this machine' : undefined)
  return user === undefined
    ? { device: address, passed: 3 }
    : refuse(2, 'allocated', `${address} is allocated to ${user}`)
}
