/** A function as grouping sees it: nothing but what config space, firmware tables and its place in the tree say. */
export interface GroupingFunction {
  /** `dddd:bb:dd.f` */
  readonly address: string
  readonly segment: number
  /** Routing id. */
  readonly rid: number
  readonly vendorId: number
  readonly deviceId: number
  /** "Device/Port Type" of the PCI Express Capabilities register; -1 for conventional functions. */
  readonly expressType: number
  /** Header type 1. */
  readonly bridge: boolean
  /** Part of a device with several functions; never set for VFs. */
  readonly multifunction: boolean
  /** Its ACS capability and control registers, if it has any. */
  readonly acs?: AccessControlRegisters | undefined
  /** The bridge above; undefined on a root bus. A VF has its PF's. */
  readonly above?: GroupingFunction | undefined
  /** Bridges: the bus below. */
  readonly secondaryBus: number
  /** Routing ids beyond its own under which its requests are known to appear (quirks). */
  readonly quirkAliases: readonly number[]
  /** Of a VF: its PF. */
  readonly physical?: GroupingFunction | undefined
  /** Bridges: has a memory BAR or an expansion ROM of its own. */
  readonly decodesMemory?: boolean
  /** Whether the kernel disabled peer decodes of an Intel PCH root port that has no ACS capability. */
  readonly peerDecodesDisabled?: boolean
  /** Whether an AMD IOMMU is described by firmware (IVRS table). */
  readonly besideAmdIommu?: boolean
}

export interface AccessControlRegisters {
  readonly capability: number
  readonly control: number
  /** The dword behind both, where some chipsets have the control bits. */
  readonly nextDword?: number
}
