/** Devices as drivers publish them for Kubernetes' dynamic resource allocation (resource.k8s.io/v1). */
import type { Device, PolicyHost } from '../model/index.ts'

export type AttributeValue = string | number | boolean

export interface PublishedDevice {
  readonly name: string
  readonly driver: string
  readonly pool: string
  /** Qualified names: `domain/name`. */
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** Quantities as Kubernetes writes them, by qualified names. */
  readonly capacity?: Readonly<Record<string, string>>
  /** PCI address, where the device is one function. */
  readonly address?: string
}

/** The devices of a driver on a node, as one pool of resource slices tells them. */
export interface ResourcePool {
  readonly driver: string
  readonly name: string
  /** Only the highest generation of a pool counts. */
  readonly generation: number
  /** Slices that the pool says it has; fewer seen means that it is being updated. */
  readonly sliceCount: number
  readonly slicesSeen: number
  readonly devices: readonly PublishedDevice[]
}

/** Name and domain of the SR-IOV driver's attributes. */
export const SRIOV_DRIVER = 'sriovnetwork.k8snetworkplumbingwg.io'

const NETWORK_CLASS = '02'

/**
 * What the driver for SR-IOV finds on a node: the VFs of every network PF that has an interface. Source:
 * k8snetworkplumbingwg/dra-driver-sriov pkg/devicestate/discovery.go.
 */
export function discoverSriovDevices(host: PolicyHost): PublishedDevice[] {
  const physical = host.devices.filter(
    ({ role, classCode, network }) =>
      role !== 'VF' &&
      role !== 'bridge' &&
      classCode?.startsWith(NETWORK_CLASS) &&
      network?.name !== undefined,
  )
  return physical.flatMap(pf =>
    host.devices
      .filter(({ role, parent }) => role === 'VF' && parent === pf.address)
      .sort((a, b) => (a.vfIndex ?? 0) - (b.vfIndex ?? 0))
      .map(vf => publish(pf, vf, host.name)),
  )
}

function publish(pf: Device, vf: Device, pool: string): PublishedDevice {
  const own = (name: string): string => `${SRIOV_DRIVER}/${name}`
  return {
    name: vf.address.replace(/[:.]/g, '-'),
    driver: SRIOV_DRIVER,
    pool,
    address: vf.address,
    attributes: {
      [own('vendor')]: pf.vendorId ?? '',
      [own('deviceID')]: vf.productId ?? '',
      [own('pfDeviceID')]: pf.productId ?? '',
      [own('pciAddress')]: vf.address,
      [own('PFName')]: pf.network!.name!,
      [own('EswitchMode')]: pf.network!.eSwitchMode ?? 'legacy',
      [own('vfID')]: vf.vfIndex ?? 0,
      [own('pfPciAddress')]: pf.address,
      [own('linkType')]: linkTypeName(pf.network!.linkType ?? 'unknown'),
      [own('rdmaCapable')]: vf.network?.rdma ?? false,
      'k8s.cni.cncf.io/deviceID': vf.address,
      'resource.kubernetes.io/pcieRoot': pf.pcieRoot ?? '',
      'resource.kubernetes.io/pciBusID': vf.address,
      'dra.net/numaNode': pf.numaNode ?? -1,
    },
  }
}

const LINK_TYPES: Readonly<Record<string, string>> = {
  eth: 'ethernet',
  ether: 'ethernet',
  ethernet: 'ethernet',
  ib: 'infiniband',
  infiniband: 'infiniband',
}

/** Short and long names mean the same, in any case. */
export const linkTypeName = (name: string): string => LINK_TYPES[name.toLowerCase()] ?? name.toLowerCase()

/** Keys that discovery fills: policies cannot overwrite them. */
export const RESERVED_ATTRIBUTES: ReadonlySet<string> = new Set([
  ...['vendor', 'deviceID', 'pfDeviceID', 'pciAddress', 'PFName', 'EswitchMode', 'vfID'].map(
    n => `${SRIOV_DRIVER}/${n}`,
  ),
  ...['pfPciAddress', 'linkType', 'rdmaCapable'].map(name => `${SRIOV_DRIVER}/${name}`),
  'k8s.cni.cncf.io/deviceID',
  'resource.kubernetes.io/pcieRoot',
  'resource.kubernetes.io/pciBusID',
  'dra.net/numaNode',
])
