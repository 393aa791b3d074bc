/**
 * The one model of devices that every policy judges: what an inventory agent can learn of a PCI function on a host.
 * A property that is absent is unknown to that agent, which is not the same as none.
 */

/** What a function is for an assignment. `vdpa` is a VF that a vDPA driver turned into a virtio device. */
export type DeviceRole = 'endpoint' | 'PF' | 'VF' | 'vdpa' | 'bridge'

/** The network side of a NIC's function. */
export interface NetworkFacts {
  /** Name of the network interface; absent while a driver without one has the function. */
  readonly name?: string
  readonly alternativeNames?: readonly string[]
  /** Of a VF: name of its PF's interface. */
  readonly physicalFunctionName?: string
  /** Link-layer encapsulation as the ecosystem spells it: `ether`, `infiniband`. */
  readonly linkType?: string
  readonly macAddress?: string
  /** Bytes. */
  readonly mtu?: number
  readonly eSwitchMode?: 'legacy' | 'switchdev'
  readonly rdma?: boolean
  readonly vdpaType?: 'vhost' | 'virtio'
  /** Name of the dynamic device personalization profile that is loaded. */
  readonly ddpProfile?: string
  readonly partitionKey?: string
  /** Carries the host's default route. */
  readonly defaultRoute?: boolean
}

/** SR-IOV of a physical function. */
export interface SriovFacts {
  readonly totalVfs: number
  readonly numVfs: number
  /** Device id of its VFs, 4 hexadecimal digits. */
  readonly vfProductId?: string
}

export interface Device {
  /** `dddd:bb:dd.f`; the domain may have more digits. */
  readonly address: string
  readonly role: DeviceRole
  /** 4 hexadecimal digits, lower case. */
  readonly vendorId?: string
  readonly productId?: string
  readonly subsystemVendorId?: string
  readonly subsystemId?: string
  /** Base class, subclass and programming interface: 6 hexadecimal digits. */
  readonly classCode?: string
  readonly driver?: string | null
  /** Null if the firmware names none. */
  readonly numaNode?: number | null
  /** Of a VF or vDPA device: its PF. */
  readonly parent?: string
  /** Of a VF: its index below its PF, from 0. */
  readonly vfIndex?: number
  readonly sriov?: SriovFacts
  /** Null if no remapping unit translates it. */
  readonly iommuGroup?: number | null
  /** `pci0000:00`: the host bridge above. */
  readonly pcieRoot?: string
  /**
   * The uppermost port above that lets requests turn to peers instead of sending them to the root complex; absent if
   * every port above keeps its peers apart.
   */
  readonly unisolatedBelow?: string
  /** Why the host's kernel would not give it to any virtual machine as things stand; absent if it would. */
  readonly kernelRefusal?: string
  readonly resetMethods?: readonly string[]
  /** Required identity mappings: `direct` must stay mapped, `direct-relaxable` need not. */
  readonly reservedRegions?: 'none' | 'direct' | 'direct-relaxable'
  readonly network?: NetworkFacts
  readonly auxiliaryType?: string
  readonly acpiIndex?: string
  /** Serial number of the card from its vital product data. */
  readonly cardSerialNumber?: string
}

/** A function of a multifunction or SR-IOV device that can be handed out as it is. */
export const isVirtual = ({ role }: Device): boolean => role === 'VF' || role === 'vdpa'
