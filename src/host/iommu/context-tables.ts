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

/** What a context entry is to say. */
export interface ContextTarget {
  readonly domain: DomainId
  /** Top-level table; undefined for pass-through. */
  readonly table: PageNumber | undefined
  /** Levels of the tables, or with pass-through the most that the unit walks. */
  readonly levels: number
}

export class ContextTables {
  readonly root: PageNumber
  readonly #memory: TableMemory
  /** Context table of each bus that has one. */
  readonly #tables = new Map<number, PageNumber>()

  constructor(memory: TableMemory) {
    this.#memory = memory
    this.root = memory.allocate()
  }

  /** Buses of these requesters that have no context table. */
  missing(rids: readonly RequesterId[]): readonly number[] {
    return [...new Set(rids.map(rid => rid >>> 8))].filter(bus => !this.#tables.has(bus))
  }

  /** Makes context tables for the buses of these requesters. Throws `outOfMemory`, with nothing changed. */
  prepare(rids: readonly RequesterId[]): void {
    const buses = this.missing(rids)
    const tables = this.#memory.allocateMany(buses.length)
    for (const [i, bus] of buses.entries()) {
      this.#tables.set(bus, tables[i]!)
      const entry = new Uint32Array(ROOT_ENTRY_WORDS)
      set(ROOT_ENTRY.P, entry, 1)
      set(ROOT_ENTRY.CTP, entry, tables[i]!)
      this.#memory.write(this.root, bus, entry)
    }
  }

  /** Writes the entry of a requester whose bus was prepared. */
  point(rid: RequesterId, { domain, table, levels }: ContextTarget): void {
    const entry = new Uint32Array(CONTEXT_ENTRY_WORDS)
    set(CONTEXT_ENTRY.DID, entry, domain)
    set(CONTEXT_ENTRY.AW, entry, levels - AW_LEVELS_OFFSET)
    set(
      CONTEXT_ENTRY.TT,
      entry,
      table === undefined ? TRANSLATION_TYPE.passThrough : TRANSLATION_TYPE.secondStage,
    )
    if (table !== undefined) set(CONTEXT_ENTRY.SSPTPTR, entry, table)
    set(CONTEXT_ENTRY.P, entry, 1)
    this.#memory.write(this.#tables.get(rid >>> 8)!, rid & 0xff, entry)
  }

  clear(rid: RequesterId): void {
    const table = this.#tables.get(rid >>> 8)
    if (table !== undefined) this.#memory.write(table, rid & 0xff, new Uint32Array(CONTEXT_ENTRY_WORDS))
  }
}
