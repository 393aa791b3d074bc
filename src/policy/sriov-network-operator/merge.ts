/**
 * How node policies become the wanted state of each PF. Source: k8snetworkplumbingwg/sriov-network-operator
 * api/v1/helper.go (ByPriority, Apply, mergeConfigs).
 */
import { refusePolicy } from '../model/index.ts'
import {
  isEmptySelector,
  type NicSelector,
  type NodePolicy,
  parsePfName,
  parseVfRange,
} from './node-policy.ts'

/** A PF as the operator's agent reports it. */
export interface NodeInterface {
  readonly name: string
  readonly altNames: readonly string[]
  readonly pciAddress: string
  readonly vendor: string
  readonly deviceID: string
  readonly totalVfs: number
  readonly numVfs: number
  readonly mtu: number
  readonly linkType: string
  readonly netFilter: string
}

export interface VfGroup {
  readonly resourceName: string
  readonly deviceType: string
  /** `first-last` */
  readonly vfRange: string
  readonly policyName: string
  readonly mtu?: number
  readonly isRdma?: boolean
  readonly vdpaType?: string
}

/** What a PF shall become. */
export interface WantedInterface {
  readonly pciAddress: string
  readonly name: string
  readonly numVfs: number
  readonly mtu: number
  readonly linkType: string
  readonly eSwitchMode: string
  readonly externallyManaged: boolean
  readonly vfGroups: readonly VfGroup[]
}

/** Lower numbers are applied later and so win; ties go by name. */
export const inOrder = (policies: readonly NodePolicy[]): NodePolicy[] =>
  [...policies].sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))

/** Applies all policies of a node in order. Throws `invalidDocument` for a VF range that cannot be read. */
export function wantedState(
  policies: readonly NodePolicy[],
  interfaces: readonly NodeInterface[],
): WantedInterface[] {
  let wanted: WantedInterface[] = []
  let priority: number | undefined
  for (const policy of inOrder(policies)) {
    wanted = applyPolicy(policy, interfaces, wanted, policy.priority === priority)
    priority = policy.priority
  }
  return wanted
}

/** `equalPriority`: of the same priority as the policy applied before. Throws `invalidDocument`. */
export function applyPolicy(
  policy: NodePolicy,
  interfaces: readonly NodeInterface[],
  wanted: readonly WantedInterface[],
  equalPriority: boolean,
): WantedInterface[] {
  const result = [...wanted]
  if (isEmptySelector(policy.nicSelector) || policy.numVfs === 0) return result
  for (const nic of interfaces) {
    if (whyNotSelected(policy.nicSelector, nic) !== undefined) continue
    const fresh: WantedInterface = {
      pciAddress: nic.pciAddress,
      name: nic.name,
      numVfs: policy.numVfs,
      mtu: policy.mtu ?? 0,
      linkType: policy.linkType,
      eSwitchMode: policy.eSwitchMode,
      externallyManaged: policy.externallyManaged,
      vfGroups: [groupFor(policy, nic)],
    }
    const at = result.findIndex(({ pciAddress }) => pciAddress === nic.pciAddress)
    if (at < 0) result.push(fresh)
    else result[at] = merge(result[at]!, fresh, equalPriority)
  }
  return result
}

/** The first field of the selector that does not hold; undefined if the interface is selected. */
export function whyNotSelected(selector: NicSelector, nic: NodeInterface): string | undefined {
  const { vendor, deviceID, rootDevices, pfNames, netFilter } = selector
  if (vendor !== '' && vendor !== nic.vendor) return `vendor ${nic.vendor} is not ${vendor}`
  if (deviceID !== '' && deviceID !== nic.deviceID) return `deviceID ${nic.deviceID} is not ${deviceID}`
  if (rootDevices.length > 0 && !rootDevices.includes(nic.pciAddress))
    return `${nic.pciAddress} is none of the rootDevices`
  const names = pfNames.map(item => item.split('#')[0]!)
  if (names.length > 0 && ![nic.name, ...nic.altNames].some(name => names.includes(name)))
    return `${nic.name} is none of the pfNames`
  if (netFilter !== '' && !netFilterMatches(netFilter, nic.netFilter))
    return `${nic.netFilter || 'no network'} is not ${netFilter}`
  return undefined
}

/** `kind/key:value`, compared part by part without regard to case of the kind. */
function netFilterMatches(wanted: string, actual: string): boolean {
  const [wantedKey, ...wantedValue] = wanted.split(':')
  const [key, ...value] = actual.split(':')
  return wantedKey!.toLowerCase() === key!.toLowerCase() && wantedValue.join(':') === value.join(':')
}

function groupFor(policy: NodePolicy, nic: NodeInterface): VfGroup {
  let range = { first: 0, last: policy.numVfs - 1 }
  for (const item of policy.nicSelector.pfNames) {
    const named = parsePfName(item)
    if (named.range === undefined) {
      return refusePolicy(`nicSelector/pfNames: the VF range of "${item}" is not first-last`, {
        errorClass: 'bad-vf-range',
        field: 'nicSelector/pfNames',
      })
    }
    if (named.name !== nic.name) continue
    if (named.range.first >= 0) range = named.range
    break
  }
  return {
    resourceName: policy.resourceName,
    deviceType: policy.deviceType,
    vfRange: `${range.first}-${range.last}`,
    policyName: policy.name,
    ...(policy.mtu === undefined ? {} : { mtu: policy.mtu }),
    ...(policy.isRdma ? { isRdma: true } : {}),
    ...(policy.vdpaType === '' ? {} : { vdpaType: policy.vdpaType }),
  }
}

/**
 * Older groups stay beside the new one if they serve another resource with other VFs. MTU and numVfs are the larger ones
 * if a group stayed, or if both policies have the same priority; else the new policy replaces the PF's state outright.
 */
function merge(older: WantedInterface, fresh: WantedInterface, equalPriority: boolean): WantedInterface {
  const [group] = fresh.vfGroups
  const kept = older.vfGroups.filter(
    each => each.resourceName !== group!.resourceName && !overlaps(each.vfRange, group!.vfRange),
  )
  if (!equalPriority && kept.length === 0) return fresh
  return {
    ...fresh,
    mtu: Math.max(older.mtu, fresh.mtu),
    numVfs: Math.max(older.numVfs, fresh.numVfs),
    vfGroups: [...fresh.vfGroups, ...kept],
  }
}

function overlaps(one: string, other: string): boolean {
  const [a, b] = [parseVfRange(one), parseVfRange(other)]
  return a !== undefined && b !== undefined && a.first <= b.last && b.first <= a.last
}
