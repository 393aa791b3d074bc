/** "IOTLB": leaf translations by domain-id, PASID and page, with the rights of the whole walk, for all page sizes at once. */
import type { PageNumber } from '../core/index.ts'
import { PASID_BITS, type Replacement, TaggedCache } from './tagged-cache.ts'

/** Reason code of an erroneous entry in the attributes (caching mode): from this bit on. */
export const FAULT_SHIFT = 16

/**
 * Levels are those of the leaf (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). A lookup probes the 4-KiB entries, and the larger sizes
 * only while there are any. The value of a slot is what to add to an input page number to get the host page number.
 */
export class Iotlb extends TaggedCache {
  readonly #taggedBySourceId: boolean

  /** @param taggedBySourceId for a departing implementation, whose functions share no entries. */
  constructor(sets: number, ways: number, replacement?: Replacement, taggedBySourceId = false) {
    super(sets, ways, replacement)
    this.#taggedBySourceId = taggedBySourceId
  }

  /** To be added to the PASID of lookups and fills: 0, or what tells source-ids apart (of buses 8 up not all). */
  ownerOf(sourceId: number): number {
    return this.#taggedBySourceId ? ((sourceId ^ (sourceId >>> 11)) & 0x7ff) * 2 ** PASID_BITS : 0
  }

  /** The slot that translates a page of an address space, or -1. */
  lookup(space: number, pasid: number, page: PageNumber): number {
    const slot = this.probe(space * 8 + 1, pasid, page)
    if (slot >= 0) return slot
    const { inUse } = this
    if (inUse[2] !== 0) {
      const large = this.probe(space * 8 + 2, pasid, Math.floor(page * 2 ** -9))
      if (large >= 0) return large
    }
    return inUse[3] === 0 ? -1 : this.probe(space * 8 + 3, pasid, Math.floor(page * 2 ** -18))
  }

  /** Host page of an input page that the slot covers. */
  translate(slot: number, page: PageNumber): PageNumber {
    return page + this.valueOf(slot)
  }

  /** Enters a leaf: `frame` is the host page of `page` itself. Returns whether that replaced another entry. */
  fill(
    space: number,
    pasid: number,
    level: number,
    page: PageNumber,
    frame: PageNumber,
    attributes: number,
  ): boolean {
    return this.enter(space, pasid, level, page, frame - page, attributes)
  }
}
