/** Ranges as they were mapped, and which entries of tables they want. */
import type { PageNumber } from '../../core/index.ts'
import type { Rights } from './entry-format.ts'
import type { PageTable, TableLeaf } from './page-table.ts'

export interface Region {
  readonly page: PageNumber
  readonly hostPage: PageNumber
  readonly pages: number
  readonly rights: Rights
  /** How often it was mapped alike. */
  references: number
}

export const alike = (region: Region, hostPage: PageNumber, pages: number, rights: Rights): boolean =>
  region.hostPage === hostPage &&
  region.pages === pages &&
  region.rights.read === rights.read &&
  region.rights.write === rights.write

/** The leaf that a mapping wants in an entry's place, or nothing. */
export type WantedEntry = 'nothing' | { readonly leaf: TableLeaf; readonly rights: Rights }

/** What belongs at a physical address; undefined if it is no entry of these tables. */
export function wantedEntry(
  table: PageTable,
  regions: Iterable<Region>,
  address: number,
): WantedEntry | undefined {
  if (!table.holds(address)) return undefined
  for (const { page, hostPage, pages, rights } of regions) {
    const leaf = table.leafAt(address, page, hostPage, pages)
    if (leaf !== undefined) return { leaf, rights }
  }
  return 'nothing'
}

export function writeWanted(table: PageTable, address: number, wanted: WantedEntry): void {
  if (wanted === 'nothing') table.clearEntry(address)
  else table.rewriteLeaf(wanted.leaf, wanted.rights)
}
