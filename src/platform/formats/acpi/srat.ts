/** "System Resource Affinity Table" (SRAT): which proximity domain processors and memory belong to. */
import { decodeEntries, type EntryOf, encodeEntries } from './entries.ts'
import { decodeStructure, encodeStructure, layout } from './layout.ts'
import { decodeHeader, encodeTable, type TableHeader } from './table.ts'

/** Bit of an entry's Flags: without it the entry is to be ignored. */
export const AFFINITY_ENABLED = 1

/** `one` is a reserved field that holds 1 for compatibility. */
const TABLE = layout(12, { one: [0, 4] })

const ENTRIES = {
  /** The proximity domain is split: see {@link proximityDomainOf}. */
  processor: {
    type: 0,
    fixed: layout(16, {
      proximityLow: [2, 1],
      apicId: [3, 1],
      flags: [4, 4],
      sapicEid: [8, 1],
      proximityHigh: [9, 3],
      clockDomain: [12, 4],
    }),
  },
  memory: {
    type: 1,
    fixed: layout(40, { proximityDomain: [2, 4], base: [8, 8], size: [16, 8], flags: [28, 4] }),
  },
  x2Apic: {
    type: 2,
    fixed: layout(24, { proximityDomain: [4, 4], apicId: [8, 4], flags: [12, 4], clockDomain: [16, 4] }),
  },
} as const

export type SratEntry = EntryOf<typeof ENTRIES>

export interface Srat {
  readonly header: TableHeader
  readonly one: number
  readonly entries: readonly SratEntry[]
}

/** The proximity domain that a known entry gives. */
export const proximityDomainOf = (entry: Exclude<SratEntry, { kind: 'unknown' }>): number =>
  entry.kind === 'processor' ? entry.proximityLow + entry.proximityHigh * 256 : entry.proximityDomain

export function decodeSrat(bytes: Uint8Array): Srat {
  const header = decodeHeader(bytes, 'SRAT')
  const fixed = decodeStructure('SRAT', TABLE, bytes, 36, bytes.length)
  return { header, ...fixed, entries: decodeEntries('SRAT', ENTRIES, bytes, 36 + TABLE.size) }
}

export const encodeSrat = (table: Srat): Uint8Array =>
  encodeTable(table.header, encodeStructure(TABLE, table), ...encodeEntries(ENTRIES, table.entries))
