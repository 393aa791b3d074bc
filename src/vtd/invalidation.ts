/**
 * What each invalidation drops, whether it came through a register or the queue. Nothing is ever in flight between two
 * accesses to the unit, so draining is always done.
 */
import type { PageNumber } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import type { ContextCache } from './context-cache.ts'
import { GRANULARITY } from './formats/registers.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import type { Iotlb } from './iotlb.ts'

/** Bits of the source-id that a context invalidation compares, by function mask (FM). */
const FUNCTION_MASKS = [0xffff, 0xfffb, 0xfff9, 0xfff8] as const

/** Functions that hold device-TLBs, for the unit to tell them. */
export interface DeviceTlbPort {
  /** Drops translations of `count` pages from `page` on, in the device-TLB of a function. */
  invalidate(sourceId: number, page: PageNumber, count: number): void
}

export class Invalidation {
  readonly #contexts: ContextCache
  readonly #iotlb: Iotlb
  readonly #interrupts: InterruptEntryCache
  readonly #capabilities: UnitCapabilities
  readonly #trace: Trace
  readonly #unit: string

  constructor(
    caches: { contexts: ContextCache; iotlb: Iotlb; interrupts: InterruptEntryCache },
    capabilities: UnitCapabilities,
    trace: Trace,
    unit: string,
  ) {
    this.#contexts = caches.contexts
    this.#iotlb = caches.iotlb
    this.#interrupts = caches.interrupts
    this.#capabilities = capabilities
    this.#trace = trace
    this.#unit = unit
  }

  /** "Context-cache Invalidation". Returns the granularity done, `none` for a reserved one. */
  contextCache(granularity: number, domainId: number, sourceId: number, functionMask: number): number {
    if (granularity === GRANULARITY.none) return GRANULARITY.none
    if (granularity === GRANULARITY.global) this.#contexts.invalidateAll()
    else if (granularity === GRANULARITY.domain) this.#contexts.invalidateDomain(domainId)
    else this.#contexts.invalidateDevice(domainId, sourceId, FUNCTION_MASKS[functionMask]!)
    if (this.#trace.enabled) this.#tell('context-cache', { granularity, domainId, sourceId, functionMask })
    return granularity
  }

  /**
   * "IOTLB Invalidation" of 2^`addressMask` pages around `page`, if page-selective. Returns the granularity done: `none`
   * for a reserved one or too large a mask, `domain` where pages cannot be selected.
   */
  iotlb(granularity: number, domainId: number, page: PageNumber, addressMask: number): number {
    if (granularity === GRANULARITY.none) return GRANULARITY.none
    let done = granularity
    if (granularity === GRANULARITY.page) {
      if (this.#capabilities.PSI === 0) done = GRANULARITY.domain
      else if (addressMask > this.#capabilities.MAMV) return GRANULARITY.none
    }
    if (done === GRANULARITY.global) this.#iotlb.invalidateAll()
    else if (done === GRANULARITY.domain) this.#iotlb.invalidateDomain(domainId)
    else {
      const pages = 2 ** addressMask
      const inWidth = page % 2 ** (this.#capabilities.MGAW + 1 - 12)
      this.#iotlb.invalidatePages(domainId, Math.floor(inWidth / pages) * pages, pages)
    }
    if (this.#trace.enabled) this.#tell('IOTLB', { granularity: done, domainId, page, addressMask })
    return done
  }

  /** "Interrupt Entry Cache Invalidation" of all entries, or of those that agree with `index` above the mask. */
  interruptEntries(all: boolean, index: number, indexMask: number): void {
    if (all) this.#interrupts.invalidateAll()
    else this.#interrupts.invalidateIndex(index, indexMask)
    if (this.#trace.enabled) this.#tell('interrupt entry cache', { all, index, indexMask })
  }

  /** What SRTP does to the caches with `CAP.ESRTPS`. */
  rootTableChanged(): void {
    this.#contexts.invalidateAll()
    this.#iotlb.invalidateAll()
  }

  /** What SIRTP, and disabling interrupt remapping, do to the cache with `CAP.ESIRTPS`. */
  interruptTableChanged(): void {
    this.#interrupts.invalidateAll()
  }

  #tell(cache: string, detail: Readonly<Record<string, unknown>>): void {
    this.#trace.emit('invalidation', `${this.#unit} invalidated its ${cache}`, {
      unit: this.#unit,
      cache,
      ...detail,
    })
  }
}
