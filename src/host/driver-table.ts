/** The drivers of this kernel as data: what they bind to, and what about them other parts have to know. */
import { PORT_TYPE } from '../pcie/formats/index.ts'
import type { HostPciFunction } from './pci/pci-function.ts'

export interface DriverRow {
  readonly name: string
  /** Vendor and device ids, or a class: a row with neither matches nothing by itself. */
  readonly ids?: readonly (readonly [vendor: number, device: number])[]
  /** Base class and subclass (16 bits), or with programming interface (24 bits). */
  readonly class?: number
  /** Only ports of PCI Express, and event collectors. */
  readonly portsOnly?: true
  /** Whether it uses DMA through the kernel's interfaces, which keeps user space off its whole group. */
  readonly kernelDma: boolean
  /** It asks for Memory Write and Invalidate, for which Linux sets the cache line size. */
  readonly wantsWriteInvalidate?: true
  /** It never turns bus mastering on: its device does no DMA of its own. */
  readonly noBusMaster?: true
  /** Message-signalled vectors it asks for at most; 0: it does with INTx or none. */
  readonly vectors: number
  /** How it answers `sriov_numvfs`; absent: it has no such callback. */
  readonly sriov?: {
    /** VFs that it can serve, below what the device has. */
    readonly limit?: number
    /** It refuses VFs if it could not get MSI-X. */
    readonly needsMsix?: true
  }
}

const intel = (...devices: readonly number[]) => devices.map(device => [0x8086, device] as const)

/** In order of preference: ids before classes. */
export const DRIVERS: readonly DriverRow[] = [
  {
    name: 'igb',
    ids: intel(
      0x10a7,
      0x10c9,
      0x10e6,
      0x10e7,
      0x10e8,
      0x150a,
      0x150d,
      0x1518,
      0x1526,
      0x150e,
      0x1521,
      0x1522,
    ),
    kernelDma: true,
    vectors: 9,
    // One pool of the eight is the PF's.
    sriov: { limit: 7, needsMsix: true },
  },
  {
    // Of a card that is invented, as this driver is.
    name: 'synthetic_eswitch',
    ids: [[0x1b36, 0xe500]],
    kernelDma: true,
    vectors: 9,
    sriov: { limit: 7, needsMsix: true },
  },
  { name: 'igbvf', ids: [...intel(0x10ca, 0x1520), [0x1b36, 0xe501]], kernelDma: true, vectors: 3 },
  {
    name: 'ixgbe',
    ids: intel(0x10fb, 0x10f7, 0x10f8, 0x10fc, 0x151c, 0x1528, 0x154d, 0x1557, 0x1558, 0x1563),
    kernelDma: true,
    vectors: 64,
    sriov: { limit: 63, needsMsix: true },
  },
  { name: 'ixgbevf', ids: intel(0x10ed, 0x1515, 0x1565), kernelDma: true, vectors: 3 },
  {
    name: 'i40e',
    ids: intel(0x1572, 0x1583, 0x1584, 0x158a, 0x158b),
    kernelDma: true,
    vectors: 64,
    sriov: {},
  },
  { name: 'iavf', ids: intel(0x154c, 0x1889), kernelDma: true, vectors: 5 },
  { name: 'ice', ids: intel(0x1592, 0x1593, 0x159b), kernelDma: true, vectors: 64, sriov: {} },
  { name: 'e1000e', ids: intel(0x10d3, 0x10f6), kernelDma: true, vectors: 3 },
  {
    name: 'e1000',
    ids: intel(0x100e, 0x100f, 0x1004),
    kernelDma: true,
    vectors: 0,
  },
  { name: '8139cp', ids: [[0x10ec, 0x8139]], kernelDma: true, wantsWriteInvalidate: true, vectors: 0 },
  {
    name: 'virtio-pci',
    ids: [
      [0x1af4, 0x1000],
      [0x1af4, 0x1041],
      [0x1af4, 0x1042],
    ],
    kernelDma: true,
    vectors: 3,
    sriov: {},
  },
  {
    name: 'mlx5_core',
    // ConnectX-4 to -7, PFs and VFs.
    ids: Array.from({ length: 0x1022 - 0x1013 }, (_, i) => [0x15b3, 0x1013 + i] as const),
    kernelDma: true,
    vectors: 64,
    sriov: {},
  },
  {
    name: 'bnxt_en',
    ids: [
      [0x14e4, 0x16d7],
      [0x14e4, 0x16dc],
    ],
    kernelDma: true,
    vectors: 64,
    sriov: {},
  },
  { name: 'c6xx', ids: intel(0x37c8), kernelDma: true, vectors: 17, sriov: {} },
  { name: 'c6xxvf', ids: intel(0x37c9), kernelDma: true, vectors: 1 },
  { name: '4xxx', ids: intel(0x4940), kernelDma: true, vectors: 65, sriov: {} },
  { name: '4xxxvf', ids: intel(0x4941), kernelDma: true, vectors: 2 },
  // The vendor's driver, which enables VFs for virtual GPUs.
  {
    name: 'nvidia',
    ids: [
      [0x10de, 0x1eb8],
      [0x10de, 0x25b6],
      [0x10de, 0x20f1],
    ],
    kernelDma: true,
    vectors: 6,
    sriov: {},
  },
  { name: 'idxd', ids: intel(0x0b25), kernelDma: true, vectors: 9 },
  { name: 'ioatdma', ids: intel(0x2021), kernelDma: true, vectors: 1 },
  { name: 'i801_smbus', ids: intel(0x2930), kernelDma: true, noBusMaster: true, vectors: 0 },
  { name: 'lpc_ich', ids: intel(0x2918), kernelDma: true, noBusMaster: true, vectors: 0 },
  // The simulator's own accelerator (devices/ats-accelerator.json) and its VFs.
  {
    name: 'accelerator',
    ids: [
      [0x1b36, 0x00a5],
      [0x1b36, 0x00a6],
    ],
    kernelDma: true,
    vectors: 16,
    sriov: {},
  },
  { name: 'nvme', class: 0x010802, kernelDma: true, vectors: 64, sriov: {} },
  { name: 'ahci', class: 0x010601, kernelDma: true, vectors: 1 },
  { name: 'xhci_hcd', class: 0x0c0330, kernelDma: true, wantsWriteInvalidate: true, vectors: 8 },
  { name: 'ehci_hcd', class: 0x0c0320, kernelDma: true, wantsWriteInvalidate: true, vectors: 0 },
  { name: 'uhci_hcd', class: 0x0c0300, kernelDma: true, vectors: 0 },
  { name: 'pcieport', class: 0x0604, portsOnly: true, kernelDma: false, vectors: 32 },
  // Event collectors of the root complex.
  { name: 'pcieport', class: 0x0807, portsOnly: true, kernelDma: false, vectors: 32 },
  // Bound by name only. The first is for physical functions that have no driver of their own to serve their VFs.
  { name: 'pci-pf-stub', kernelDma: false, vectors: 0, sriov: {} },
  { name: 'vfio-pci', kernelDma: false, vectors: 0 },
  { name: 'pci-stub', kernelDma: false, vectors: 0 },
]

export const driverNamed = (name: string | null): DriverRow | undefined =>
  DRIVERS.find(driver => driver.name === name)

/** The driver that would bind to a function by its ids or class. */
export function driverFor(fn: HostPciFunction, missing: readonly string[]): DriverRow | undefined {
  const present = DRIVERS.filter(({ name }) => !missing.includes(name))
  return (
    present.find(({ ids }) =>
      ids?.some(([vendor, device]) => vendor === fn.vendorId && device === fn.deviceId),
    ) ??
    present.find(
      driver =>
        driver.class !== undefined &&
        (driver.class === fn.classCode || driver.class === fn.classCode >>> 8) &&
        (driver.portsOnly !== true || isPort(fn)),
    )
  )
}

const isPort = ({ kind, expressType }: HostPciFunction): boolean =>
  kind === 'rootPort' ||
  kind === 'upstreamPort' ||
  kind === 'downstreamPort' ||
  expressType === PORT_TYPE.eventCollector

/** Devices that vfio-pci refuses because they do not isolate their users: QuickAssist, DSA and IAX generations. */
export const VFIO_DENY_LIST: readonly (readonly [vendor: number, device: number])[] = intel(
  ...[0x0435, 0x0443, 0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0b25, 0x0cfe],
)
