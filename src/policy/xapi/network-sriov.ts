/**
 * XenServer's rules for SR-IOV networks, in the order of its toolstack; the names of errors are its stable API. Sources:
 * xapi-project/xen-api ocaml/xapi/xapi_network_sriov.ml, xapi_pif_helpers.ml, xapi_network_helpers.ml, xapi_vm_helpers.ml.
 */
import type { Refusal } from '../model/index.ts'

/** A physical interface object of a host, which need not be physical. */
export interface PhysicalInterface {
  readonly name: string
  readonly managed: boolean
  readonly kind: 'physical' | 'bond' | 'vlan' | 'tunnel' | 'sriov-logical'
  readonly sriovEnabled: boolean
  readonly sriovCapable: boolean
  /** `vvvv:dddd` */
  readonly pciId: string
}

/** The network that shall carry the VFs, as far as it decides. */
export interface SriovNetwork {
  readonly name: string
  /** An interface of the same host that is on it already. */
  readonly localInterface?: string
  /** What other hosts have on it: nothing, a plain interface, or SR-IOV on a device of this id. */
  readonly others: 'none' | 'plain' | { readonly pciId: string }
}

const refuse = (errorClass: string, text: string): Refusal => ({ errorClass, text })

/** `network_sriov.create` */
export function refuseSriovNetwork(pif: PhysicalInterface, network: SriovNetwork): Refusal | undefined {
  const { name, managed, kind, sriovEnabled, sriovCapable, pciId } = pif
  if (!managed) return refuse('pif_unmanaged', `${name} is not managed by the toolstack`)
  if (kind !== 'physical') return refuse('pif_is_not_physical', `${name} is a ${kind} interface`)
  if (sriovEnabled) return refuse('network_sriov_already_enabled', `${name} has SR-IOV enabled`)
  if (!sriovCapable) return refuse('pif_is_not_sriov_capable', `${name} has no SR-IOV`)
  if (network.localInterface !== undefined)
    return refuse('network_already_connected', `${network.localInterface} of this host is on ${network.name}`)
  if (network.others === 'none') return undefined
  if (network.others === 'plain')
    return refuse('network_incompatible_with_sriov', `${network.name} holds an interface without SR-IOV`)
  if (network.others.pciId !== pciId)
    return refuse(
      'network_has_incompatible_sriov_pifs',
      `${network.name} is made of ${network.others.pciId}, ${name} is ${pciId}`,
    )
  return undefined
}

/** The host must be on every network of the machine. */
export function refuseNetworks(required: readonly string[], present: readonly string[]): Refusal | undefined {
  const missing = required.find(network => !present.includes(network))
  return missing === undefined
    ? undefined
    : refuse('vm_requires_net', `the host is not on network ${missing}`)
}

/** Every virtual interface on an SR-IOV network needs an idle VF, unless one is reserved for it. */
export function refuseSriovCapacity(
  required: ReadonlyMap<string, number>,
  idle: ReadonlyMap<string, number>,
): Refusal | undefined {
  for (const [network, count] of required) {
    const free = idle.get(network)
    if (free !== undefined && free < count)
      return refuse('network_sriov_insufficient_capacity', `${network}: ${count} VFs wanted, ${free} idle`)
  }
  return undefined
}

/** Machines with a passed-through device need an IOMMU. */
export const refuseWithoutIommu = (present: boolean): Refusal | undefined =>
  present ? undefined : refuse('vm_requires_iommu', 'the host says that it has no IOMMU')

/** The device that the control domain boots from stays with it. */
export const refuseBootDevice = (address: string, isBootDevice: boolean): Refusal | undefined =>
  isBootDevice ? refuse('boot_device_passthrough_disallowed', `the host boots from ${address}`) : undefined
