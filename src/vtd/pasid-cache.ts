/** "PASID-Cache": decoded PASID-table entries by source-id and PASID, tagged with their domain-id. */
import { PASID_TABLE_ENTRY_WORDS } from './formats/structures.ts'
import { StructureCache } from './structure-cache.ts'

export class PasidCache extends StructureCache {
  constructor(sets: number, ways: number) {
    super(sets, ways, PASID_TABLE_ENTRY_WORDS)
  }

  invalidateDomain(domainId: number): void {
    for (const slot of this.entries()) if (this.isOfDomain(slot, domainId)) this.invalidateSlot(slot)
  }

  invalidatePasid(domainId: number, pasid: number): void {
    for (const slot of this.entries()) {
      if (this.pasidOf(slot) === pasid && this.isOfDomain(slot, domainId)) this.invalidateSlot(slot)
    }
  }
}
