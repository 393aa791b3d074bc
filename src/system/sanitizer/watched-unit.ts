/** What the sanitizer knows of one unit, and the same as plain data. */
import type { PageNumber, Saved } from '../../core/index.ts'
import type { RemappingUnit } from '../../vtd/index.ts'
import type { InvalidationReader } from './invalidations.ts'
import { type SavedTables, savedTables, tablesIn, type UnitTables } from './table-snapshot.ts'
import type { Pending } from './translation-changes.ts'

export interface WatchedUnit {
  readonly unit: RemappingUnit
  readonly registerBase: number
  readonly invalidations: InvalidationReader
  tables: UnitTables
  pending: Pending[]
  /** Tables that went out of the walk, with their domains. */
  unlinked: { readonly domain: number; readonly page: PageNumber }[]
  /** Requesters whose context entries have changed. */
  readonly contexts: Set<number>
}

export type SavedUnitWatch = {
  readonly tables: SavedTables
  readonly pending: readonly { readonly [Key in keyof Pending]: Pending[Key] }[]
  readonly unlinked: readonly { readonly domain: number; readonly page: PageNumber }[]
  readonly contexts: readonly number[]
  /** How far the invalidation queue was read. */
  readonly tail: number
}

export type SavedWatch = {
  readonly version: 1
  readonly dirty: boolean
  readonly log: Saved
  readonly units: readonly SavedUnitWatch[]
}

export const watchIn = (saved: SavedUnitWatch, unit: RemappingUnit) => ({
  tables: tablesIn(saved.tables, unit),
  pending: saved.pending.map(one => ({ ...one })),
  unlinked: saved.unlinked.map(one => ({ ...one })),
  contexts: new Set(saved.contexts),
})

export const savedUnit = (watched: WatchedUnit): SavedUnitWatch => ({
  tables: savedTables(watched.tables),
  pending: watched.pending.map(one => ({ ...one })),
  unlinked: watched.unlinked.map(one => ({ ...one })),
  contexts: [...watched.contexts],
  tail: watched.invalidations.save(),
})
