/** Root table, context tables, PASID directories and PASID tables of one unit in scalable mode. */
import { type PageNumber, type RequesterId, set } from '../../core/index.ts'
import {
  AW_LEVELS_OFFSET,
  FIRST_STAGE_PAGING_MODE,
  PASID_DIRECTORY_ENTRY,
  PASID_GRANULAR_TRANSLATION_TYPE,
  PASID_TABLE_ENTRY,
  PASID_TABLE_ENTRY_WORDS,
  ROOT_ENTRY_WORDS,
  SCALABLE_CONTEXT_ENTRY,
  SCALABLE_CONTEXT_ENTRY_WORDS,
  SCALABLE_ROOT_ENTRY,
} from '../../vtd/formats/index.ts'
import type { TableMemory } from '../table-memory.ts'
import type { GuestTable } from '../types.ts'
import {
  ascending,
  type RequesterTables,
  type RequesterTarget,
  type SavedRequesterTables,
} from './context-tables.ts'

/** Requests without PASID use this one (RID_PASID). */
export const REQUESTER_PASID = 0
/** A directory of one page has 2^(PDTS+7) = 512 entries. */
const ONE_PAGE_DIRECTORY = 2
const DIRECTORY_ENTRY_WORDS = 2

interface PasidTables {
  readonly directory: PageNumber
  /** Entries of PASIDs 0 to 63. */
  readonly table: PageNumber
}

export class ScalableTables implements RequesterTables {
  readonly root: PageNumber
  readonly #memory: TableMemory
  /** "PWSNP": walks of paging structures are snooped, where the unit can be asked to. */
  readonly #snoopedWalks: boolean
  /** Context table of each half of a bus (requester id without its lower seven bits). */
  readonly #contexts = new Map<number, PageNumber>()
  readonly #pasids = new Map<RequesterId, PasidTables>()

  /** @param saved tables that are in memory already. */
  constructor(memory: TableMemory, snoopedWalks: boolean, saved?: SavedRequesterTables) {
    this.#memory = memory
    this.#snoopedWalks = snoopedWalks
    this.root = saved?.root ?? memory.allocate()
    for (const [half, table] of saved?.contexts ?? []) this.#contexts.set(half, table)
    for (const [rid, directory, table] of saved?.pasids ?? [])
      this.#pasids.set(rid as RequesterId, { directory, table })
  }

  save(): SavedRequesterTables {
    return {
      root: this.root,
      contexts: ascending(this.#contexts),
      pasids: ascending(this.#pasids).map(([rid, { directory, table }]) => [rid, directory, table]),
    }
  }

  missing(rids: readonly RequesterId[]): number {
    return this.#missingHalves(rids).length + 2 * this.#missingPasids(rids).length
  }

  prepare(rids: readonly RequesterId[]): void {
    const halves = this.#missingHalves(rids)
    const pasids = this.#missingPasids(rids)
    const pages = this.#memory.allocateMany(halves.length + 2 * pasids.length)
    for (const half of halves) {
      const page = pages.shift()!
      this.#contexts.set(half, page)
      const entry = new Uint32Array(ROOT_ENTRY_WORDS)
      const bus = half >>> 1
      for (const known of [half & ~1, half | 1]) {
        const table = this.#contexts.get(known)
        if (table === undefined) continue
        const { LP, LCTP, UP, UCTP } = SCALABLE_ROOT_ENTRY
        set(known & 1 ? UP : LP, entry, 1)
        set(known & 1 ? UCTP : LCTP, entry, table)
      }
      for (const [word, value] of entry.entries()) {
        this.#memory.writeWord(this.root, bus, ROOT_ENTRY_WORDS, word, value)
      }
    }
    for (const rid of pasids) {
      const tables = { directory: pages.shift()!, table: pages.shift()! }
      this.#pasids.set(rid, tables)
      const entry = new Uint32Array(DIRECTORY_ENTRY_WORDS)
      set(PASID_DIRECTORY_ENTRY.P, entry, 1)
      set(PASID_DIRECTORY_ENTRY.SMPTBLPTR, entry, tables.table)
      this.#memory.write(tables.directory, REQUESTER_PASID >>> 6, entry)
    }
  }

  point(rid: RequesterId, target: RequesterTarget): void {
    const { directory, table } = this.#pasids.get(rid)!
    this.#memory.write(table, REQUESTER_PASID, this.#pasidEntry(target))
    const entry = new Uint32Array(SCALABLE_CONTEXT_ENTRY_WORDS)
    set(SCALABLE_CONTEXT_ENTRY.PDTS, entry, ONE_PAGE_DIRECTORY)
    set(SCALABLE_CONTEXT_ENTRY.PASIDDIRPTR, entry, directory)
    set(SCALABLE_CONTEXT_ENTRY.DTE, entry, Number(target.deviceTlb))
    set(SCALABLE_CONTEXT_ENTRY.PRE, entry, Number(target.pageRequests))
    set(SCALABLE_CONTEXT_ENTRY.P, entry, 1)
    this.#memory.write(this.#contexts.get(rid >>> 7)!, rid & 0x7f, entry)
  }

  clear(rid: RequesterId): void {
    const context = this.#contexts.get(rid >>> 7)
    if (context === undefined) return
    this.#memory.write(context, rid & 0x7f, new Uint32Array(SCALABLE_CONTEXT_ENTRY_WORDS))
    const tables = this.#pasids.get(rid)
    if (tables !== undefined) {
      this.#memory.write(tables.table, REQUESTER_PASID, new Uint32Array(PASID_TABLE_ENTRY_WORDS))
    }
  }

  release(rid: RequesterId): void {
    const tables = this.#pasids.get(rid)
    if (tables === undefined) return
    this.#pasids.delete(rid)
    this.#memory.free(tables.table)
    this.#memory.free(tables.directory)
  }

  #pasidEntry(target: RequesterTarget): Uint32Array {
    const { domain, table, levels, stage, trackDirty, guestTable } = target
    const entry = new Uint32Array(PASID_TABLE_ENTRY_WORDS)
    set(PASID_TABLE_ENTRY.DID, entry, domain)
    set(PASID_TABLE_ENTRY.PWSNP, entry, Number(this.#snoopedWalks))
    if (table === undefined) {
      set(PASID_TABLE_ENTRY.PGTT, entry, PASID_GRANULAR_TRANSLATION_TYPE.passThrough)
    } else if (stage === 'first') {
      set(PASID_TABLE_ENTRY.PGTT, entry, PASID_GRANULAR_TRANSLATION_TYPE.firstStage)
      set(
        PASID_TABLE_ENTRY.FSPM,
        entry,
        levels === 5 ? FIRST_STAGE_PAGING_MODE.fiveLevel : FIRST_STAGE_PAGING_MODE.fourLevel,
      )
      set(PASID_TABLE_ENTRY.FSPTPTR, entry, table)
    } else {
      const { secondStage, nested } = PASID_GRANULAR_TRANSLATION_TYPE
      set(PASID_TABLE_ENTRY.PGTT, entry, guestTable === undefined ? secondStage : nested)
      if (guestTable !== undefined) nest(entry, guestTable)
      set(PASID_TABLE_ENTRY.AW, entry, levels - AW_LEVELS_OFFSET)
      set(PASID_TABLE_ENTRY.SSADE, entry, Number(trackDirty))
      set(PASID_TABLE_ENTRY.SSPTPTR, entry, table)
    }
    set(PASID_TABLE_ENTRY.P, entry, 1)
    return entry
  }

  #missingHalves(rids: readonly RequesterId[]): number[] {
    return [...new Set(rids.map(rid => rid >>> 7))].filter(half => !this.#contexts.has(half))
  }

  #missingPasids(rids: readonly RequesterId[]): RequesterId[] {
    return [...new Set(rids)].filter(rid => !this.#pasids.has(rid))
  }
}

/** What of an entry is the guest's. */
function nest(entry: Uint32Array, table: GuestTable): void {
  const { fourLevel, fiveLevel } = FIRST_STAGE_PAGING_MODE
  set(PASID_TABLE_ENTRY.FSPM, entry, table.levels === 5 ? fiveLevel : fourLevel)
  set(PASID_TABLE_ENTRY.FSPTPTR, entry, table.page)
  set(PASID_TABLE_ENTRY.SRE, entry, Number(table.supervisorRequests))
  set(PASID_TABLE_ENTRY.WPE, entry, Number(table.writeProtection))
  // Without snooped walks flags are not set in the guest's table, which then faults where they would have to be.
  set(PASID_TABLE_ENTRY.PWSNP, entry, Number(table.snoopedWalks))
  set(PASID_TABLE_ENTRY.EAFE, entry, Number(table.extendedAccessed))
}
