/**
 * "Paging-Structure Caches": entries that point to another table, a cache for each level, so that a walk starts at the
 * lowest table whose way is known. An entry holds the host frame of the table it points to and the rights so far.
 */
import type { PageNumber, Saved } from '../core/index.ts'
import { MAX_LEVELS, unitOf } from './paging-geometry.ts'
import { type Replacement, TaggedCache } from './tagged-cache.ts'

/** Lowest level of an entry that points to a table. */
const LOWEST = 2

export class PagingStructureCaches {
  /** By level, 2 to 5. */
  readonly #levels: readonly (TaggedCache | undefined)[]
  /** Whether any level is cached. */
  readonly inUse: boolean
  // What the last lookup found: level of the entry, frame of the table that it points to, and rights of the way there.
  level = 0
  table: PageNumber = 0
  attributes = 0

  /** `sets[0]` is for level 2 (entries that point to page tables), `sets[3]` for level 5; 0 for a level not cached. */
  constructor(sets: readonly number[], ways: number, replacement: Replacement) {
    this.#levels = Array.from({ length: MAX_LEVELS + 1 }, (_, level) => {
      const count = sets[level - LOWEST] ?? 0
      return count === 0 ? undefined : new TaggedCache(count, ways, replacement)
    })
    this.inUse = this.#levels.some(cache => cache !== undefined)
  }

  /** Whether there is an entry of a level up to `levels` on the way to a page: the lowest one is described above. */
  lookup(space: number, pasid: number, page: PageNumber, levels: number): boolean {
    if (!this.inUse) return false
    for (let level = LOWEST; level <= levels; level++) {
      const cache = this.#levels[level]
      if (cache === undefined) continue
      const slot = cache.probe(space, pasid, level, unitOf(page, level))
      if (slot < 0) continue
      this.level = level
      this.table = cache.valueOf(slot)
      this.attributes = cache.attributesOf(slot)
      return true
    }
    return false
  }

  fill(
    space: number,
    pasid: number,
    level: number,
    page: PageNumber,
    table: PageNumber,
    attributes: number,
  ): void {
    const cache = this.#levels[level]
    if (cache === undefined) return
    const unit = unitOf(page, level)
    const slot = cache.probe(space, pasid, level, unit)
    if (slot >= 0) cache.drop(slot)
    cache.enter(space, pasid, level, unit, table, attributes)
  }

  set countsUses(on: boolean) {
    for (const cache of this.#levels) if (cache !== undefined) cache.countsUses = on
  }

  invalidateAll(): void {
    for (const cache of this.#levels) cache?.invalidateAll()
  }

  invalidateDomain(domainId: number): void {
    for (const cache of this.#levels) cache?.invalidateDomain(domainId)
  }

  invalidatePages(domainId: number, page: PageNumber, count: number): void {
    for (const cache of this.#levels) cache?.invalidatePages(domainId, page, count)
  }

  invalidatePasidPages(domainId: number, pasid: number, page: PageNumber, count: number): void {
    for (const cache of this.#levels) cache?.invalidatePasidPages(domainId, pasid, page, count)
  }

  /** Caches and the slots in use of each, by level ascending. */
  *entries(): Generator<readonly [cache: TaggedCache, slot: number]> {
    for (const cache of this.#levels) {
      if (cache === undefined) continue
      for (const slot of cache.entries()) yield [cache, slot]
    }
  }

  save(): Saved {
    return this.#levels.map(cache => cache?.save() ?? null)
  }

  load(saved: Saved): void {
    const parts = saved as readonly Saved[]
    this.#levels.forEach((cache, level) => {
      cache?.load(parts[level]!)
    })
  }
}
