/**
 * What the operator's admission webhook refuses. Source: k8snetworkplumbingwg/sriov-network-operator
 * pkg/webhook/validate.go, whose order this is.
 */
import type { Refusal } from '../model/index.ts'
import { type NodeInterface, whyNotSelected } from './merge.ts'
import { EVERY_VF, isEmptySelector, type NodePolicy, parsePfName, type VfRange } from './node-policy.ts'
import { isSupportedDevice, isSupportedModel, isSupportedVendor } from './supported-nics.ts'

/** A refusal with the limit that was passed, if it was one. */
export interface WebhookRefusal extends Refusal {
  readonly maximum?: number
}

export interface WebhookOptions {
  /** The operator's DEV_MODE: NICs beyond the supported ones are admitted. */
  readonly devMode?: boolean
}

const INTEL = '8086'
const MELLANOX = '15b3'
/** VFs of a Mellanox PF, whatever it says. */
const MOST_MELLANOX_VFS = 128
/** Of a DNS label. */
const LONGEST_RESOURCE_NAME = 63

const refuse = (errorClass: string, text: string, maximum?: number): WebhookRefusal => ({
  errorClass,
  text,
  ...(maximum === undefined ? {} : { maximum }),
})

export function refuseResourceName(name: string): WebhookRefusal | undefined {
  if (name === '') return refuse('resourceName-empty', 'resourceName must not be empty')
  if (name.length > LONGEST_RESOURCE_NAME)
    return refuse('resourceName-too-long', `resourceName has more than ${LONGEST_RESOURCE_NAME} characters`)
  if (!/^[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?$/.test(name))
    return refuse(
      'resourceName-invalid',
      `resourceName "${name}" must be letters, digits, - and _, not at its ends`,
    )
  return undefined
}

/** What is wrong with a policy whatever the nodes are. */
export function refuseStatically(
  policy: NodePolicy,
  { devMode = false }: WebhookOptions = {},
): WebhookRefusal | undefined {
  return (
    refuseResourceName(policy.resourceName) ??
    refuseSelector(policy) ??
    (devMode ? undefined : refuseModel(policy)) ??
    refuseRanges(policy) ??
    refuseCombination(policy)
  )
}

const isEthernet = (linkType: string): boolean => linkType === '' || linkType.toLowerCase() === 'eth'
const hasBridge = ({ bridge }: NodePolicy): boolean => Object.keys(bridge).length > 0

function refuseSelector({
  nicSelector,
  eSwitchMode,
  linkType,
  ...policy
}: NodePolicy): WebhookRefusal | undefined {
  if (isEmptySelector(nicSelector)) return refuse('nicSelector-empty', 'nicSelector selects by nothing')
  if (nicSelector.netFilter === '') return undefined
  if (!isEmptySelector({ ...nicSelector, netFilter: '' }))
    return refuse('netFilter-vs-nicSelector', 'nicSelector: netFilter excludes all other fields')
  if (eSwitchMode !== '')
    return refuse('netFilter-vs-eSwitchMode', 'netFilter and eSwitchMode exclude each other')
  if (hasBridge({ nicSelector, eSwitchMode, linkType, ...policy }))
    return refuse('netFilter-vs-bridge', 'netFilter and bridge exclude each other')
  if (!isEthernet(linkType))
    return refuse('netFilter-vs-linkType', `netFilter needs linkType eth, not ${linkType}`)
  return undefined
}

function refuseModel({ nicSelector: { vendor, deviceID } }: NodePolicy): WebhookRefusal | undefined {
  if (vendor !== '' && !isSupportedVendor(vendor))
    return refuse('vendor-not-supported', `nicSelector/vendor: ${vendor} is not supported`)
  if (deviceID === '') return undefined
  const supported = vendor === '' ? isSupportedDevice(deviceID) : isSupportedModel(vendor, deviceID)
  if (supported) return undefined
  return refuse(
    'vendor-not-supported',
    `nicSelector/deviceID: ${deviceID} of vendor ${vendor || 'any'} is not supported`,
  )
}

function refuseRanges({ nicSelector: { pfNames }, numVfs }: NodePolicy): WebhookRefusal | undefined {
  for (const item of pfNames) {
    if (!item.includes('#')) continue
    const [, range = '', ...more] = item.split('#')
    const [, first, last] = /^([+-]?\d+)-([+-]?\d+)$/.exec(range) ?? []
    if (more.length > 0 || first === undefined)
      return refuse('bad-vf-range', `nicSelector/pfNames: the VF range of "${item}" is not first-last`)
    if (Number(last) < Number(first))
      return refuse('bad-vf-range', `nicSelector/pfNames: "${item}" ends before it begins`)
    if (Number(last) >= numVfs)
      return refuse('bad-vf-range', `nicSelector/pfNames: "${item}" ends beyond numVfs ${numVfs}`)
  }
  return undefined
}

function refuseCombination(policy: NodePolicy): WebhookRefusal | undefined {
  const { deviceType, isRdma, linkType, eSwitchMode, vdpaType, externallyManaged } = policy
  const switchdev = eSwitchMode === 'switchdev'
  const vdpa = vdpaType === 'virtio' || vdpaType === 'vhost'
  if (deviceType === 'vfio-pci' && isRdma)
    return refuse('vfio-pci-vs-rdma', 'deviceType vfio-pci and isRdma exclude each other')
  if (!isEthernet(linkType) && switchdev)
    return refuse('switchdev-needs-ethernet', 'eSwitchMode switchdev needs an Ethernet link')
  if (vdpa && deviceType !== 'netdevice')
    return refuse('vfio-pci-vs-vdpa', `vdpaType needs deviceType netdevice, not ${deviceType || 'none'}`)
  if (vdpa && !switchdev) return refuse('vdpa-needs-switchdev', 'vdpaType needs eSwitchMode switchdev')
  if (hasBridge(policy) && !switchdev)
    return refuse('bridge-needs-switchdev', 'bridge needs eSwitchMode switchdev')
  if (hasBridge(policy) && externallyManaged)
    return refuse('bridge-vs-externallyManaged', 'bridge and externallyManaged exclude each other')
  return undefined
}

/** Against the PFs of a node, one by one. Not being selected is no fault here. */
export function refuseForNode(
  policy: NodePolicy,
  interfaces: readonly NodeInterface[],
): WebhookRefusal | undefined {
  for (const nic of interfaces) {
    if (whyNotSelected(policy.nicSelector, nic) !== undefined || !isSupportedModel(nic.vendor, nic.deviceID))
      continue
    const refusal = refuseForInterface(policy, nic)
    if (refusal !== undefined) return refusal
  }
  return undefined
}

function refuseForInterface(policy: NodePolicy, nic: NodeInterface): WebhookRefusal | undefined {
  const { numVfs, mtu = 0, linkType, vdpaType, externallyManaged } = policy
  if (numVfs === 0) return refuse('numVfs-zero', 'numVfs must not be 0')
  const maximum = nic.vendor === INTEL ? nic.totalVfs : nic.vendor === MELLANOX ? MOST_MELLANOX_VFS : numVfs
  if (numVfs > maximum)
    return refuse(
      'numVfs-exceeds-maximum',
      `numVfs ${numVfs} is more than the ${maximum} of ${nic.name}`,
      maximum,
    )
  if (externallyManaged) {
    if (numVfs > nic.numVfs) {
      const text = `numVfs ${numVfs} is more than the ${nic.numVfs} that ${nic.name} has been given`
      return refuse('numVfs-above-externally-allocated', text, nic.numVfs)
    }
    if (mtu > nic.mtu)
      return refuse('mtu-above-external', `mtu ${mtu} is more than the ${nic.mtu} of ${nic.name}`, nic.mtu)
    if (linkType !== '' && linkType.toLowerCase() !== nic.linkType.toLowerCase())
      return refuse(
        'linkType-differs-from-external',
        `linkType ${linkType} is not the ${nic.linkType} of ${nic.name}`,
      )
  }
  if ((vdpaType === 'virtio' || vdpaType === 'vhost') && nic.vendor !== MELLANOX)
    return refuse(
      'vendor-not-supported-for-vdpa',
      `vdpaType: vendor ${nic.vendor} of ${nic.name} is not supported`,
    )
  return undefined
}

/** Against another policy that selects the same node. A policy may always change itself. */
export function refuseBeside(
  current: NodePolicy,
  other: NodePolicy,
  interfaces: readonly NodeInterface[],
): WebhookRefusal | undefined {
  if (current.name === other.name) return undefined
  return (
    refusePfNames(current, other, interfaces) ??
    refuseRootDevices(current, other) ??
    refuseTopology(current, other)
  )
}

function refusePfNames(
  current: NodePolicy,
  other: NodePolicy,
  interfaces: readonly NodeInterface[],
): WebhookRefusal | undefined {
  const resolve = (name: string): string =>
    interfaces.find(nic => nic.name === name || nic.altNames.includes(name))?.name ?? name
  for (const item of current.nicSelector.pfNames) {
    const mine = parsePfName(item)
    if (mine.range === undefined)
      return refuse('bad-vf-range', `nicSelector/pfNames: "${item}" cannot be read`)
    for (const theirs of other.nicSelector.pfNames.map(parsePfName)) {
      if (resolve(mine.name) !== resolve(theirs.name)) continue
      if (current.externallyManaged !== other.externallyManaged)
        return refuse(
          'externallyManaged-inconsistent',
          `externallyManaged differs from policy ${other.name} on one PF`,
        )
      // As upstream, the first disjoint pair ends the comparison: later overlaps go unseen.
      if (areDisjoint(mine.range, theirs.range ?? EVERY_VF)) return undefined
      return refuse('vf-range-overlap', `nicSelector/pfNames: "${item}" overlaps policy ${other.name}`)
    }
  }
  return undefined
}

const areDisjoint = (one: VfRange, other: VfRange): boolean =>
  one.last < other.first || one.first > other.last

function refuseRootDevices(current: NodePolicy, other: NodePolicy): WebhookRefusal | undefined {
  const shared = current.nicSelector.rootDevices.find(each => other.nicSelector.rootDevices.includes(each))
  if (shared === undefined) return undefined
  return refuse(
    'root-device-overlap',
    `nicSelector/rootDevices: ${shared} is selected by policy ${other.name}`,
  )
}

function refuseTopology(current: NodePolicy, other: NodePolicy): WebhookRefusal | undefined {
  if (current.resourceName !== other.resourceName || current.excludeTopology === other.excludeTopology)
    return undefined
  return refuse(
    'excludeTopology-conflict',
    `excludeTopology differs from policy ${other.name} of the same resource`,
  )
}
