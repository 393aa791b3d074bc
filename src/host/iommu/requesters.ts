/** Under which ids functions' requests reach their units, and functions that are units themselves. */
import type { RequesterId } from '../../core/index.ts'
import { dmaAliases } from '../grouping/dma-aliases.ts'
import type { GroupingFunction } from '../grouping/grouping-function.ts'
import type { HostPciFunction } from '../pci/pci-function.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

/** Class 08, subclass 06: an IOMMU that is a function itself, as AMD's are. It translates all others of its segment. */
const IOMMU_CLASS = 0x0806

/** Every requester id of a function, its own first. */
export const ridsOf = (member: HostPciFunction): RequesterId[] => [
  ...new Set(dmaAliases(member).map(({ rid }) => rid as RequesterId)),
]

/** Each unit once, in the order of the DMAR table. */
export function unitsOf(units: readonly (RemappingUnitDriver | undefined)[]): RemappingUnitDriver[] {
  return [...new Set(units)].filter(unit => unit !== undefined).sort((a, b) => a.index - b.index)
}

/** What grouping will see of a VF before there is one. */
export const plainVirtualFunction = (physical: HostPciFunction): GroupingFunction => ({
  address: physical.address,
  segment: physical.segment,
  rid: physical.rid,
  vendorId: physical.vendorId,
  deviceId: physical.virtualization!.vfDeviceId,
  expressType: physical.expressType,
  bridge: false,
  multifunction: false,
  above: physical.above,
  secondaryBus: 0,
  quirkAliases: [],
  physical,
})

export const isForeignIommu = (fn: HostPciFunction): boolean => fn.classCode >>> 8 === IOMMU_CLASS
