/**
 * What each invalidation drops, whether it came through a register or the queue. Nothing is ever in flight between two
 * accesses to the unit, so draining (DR, DW, PD) is always done.
 */
import type { PageNumber } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { PASID_CACHE_GRANULARITY } from './formats/invalidation-descriptors.ts'
import { GRANULARITY } from './formats/registers.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import type { Quirks } from './quirks.ts'
import type { TranslationCaches } from './translation-caches.ts'

/** What of the tables of a unit may have changed: told once its caches know it no more. */
export interface InvalidationListener {
  /** Root, context or PASID-table entries. */
  entries(): void
  /** Leaves and tables below them, of `count` pages from `page` on. */
  pages(page: PageNumber, count: number): void
}

/** More than any address has. */
const EVERY_PAGE = 2 ** 52

export class Invalidation {
  readonly #caches: TranslationCaches
  readonly #interrupts: InterruptEntryCache
  readonly #capabilities: UnitCapabilities
  readonly #quirks: Quirks
  readonly #trace: Trace
  readonly #unit: string
  readonly #changed: () => void
  readonly #listener: InvalidationListener | undefined

  /** @param changed called when anything was dropped. */
  constructor(
    caches: { translations: TranslationCaches; interrupts: InterruptEntryCache },
    capabilities: UnitCapabilities,
    quirks: Quirks,
    trace: Trace,
    unit: string,
    changed: () => void,
    listener: InvalidationListener | undefined,
  ) {
    this.#caches = caches.translations
    this.#interrupts = caches.interrupts
    this.#capabilities = capabilities
    this.#quirks = quirks
    this.#trace = trace
    this.#unit = unit
    this.#changed = changed
    this.#listener = listener
  }

  /** "Context-cache Invalidation". Returns the granularity done, `none` for a reserved one. */
  contextCache(granularity: number, domainId: number, sourceId: number, functionMask: number): number {
    if (granularity === GRANULARITY.none) return GRANULARITY.none
    const asGlobal = granularity === GRANULARITY.domain && this.#quirks.contextDomainInvalidationIsGlobal
    const done = asGlobal ? GRANULARITY.global : granularity
    if (done === GRANULARITY.global) this.#caches.invalidateContexts()
    else if (done === GRANULARITY.domain) this.#caches.invalidateContextsOfDomain(domainId)
    else this.#caches.invalidateContextsOfDevice(domainId, sourceId, functionMask)
    this.#listener?.entries()
    this.#tell('context-cache', { granularity: done, domainId, sourceId, functionMask })
    return done
  }

  /**
   * "IOTLB Invalidation" of 2^`addressMask` pages around `page`, if page-selective; `leafOnly` (IH) keeps entries that
   * point to tables. Returns the granularity done: `none` for a reserved one or too large a mask, `domain` where pages
   * cannot be selected.
   */
  iotlb(
    granularity: number,
    domainId: number,
    page: PageNumber,
    addressMask: number,
    leafOnly: boolean,
  ): number {
    if (granularity === GRANULARITY.none) return GRANULARITY.none
    let done = granularity
    if (granularity === GRANULARITY.page) {
      if (this.#capabilities.PSI === 0) done = GRANULARITY.domain
      else if (addressMask > this.#capabilities.MAMV) return GRANULARITY.none
    }
    if (done === GRANULARITY.global) this.#caches.invalidateIotlb()
    else if (done === GRANULARITY.domain) this.#caches.invalidateIotlbOfDomain(domainId)
    else this.#caches.invalidateIotlbPages(domainId, page, addressMask, leafOnly)
    if (done === GRANULARITY.page) this.#tellPages(page, addressMask)
    else this.#listener?.pages(0, EVERY_PAGE)
    this.#tell('IOTLB', { granularity: done, domainId, page, addressMask })
    return done
  }

  /** "PASID-cache Invalidation". */
  pasidCache(granularity: number, domainId: number, pasid: number): void {
    if (granularity === PASID_CACHE_GRANULARITY.global) this.#caches.invalidatePasidEntries()
    else if (granularity === PASID_CACHE_GRANULARITY.domain) {
      this.#caches.invalidatePasidEntriesOfDomain(domainId)
    } else this.#caches.invalidatePasidEntry(domainId, pasid)
    this.#listener?.entries()
    this.#tell('PASID-cache', { granularity, domainId, pasid })
  }

  /** "PASID-based IOTLB Invalidation" of a whole PASID. */
  pasidIotlb(domainId: number, pasid: number): void {
    this.#caches.invalidatePasidIotlb(domainId, pasid)
    this.#listener?.pages(0, EVERY_PAGE)
    this.#tell('PASID-based IOTLB', { domainId, pasid })
  }

  /** And of 2^`addressMask` pages around `page`. */
  pasidIotlbPages(
    domainId: number,
    pasid: number,
    page: PageNumber,
    addressMask: number,
    leafOnly: boolean,
  ): void {
    this.#caches.invalidatePasidIotlbPages(domainId, pasid, page, addressMask, leafOnly)
    this.#tellPages(page, addressMask)
    this.#tell('PASID-based IOTLB', { domainId, pasid, page, addressMask })
  }

  /** "Interrupt Entry Cache Invalidation" of all entries, or of those that agree with `index` above the mask. */
  interruptEntries(all: boolean, index: number, indexMask: number): void {
    if (all) this.#interrupts.invalidateAll()
    else this.#interrupts.invalidateIndex(index, indexMask)
    this.#tell('interrupt entry cache', { all, index, indexMask })
  }

  /** All caches of DMA remapping: SRTP with `CAP.ESRTPS`, and disabling translation in a unit with scalable mode. */
  everythingForDma(): void {
    this.#caches.invalidateContexts()
    this.#caches.invalidatePasidEntries()
    this.#caches.invalidateIotlb()
    this.#listener?.entries()
    this.#changed()
  }

  /** SIRTP, and disabling interrupt remapping, with `CAP.ESIRTPS`. */
  everythingForInterrupts(): void {
    this.#interrupts.invalidateAll()
  }

  #tellPages(page: PageNumber, addressMask: number): void {
    const count = 2 ** addressMask
    this.#listener?.pages(Math.floor(page / count) * count, count)
  }

  #tell(cache: string, detail: Readonly<Record<string, unknown>>): void {
    this.#changed()
    if (!this.#trace.enabled) return
    this.#trace.emit('invalidation', `${this.#unit} invalidated its ${cache}`, {
      unit: this.#unit,
      cache,
      ...detail,
    })
  }
}
