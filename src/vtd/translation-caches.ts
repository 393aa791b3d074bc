/**
 * The translation caches of a unit and what each granularity of invalidation drops: "Context-Cache", "PASID-Cache",
 * "IOTLB", "Paging-Structure Caches". Nothing is ever in flight between two accesses to the unit, so draining is always
 * done.
 */
import type { PageNumber, Saved } from '../core/index.ts'
import { ContextCache } from './context-cache.ts'
import { Iotlb } from './iotlb.ts'
import { PagingStructureCaches } from './paging-structure-caches.ts'
import { PasidCache } from './pasid-cache.ts'
import type { Replacement } from './tagged-cache.ts'

/** Bits of the source-id that a context invalidation compares, by function mask (FM). */
const FUNCTION_MASKS = [0xffff, 0xfffb, 0xfff9, 0xfff8] as const

/** Entries of each translation cache; sets are powers of two. */
export interface TranslationCacheSizes {
  readonly contextSets: number
  readonly contextWays: number
  readonly pasidSets: number
  readonly pasidWays: number
  readonly iotlbSets: number
  readonly iotlbWays: number
  /** Sets of the paging-structure caches for entries of level 2 (to page tables), 3, 4 and 5; 0 turns one off. */
  readonly pagingSets: readonly number[]
  readonly pagingWays: number
  /** Of IOTLB and paging-structure caches. */
  readonly replacement: Replacement
}

export const DEFAULT_TRANSLATION_CACHES: TranslationCacheSizes = {
  contextSets: 64,
  contextWays: 4,
  pasidSets: 64,
  pasidWays: 4,
  iotlbSets: 256,
  iotlbWays: 4,
  pagingSets: [128, 32, 8, 4],
  pagingWays: 4,
  replacement: 'fifo',
}

export class TranslationCaches {
  readonly contexts: ContextCache
  readonly pasids: PasidCache
  readonly iotlb: Iotlb
  readonly paging: PagingStructureCaches
  /** Pages below CAP.MGAW + 1 bits: address bits above are ignored in second-stage invalidations. */
  readonly #guestPages: number

  /** @param taggedBySourceId whether IOTLB entries are a source-id's own. */
  constructor(sizes: TranslationCacheSizes, guestAddressWidth: number, taggedBySourceId = false) {
    this.contexts = new ContextCache(sizes.contextSets, sizes.contextWays)
    this.pasids = new PasidCache(sizes.pasidSets, sizes.pasidWays)
    this.iotlb = new Iotlb(sizes.iotlbSets, sizes.iotlbWays, sizes.replacement, taggedBySourceId)
    this.paging = new PagingStructureCaches(sizes.pagingSets, sizes.pagingWays, sizes.replacement)
    this.#guestPages = 2 ** (guestAddressWidth - 12)
  }

  /** Off while a request is explained: what is looked up then was not used. */
  set countsUses(on: boolean) {
    this.iotlb.countsUses = on
    this.paging.countsUses = on
  }

  invalidateAll(): void {
    this.invalidateContexts()
    this.invalidatePasidEntries()
    this.invalidateIotlb()
  }

  invalidateContexts(): void {
    this.contexts.invalidateAll()
  }

  /** Entries of scalable mode carry no domain-id: all of them go. */
  invalidateContextsOfDomain(domainId: number): void {
    this.contexts.invalidateDomain(domainId)
  }

  /** `functionMask` is FM as descriptors encode it, 0 to 3. */
  invalidateContextsOfDevice(domainId: number, sourceId: number, functionMask: number): void {
    this.contexts.invalidateDevice(domainId, sourceId, FUNCTION_MASKS[functionMask]!)
  }

  invalidatePasidEntries(): void {
    this.pasids.invalidateAll()
  }

  invalidatePasidEntriesOfDomain(domainId: number): void {
    this.pasids.invalidateDomain(domainId)
  }

  invalidatePasidEntry(domainId: number, pasid: number): void {
    this.pasids.invalidatePasid(domainId, pasid)
  }

  invalidateIotlb(): void {
    this.iotlb.invalidateAll()
    this.paging.invalidateAll()
  }

  invalidateIotlbOfDomain(domainId: number): void {
    this.iotlb.invalidateDomain(domainId)
    this.paging.invalidateDomain(domainId)
  }

  /**
   * Second-stage entries that overlap the 2^`addressMask` pages around `page`, and all first-stage and nested ones of
   * the domain. `leafOnly` (IH) keeps entries that point to tables.
   */
  invalidateIotlbPages(domainId: number, page: PageNumber, addressMask: number, leafOnly: boolean): void {
    const count = 2 ** addressMask
    const first = Math.floor((page % this.#guestPages) / count) * count
    this.iotlb.invalidatePages(domainId, first, count)
    if (!leafOnly) this.paging.invalidatePages(domainId, first, count)
  }

  /** First-stage and nested entries of a PASID. */
  invalidatePasidIotlb(domainId: number, pasid: number): void {
    this.iotlb.invalidatePasidPages(domainId, pasid, 0, Number.POSITIVE_INFINITY)
    this.paging.invalidatePasidPages(domainId, pasid, 0, Number.POSITIVE_INFINITY)
  }

  /** First-stage and nested entries of a PASID that overlap the 2^`addressMask` pages around `page`. */
  invalidatePasidIotlbPages(
    domainId: number,
    pasid: number,
    page: PageNumber,
    addressMask: number,
    leafOnly: boolean,
  ): void {
    const count = 2 ** addressMask
    const first = Math.floor(page / count) * count
    this.iotlb.invalidatePasidPages(domainId, pasid, first, count)
    if (!leafOnly) this.paging.invalidatePasidPages(domainId, pasid, first, count)
  }

  save(): Saved {
    return {
      contexts: this.contexts.save(),
      pasids: this.pasids.save(),
      iotlb: this.iotlb.save(),
      paging: this.paging.save(),
    }
  }

  load(saved: Saved): void {
    const { contexts, pasids, iotlb, paging } = saved as Readonly<Record<string, Saved>>
    this.contexts.load(contexts!)
    this.pasids.load(pasids!)
    this.iotlb.load(iotlb!)
    this.paging.load(paging!)
  }
}
