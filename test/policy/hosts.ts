/** Hosts for tests of policies: PFs with VFs on NUMA nodes, described, not simulated. */
import type { Device, PolicyHost } from '../../src/policy/index.ts'

export interface Nic {
  readonly bus: number
  readonly vfs: number
  readonly numaNode: number
  /** VFs share one IOMMU group, below a port that does not isolate. */
  readonly unisolated?: boolean
}

const hex = (value: number): string => value.toString(16).padStart(2, '0')

function functionsOf({ bus, vfs, numaNode, unisolated = false }: Nic): Device[] {
  const pf = `0000:${hex(bus)}:00.0`
  const common = {
    vendorId: '8086',
    classCode: '020000',
    numaNode,
    pcieRoot: `pci0000:${hex(bus & 0xe0)}`,
    ...(unisolated ? { unisolatedBelow: `0000:00:${hex(bus & 0x1f)}.0` } : {}),
  }
  return [
    {
      ...common,
      address: pf,
      role: 'PF',
      productId: '10fb',
      driver: 'ixgbe',
      iommuGroup: bus * 100,
      sriov: { totalVfs: 63, numVfs: vfs },
      network: { name: `ens${bus}`, physicalFunctionName: `ens${bus}`, linkType: 'ether' },
    },
    ...Array.from(
      { length: vfs },
      (_, index): Device => ({
        ...common,
        address: `0000:${hex(bus)}:${hex(0x10 + (index >>> 2))}.${(index & 3) * 2}`,
        role: 'VF',
        productId: '10ed',
        driver: 'ixgbevf',
        parent: pf,
        vfIndex: index,
        iommuGroup: unisolated ? bus * 100 : bus * 100 + 1 + index,
        network: { physicalFunctionName: `ens${bus}`, linkType: 'ether' },
      }),
    ),
  ]
}

export const hostWith = (
  name: string,
  nics: readonly Nic[],
  changes: Partial<PolicyHost> = {},
): PolicyHost => ({
  name,
  devices: nics.flatMap(functionsOf),
  numaNodes: [...new Set(nics.map(({ numaNode }) => numaNode))].map(id => ({ id, socket: id })),
  isolatedInterrupts: true,
  users: new Map(),
  ...changes,
})
