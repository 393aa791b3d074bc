/** Root table and context tables of one remapping unit ("Root Entry", "Context Entry"). */
import { type DomainId, type PageNumber, type RequesterId, set } from '../../core/index.ts'
import {
  AW_LEVELS_OFFSET,
  CONTEXT_ENTRY,
  CONTEXT_ENTRY_WORDS,
  ROOT_ENTRY,
  ROOT_ENTRY_WORDS,
  TRANSLATION_TYPE,
} from '../../vtd/formats/index.ts'
import type { TableMemory } from '../table-memory.ts'
import type { GuestTable } from '../types.ts'

/** What the structures of a requester are to say. */
export interface RequesterTarget {
  readonly domain: DomainId
  /** Top-level table; undefined for pass-through. */
  readonly table: PageNumber | undefined
  /** Levels of the tables, or with pass-through the most that the unit walks. */
  readonly levels: number
  /** Which kind of tables they are; legacy mode knows the second stage alone. */
  readonly stage: 'first' | 'second'
  /** Whether the requester may ask for translations, and use them. */
  readonly deviceTlb: boolean
  /** Whether it may send page requests; scalable mode only. */
  readonly pageRequests: boolean
  /** Whether the unit sets accessed and dirty bits of second-stage entries; scalable mode only. */
  readonly trackDirty: boolean
  /** First-stage table of a guest that is nested in these; scalable mode only. */
  readonly guestTable?: GuestTable | undefined
}

/** Where a unit finds what a requester may reach, in either mode. */
export interface RequesterTables {
  readonly root: PageNumber
  /** Pages that {@link prepare} would have to take. */
  missing(rids: readonly RequesterId[]): number
  /** Makes the tables on the way to these requesters' entries. Throws `outOfMemory`, with nothing changed. */
  prepare(rids: readonly RequesterId[]): void
  /** Writes the entries of a requester that was prepared. */
  point(rid: RequesterId, target: RequesterTarget): void
  /** Takes a requester's entries away; caches may still have them. */
  clear(rid: RequesterId): void
  /** Frees what only this requester used, once no cache knows it. */
  release(rid: RequesterId): void
  save(): SavedRequesterTables
}

export type SavedRequesterTables = {
  readonly root: PageNumber
  /** By bus, or in scalable mode by half a bus. */
  readonly contexts: readonly (readonly [number, PageNumber])[]
  /** Scalable mode: PASID directory and table by requester id. */
  readonly pasids: readonly (readonly [rid: number, directory: PageNumber, table: PageNumber])[]
}

export const ascending = <Value>(map: ReadonlyMap<number, Value>): (readonly [number, Value])[] =>
  [...map].sort(([a], [b]) => a - b)

export class ContextTables implements RequesterTables {
  readonly root: PageNumber
  readonly #memory: TableMemory
  /** Context table of each bus that has one. */
  readonly #tables = new Map<number, PageNumber>()

  /** @param saved tables that are in memory already. */
  constructor(memory: TableMemory, saved?: SavedRequesterTables) {
    this.#memory = memory
    this.root = saved?.root ?? memory.allocate()
    for (const [bus, table] of saved?.contexts ?? []) this.#tables.set(bus, table)
  }

  missing(rids: readonly RequesterId[]): number {
    return this.#missingBuses(rids).length
  }

  #missingBuses(rids: readonly RequesterId[]): readonly number[] {
    return [...new Set(rids.map(rid => rid >>> 8))].filter(bus => !this.#tables.has(bus))
  }

  prepare(rids: readonly RequesterId[]): void {
    const buses = this.#missingBuses(rids)
    const tables = this.#memory.allocateMany(buses.length)
    for (const [i, bus] of buses.entries()) {
      this.#tables.set(bus, tables[i]!)
      const entry = new Uint32Array(ROOT_ENTRY_WORDS)
      set(ROOT_ENTRY.P, entry, 1)
      set(ROOT_ENTRY.CTP, entry, tables[i]!)
      this.#memory.write(this.root, bus, entry)
    }
  }

  point(rid: RequesterId, { domain, table, levels, deviceTlb }: RequesterTarget): void {
    const entry = new Uint32Array(CONTEXT_ENTRY_WORDS)
    set(CONTEXT_ENTRY.DID, entry, domain)
    set(CONTEXT_ENTRY.AW, entry, levels - AW_LEVELS_OFFSET)
    set(
      CONTEXT_ENTRY.TT,
      entry,
      table === undefined
        ? TRANSLATION_TYPE.passThrough
        : deviceTlb
          ? TRANSLATION_TYPE.secondStageWithDeviceTlb
          : TRANSLATION_TYPE.secondStage,
    )
    if (table !== undefined) set(CONTEXT_ENTRY.SSPTPTR, entry, table)
    set(CONTEXT_ENTRY.P, entry, 1)
    this.#memory.write(this.#tables.get(rid >>> 8)!, rid & 0xff, entry)
  }

  clear(rid: RequesterId): void {
    const table = this.#tables.get(rid >>> 8)
    if (table !== undefined) this.#memory.write(table, rid & 0xff, new Uint32Array(CONTEXT_ENTRY_WORDS))
  }

  /** Context tables are shared by the requesters of a bus, and stay. */
  release(): void {}

  save(): SavedRequesterTables {
    return { root: this.root, contexts: ascending(this.#tables), pasids: [] }
  }
}
