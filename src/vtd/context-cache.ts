/**
 * "Context-Cache": decoded context entries by source-id. Those of legacy mode are tagged with their domain-id; those of
 * scalable mode have none, so that every domain-selective invalidation takes them.
 */
import { CONTEXT_ENTRY, SCALABLE_CONTEXT_ENTRY_WORDS } from './formats/structures.ts'
import { StructureCache } from './structure-cache.ts'

export { ERRONEOUS } from './structure-cache.ts'

export class ContextCache extends StructureCache {
  constructor(sets: number, ways: number) {
    super(sets, ways, SCALABLE_CONTEXT_ENTRY_WORDS)
  }

  /** The slot of a source-id, or -1. */
  lookup(sourceId: number): number {
    return this.find(sourceId, 0)
  }

  /** `FPD` of the entry: the same bit in both modes. */
  faultProcessingDisabled(slot: number): boolean {
    return (this.raw[slot * SCALABLE_CONTEXT_ENTRY_WORDS]! & CONTEXT_ENTRY.FPD.mask) !== 0
  }

  /** Copies the entry in the scratch slot into the cache. Returns whether that replaced another. */
  keepScratch(sourceId: number): boolean {
    return this.keep(sourceId, 0)
  }

  invalidateDomain(domainId: number): void {
    this.invalidateDevice(domainId, 0, 0)
  }

  /** Drops entries of a domain whose source-id agrees in the bits of `mask`. */
  invalidateDevice(domainId: number, sourceId: number, mask: number): void {
    for (const slot of this.entries()) {
      const differs = (this.sourceIdOf(slot) ^ sourceId) & mask
      if (differs === 0 && this.isOfDomain(slot, domainId)) this.invalidateSlot(slot)
    }
  }
}
