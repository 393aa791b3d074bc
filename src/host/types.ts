/** What the host kernel shows of itself to hypervisor, policies and operations. */
import type { PageNumber, RequesterId } from '../core/index.ts'
import type { Engine, Software } from '../engine/index.ts'
import type { PostedTarget } from './iommu/interrupt-table.ts'

export type { PostedTarget } from './iommu/interrupt-table.ts'

/** What a function is, by its header, its PCI Express capability and its SR-IOV role. */
export type HostFunctionKind =
  | 'PF'
  | 'VF'
  | 'endpoint'
  | 'rootPort'
  | 'upstreamPort'
  | 'downstreamPort'
  | 'bridge'
  | 'hostBridge'

/** Who uses a function: nobody, a driver of the host, or a virtual machine. */
export type Owner =
  | { readonly kind: 'none' }
  | { readonly kind: 'driver'; readonly name: string }
  | { readonly kind: 'vm'; readonly name: string }

/** A base address register as the kernel found or placed it. */
export interface HostBar {
  readonly index: number
  readonly kind: 'memory32' | 'memory64' | 'io'
  readonly prefetchable: boolean
  /** Physical address, or I/O port; 0 if it could not be placed. */
  readonly address: number
  /** Bytes. */
  readonly size: number
}

export interface HostSriov {
  /** As the device says. */
  readonly totalVfs: number
  /** What the PF's driver allows, as sysfs `sriov_totalvfs` shows it. */
  readonly driverLimit: number
  readonly numVfs: number
  readonly offset: number
  readonly stride: number
  readonly vfDeviceId: number
  /** VF BARs: `size` is that of one VF's aperture. */
  readonly bars: readonly HostBar[]
}

/** One PCI function. Properties are live: they show the present state. */
export interface HostFunction {
  /** `dddd:bb:dd.f` */
  readonly address: string
  readonly segment: number
  readonly rid: RequesterId
  readonly kind: HostFunctionKind
  readonly vendorId: number
  readonly deviceId: number
  readonly subsystemVendorId: number
  readonly subsystemId: number
  /** Base class, subclass and programming interface, 24 bits. */
  readonly classCode: number
  readonly revision: number
  /** The bridge above; absent on a root bus. */
  readonly parent?: string | undefined
  /** Of a VF: its PF. */
  readonly physicalFunction?: string | undefined
  /** Of a PF: its VFs, present while they are enabled. */
  readonly virtualFunctions: readonly string[]
  readonly bars: readonly HostBar[]
  /** Names like `MSI-X`, in the order of the chains. */
  readonly capabilities: readonly string[]
  /** IOMMU group number; null if no remapping unit translates the function. */
  readonly group: number | null
  /** Name of the unit that translates it ({@link HostOptions.unitNames}); null if none. */
  readonly remappingUnit: string | null
  readonly driver: string | null
  readonly owner: Owner
  /** -1 if the firmware names none. */
  readonly numaNode: number
  /** Those in use, in the order in which they are tried. */
  readonly resetMethods: readonly ResetMethod[]
  /** Those that it has, in the kernel's order. */
  readonly supportedResets: readonly ResetMethod[]
  readonly sriov?: HostSriov | undefined
}

/** Linux's names, as in sysfs `reset_method`. */
export type ResetMethod = 'flr' | 'af_flr' | 'pm' | 'bus'

/** Why a function is in the group it is in. */
export interface GroupReason {
  readonly function: string
  /** The function through which it joined; absent if it founded the group. */
  readonly joined?: string
  readonly rule:
    | 'founder'
    /** Its requests carry the requester id of that function. */
    | 'alias'
    /** A port above does not keep peers apart. */
    | 'unisolatedPath'
    /** Functions of one device that may reach each other inside it. */
    | 'multifunction'
    /** Functions on a bus that does not keep them apart. */
    | 'sharedBus'
  /** The port or function that lacks isolation. */
  readonly lackedBy?: string
  /** ACS control bits that would be needed there: `SV`, `RR`, `CR`, `UF`; or `ACS` if it has no such capability. */
  readonly missing?: readonly string[]
  /** The same for people. */
  readonly text: string
}

/** A change of the machine by which a group would fall apart. It was tried on a description of the machine. */
export interface GroupRepair {
  readonly kind: 'enableAccessControl' | 'move' | 'replace'
  /** Orders the kinds of change; nothing else. */
  readonly cost: number
  /** Functions whose control bits are set, that move, or that are replaced by others with access control. */
  readonly functions: readonly string[]
  /** The bits of ACS control that are to be set in each of them. */
  readonly bits?: readonly string[]
  /** Where to: the free port above the other slot. */
  readonly to?: string
  /** The kernel parameter that does it. */
  readonly parameter?: string
  /** The groups that come of it, by today's addresses. */
  readonly parts: readonly (readonly string[])[]
  readonly text: string
}

/** What can be done about a group. */
export interface GroupRepairs {
  /** Cheapest first. */
  readonly repairs: readonly GroupRepair[]
  /** Of a group of several functions that no repair splits: why. */
  readonly whyNot?: string
}

export interface IommuGroup {
  readonly id: number
  /** Addresses, sorted. */
  readonly functions: readonly string[]
  /** One reason for each function, in the order in which they joined. */
  readonly why: readonly GroupReason[]
  /** Who owns the group's DMA. */
  readonly owner: Owner
}

/** A fault that the host's driver read from a unit's fault recording registers. */
export interface HostFault {
  readonly unit: string
  readonly reason: number
  readonly source: string
  /** Faulting address, or the interrupt index for interrupt requests. `0x…` */
  readonly address: string
  readonly write: boolean
}

/**
 * A first-stage table of a guest's, in the guest's memory, and what of the guest's PASID-table entry a unit may take over:
 * what Linux's `iommu_hwpt_vtd_s1` holds, and whether walks are snooped.
 */
export type GuestTable = {
  /** Guest-physical page of the top table. */
  readonly page: PageNumber
  readonly levels: 4 | 5
  /** SRE, WPE, EAFE and PWSNP. */
  readonly supervisorRequests: boolean
  readonly writeProtection: boolean
  readonly extendedAccessed: boolean
  readonly snoopedWalks: boolean
}

/** A DMA request that a remapping unit blocked, as its record says. */
export interface BlockedRequest {
  readonly segment: number
  /** As the unit saw it: bridges put their own in its place. */
  readonly requesterId: RequesterId
  readonly page: PageNumber
  readonly write: boolean
  readonly atomic: boolean
  /** -1 without. */
  readonly pasid: number
  readonly privileged: boolean
  readonly execute: boolean
  readonly reason: number
}

/** Memory that a driver of the host shares with its function. */
export interface DmaBuffer {
  /** Where the function reaches it, in bytes. */
  readonly address: number
  readonly hostPage: PageNumber
  readonly pages: number
  /** What the function may do. */
  readonly read: boolean
  readonly write: boolean
  /** The code of its driver works with it, and gives it back itself. */
  readonly inUse: boolean
}

/** A device memory region that may be mapped into a guest. */
export interface DeviceRegion {
  /** BAR index, 0 to 5. */
  readonly index: number
  readonly hostAddress: number
  /** Bytes. */
  readonly size: number
  readonly prefetchable: boolean
  readonly is64: boolean
}

export interface MsixLayout {
  /** Vectors. */
  readonly count: number
  readonly tableBar: number
  readonly tableOffset: number
  readonly pbaBar: number
  readonly pbaOffset: number
}

export interface MsiLayout {
  /** Offset of the capability in config space. */
  readonly capability: number
  /** Vectors offered, 1 to 32. */
  readonly count: number
  readonly is64: boolean
  readonly maskable: boolean
}

/** What the kernel tells those who have given functions to virtual machines. */
export interface FunctionUsers {
  /**
   * Takes a function away from its virtual machine. `soon`: it is there for as long as it takes, and the machine's guest
   * may be asked first. `gone`: it is not there any more.
   */
  surrender(address: string, when: 'soon' | 'gone'): Software
  /** The function has reported an error, for which it was reset or not. */
  failed(address: string, wasReset: boolean): Software
}

/** A function that a reset of a bus hits. */
export interface HotResetMember {
  readonly function: string
  readonly group: number | null
  readonly owner: Owner
}

/** A function in the hands of user space: the handle that VFIO gives. */
export interface AssignedFunction {
  readonly function: HostFunction
  /** Every requester id that its DMA may carry, its own included. */
  readonly aliases: readonly RequesterId[]
  /** Names the translation domain: equal for functions that share one (same group, or same container and like units). */
  readonly domain: number

  /**
   * Maps `pages` 4-KiB pages at I/O virtual address `iova` (bytes) to host pages from `hostPage` on, for every
   * function of the container. The same range mapped alike by a mate is counted; a different overlap is an error.
   */
  map(
    iova: number,
    hostPage: PageNumber,
    pages: number,
    access: { readonly read: boolean; readonly write: boolean },
  ): Software
  /** Unmaps ranges that were mapped through this handle, wholly. Returns when no stale translation is left. */
  unmap(iova: number, pages: number): Software

  /**
   * Whether the units note which pages functions of the container write. Throws `unsupported` unless they can (scalable mode
   * with second-stage accessed and dirty bits), with nothing changed.
   */
  trackDirty(on: boolean): Software
  /**
   * Pages written since the last call, or since tracking began: bit n of the result (bit n % 8 of byte n / 8) stands
   * for page n from `iova` on. Throws `invalidArgument` while nothing is tracked.
   */
  dirtyPages(iova: number, pages: number): Software<Uint8Array>

  /** Why {@link nest} would be refused, in words; undefined if it would not. */
  readonly whyNotNested: string | undefined
  /**
   * "Nested Translation": requests are translated by a guest's first-stage table, and what comes of it, the addresses of
   * its tables included, by what is mapped here; `undefined`: by what is mapped here alone. The function's group has an
   * address space of its own. Throws `unsupported`, with nothing changed, unless the unit can.
   */
  nest(table: GuestTable | undefined): Software
  /** The guest has changed entries of its first-stage table: caches forget what they know of `pages` pages. */
  forgetNested(iova: number, pages: number): Software

  /**
   * Lets the function ask for pages that are not mapped: `handler` maps one, at the I/O virtual address given, and
   * returns true, or returns false. `undefined` ends it. Throws `unsupported` if unit or function cannot.
   */
  servePageRequests(
    handler:
      | ((iova: number, access: { readonly read: boolean; readonly write: boolean }) => Software<boolean>)
      | undefined,
  ): Software

  /**
   * Resets the function by the first of its methods after which it comes back. Interrupts are disarmed and bus mastering
   * is off then. Throws `resetUnavailable`.
   */
  reset(): Software<ResetMethod>
  /** What a reset of the bus would hit: the function and everything beside and below it. */
  hotResetMembers(): readonly HotResetMember[]
  /**
   * Resets the bus of the function, with everything on it: VFIO_DEVICE_PCI_HOT_RESET. Throws `resetUnavailable` unless
   * there is a bridge above, and all that is hit is this user's, or vfio-pci's and nobody's.
   */
  hotReset(): Software

  /** Config space as the guest may see it. `width` 1, 2 or 4. */
  readConfig(offset: number, width: number): number
  /** Passes on what a guest may change; BARs, MSI and MSI-X control, and bridge-owned registers are the host's. */
  writeConfig(offset: number, width: number, value: number): void

  readonly regions: readonly DeviceRegion[]
  readonly msix?: MsixLayout | undefined
  readonly msi?: MsiLayout | undefined

  /**
   * Arms vectors 0 to `count - 1`: a host vector on `processor` and an IRTE for each, programmed into MSI-X (or
   * MSI). `onInterrupt` runs in the host's interrupt handler.
   */
  enableInterrupts(count: number, onInterrupt: (index: number) => void, processor: number): Software
  disableInterrupts(): Software
  /** After a state was loaded: what was armed goes to this handler from now on. */
  resumeInterrupts(onInterrupt: (index: number) => void): void
  /** Whether armed vectors can be posted: the unit on the way has CAP.PI. */
  readonly postsInterrupts: boolean
  /**
   * "Interrupt Posting": an armed vector is entered into a posted-interrupt descriptor from now on, without the host;
   * with `undefined` it goes to the host vector again.
   */
  postInterrupt(index: number, target: PostedTarget | undefined): Software
  /** Gives the function back: reset, mappings of this handle gone, former driver bound again. */
  release(): Software
}

/** `7.2+bus-isolation`: 7.2 with the grouping of the 2025 series "Fix incorrect iommu_groups with PCIe ACS". */
export type KernelVersion = '6.1' | '7.2' | '7.2+bus-isolation'

export interface HostOptions {
  /** Of the world: for trace events. */
  readonly engine: Engine
  /** The kernel command line, e.g. `intel_iommu=on iommu=pt`. */
  readonly commandLine?: string
  /** Whose grouping and ownership rules apply. Default `6.1`. */
  readonly kernel?: KernelVersion
  /** Whether VFs get their driver when they appear (`sriov_drivers_autoprobe`). Default true. */
  readonly driversAutoprobe?: boolean
  /** Drivers this kernel lacks: functions stay without one. */
  readonly missingDrivers?: readonly string[]
  /** Functions that get no driver, or this driver, whatever their ids say. */
  readonly driverOverrides?: Readonly<Record<string, string | null>>
  /** Names of remapping units by register base; default `dmar0`, `dmar1` … in the order of the DMAR table. */
  readonly unitNames?: ReadonlyMap<number, string>
  /**
   * Whether the fault event interrupt is unmasked: its handler reads every fault into the kernel's log and clears the
   * recording registers. Default false: faults stay in the registers, where they can be looked at.
   */
  readonly faultInterrupts?: boolean
  /** VFs to enable at the end of boot, by PF address. */
  readonly bootVfs?: Readonly<Record<string, number>>
}
