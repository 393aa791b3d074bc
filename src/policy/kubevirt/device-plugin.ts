/**
 * KubeVirt's own device plugin. It names devices by IOMMU group, so two of one group count as one. Sources:
 * kubevirt/kubevirt pkg/virt-handler/device-manager/pci_device.go, pkg/virt-launcher/virtwrap/device/hostdevice/addresspool.go.
 */
import type { Candidate, Device, Refusal } from '../model/index.ts'
import type { PermittedHostDevices } from './configuration.ts'

export interface OfferedDevice {
  /** What the kubelet knows it by: the number of its IOMMU group. */
  readonly id: string
  /** Of two matching functions in one group, the last. */
  readonly address: string
  /** NUMA nodes of the hint; empty if the firmware names none. */
  readonly nodes: readonly number[]
}

export interface Offer {
  readonly devices: readonly OfferedDevice[]
  readonly considered: readonly Candidate[]
}

/** What a resource offers on a host. Empty for resources that an external plugin provides. */
export function offerOf(
  resource: string,
  permitted: PermittedHostDevices,
  devices: readonly Device[],
): Offer {
  const selectors = permitted.pciHostDevices
    .filter(
      ({ resourceName, externalResourceProvider }) => resourceName === resource && !externalResourceProvider,
    )
    .map(({ pciVendorSelector }) => pciVendorSelector.toLowerCase())
  const offered = new Map<string, OfferedDevice>()
  const considered = devices.map((device): Candidate => {
    const refusal = refuseDevice(device, selectors)
    if (refusal !== undefined)
      return { device: device.address, passed: refusal.rank, refusal: refusal.refusal }
    const id = String(device.iommuGroup)
    const nodes = device.numaNode === undefined || device.numaNode === null ? [] : [device.numaNode]
    offered.set(id, { id, address: device.address, nodes })
    return { device: device.address, passed: 3 }
  })
  return { devices: [...offered.values()], considered }
}

function refuseDevice(
  { address, vendorId, productId, driver, iommuGroup }: Device,
  selectors: readonly string[],
): { readonly rank: number; readonly refusal: Refusal } | undefined {
  const refuse = (rank: number, errorClass: string, text: string) => ({
    rank,
    refusal: { errorClass, text, device: address },
  })
  if (!selectors.includes(`${vendorId}:${productId}`))
    return refuse(0, 'not-selected', `${address} is ${vendorId}:${productId}`)
  if (driver !== 'vfio-pci')
    return refuse(1, 'not-bound-to-vfio', `${address} is bound to ${driver ?? 'no driver'}`)
  if (iommuGroup === null) return refuse(2, 'no-iommu-group', `${address} is in no IOMMU group`)
  return undefined
}

/** A PF is known by its `sriov_totalvfs`, whatever that says. */
export const isPhysicalFunction = ({ sriov }: Device): boolean => sriov !== undefined

/** The addresses that the launcher finds in its environment, handed out in order. */
export class AddressPool {
  readonly #addresses: Map<string, string[]>

  constructor(environment: ReadonlyMap<string, readonly string[]>) {
    this.#addresses = new Map([...environment].map(([resource, addresses]) => [resource, [...addresses]]))
  }

  pop(resource: string): string | Refusal {
    const addresses = this.#addresses.get(resource)
    if (addresses === undefined)
      return { errorClass: 'resource-does-not-exist', text: `resource ${resource} is not in the environment` }
    const address = addresses.shift()
    return address ?? { errorClass: 'no-more-addresses', text: `resource ${resource} has no more addresses` }
  }
}

/** Host devices for SR-IOV interfaces, one address each. */
export function hostDevicesFor(
  resources: readonly string[],
  pool: AddressPool,
): { readonly addresses: readonly string[] } | { readonly refusal: Refusal } {
  const addresses: string[] = []
  for (const resource of resources) {
    const address = pool.pop(resource)
    if (typeof address !== 'string')
      return { refusal: { errorClass: 'allocation-failed', text: `${resource}: ${address.text}` } }
    if (!/^[0-9a-f]{4}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$/i.test(address))
      return {
        refusal: { errorClass: 'bad-host-address', text: `${resource}: ${address} is no PCI address` },
      }
    addresses.push(address)
  }
  return { addresses }
}
