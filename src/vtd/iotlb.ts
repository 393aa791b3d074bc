/** "IOTLB": leaf translations by domain-id, PASID and page, with the rights of the whole walk, for all page sizes at once. */
import type { PageNumber } from '../core/index.ts'
import { pageWithin, unitOf } from './paging-geometry.ts'
import { PASID_BITS, type Replacement, TaggedCache } from './tagged-cache.ts'

/** Reason code of an erroneous entry in the attributes (caching mode): from this bit on. */
export const FAULT_SHIFT = 16

/**
 * Levels are those of the leaf (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). A lookup probes the 4-KiB entries, and the larger
 * sizes only while there are any. The value of a slot is the first host page.
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
    const slot = this.probe(space, pasid, 1, page)
    return slot >= 0 || !this.holdsLarge ? slot : this.#lookupLarge(space, pasid, page)
  }

  #lookupLarge(space: number, pasid: number, page: PageNumber): number {
    const large = this.probe(space, pasid, 2, unitOf(page, 2))
    return large >= 0 ? large : this.probe(space, pasid, 3, unitOf(page, 3))
  }

  /** Host page of an input page that the slot covers. */
  translate(slot: number, page: PageNumber): PageNumber {
    return this.valueOf(slot) + pageWithin(page, this.levelOf(slot))
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
    if (level === 1) return this.enter(space, pasid, level, page, frame, attributes)
    return this.enter(space, pasid, level, unitOf(page, level), frame - pageWithin(page, level), attributes)
  }

  /** Enters a leaf of level 1, whose {@link tagOf tag} is given, unless there is a translation of the page. Returns whether it did. */
  fillNew(tag: number, pasid: number, page: PageNumber, frame: PageNumber, attributes: number): boolean {
    if (this.holdsLarge && this.#lookupLarge(tag >> 3, pasid, page) >= 0) return false
    return this.enterNew(tag, pasid, page, frame, attributes)
  }
}
