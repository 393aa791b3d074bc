/** "Multiple APIC Description Table" (MADT, signature `APIC`). */
import { decodeEntries, type EntryOf, encodeEntries } from './entries.ts'
import { decodeStructure, encodeStructure, layout } from './layout.ts'
import { decodeHeader, encodeTable, type TableHeader } from './table.ts'

/** Bit of the table's Flags: a dual 8259 is there as well. */
export const MADT_FLAGS = { PCAT_COMPAT: 1 } as const
/** Bits of a local APIC's Flags. */
export const LOCAL_APIC_FLAGS = { ENABLED: 1, ONLINE_CAPABLE: 2 } as const

const TABLE = layout(8, { localApicAddress: [0, 4], flags: [4, 4] })

const ENTRIES = {
  localApic: { type: 0, fixed: layout(8, { processorUid: [2, 1], apicId: [3, 1], flags: [4, 4] }) },
  ioApic: { type: 1, fixed: layout(12, { ioApicId: [2, 1], address: [4, 4], interruptBase: [8, 4] }) },
  interruptSourceOverride: {
    type: 2,
    fixed: layout(10, { bus: [2, 1], source: [3, 1], interrupt: [4, 4], flags: [8, 2] }),
  },
  nmiSource: { type: 3, fixed: layout(8, { flags: [2, 2], interrupt: [4, 4] }) },
  localApicNmi: { type: 4, fixed: layout(6, { processorUid: [2, 1], flags: [3, 2], lint: [5, 1] }) },
  localApicAddressOverride: { type: 5, fixed: layout(12, { address: [4, 8] }) },
  localX2Apic: { type: 9, fixed: layout(16, { apicId: [4, 4], flags: [8, 4], processorUid: [12, 4] }) },
  localX2ApicNmi: { type: 10, fixed: layout(12, { flags: [2, 2], processorUid: [4, 4], lint: [8, 1] }) },
} as const

export type MadtEntry = EntryOf<typeof ENTRIES>

export interface Madt {
  readonly header: TableHeader
  readonly localApicAddress: number
  readonly flags: number
  readonly entries: readonly MadtEntry[]
}

export function decodeMadt(bytes: Uint8Array): Madt {
  const header = decodeHeader(bytes, 'APIC')
  const fixed = decodeStructure('APIC', TABLE, bytes, 36, bytes.length)
  return { header, ...fixed, entries: decodeEntries('APIC', ENTRIES, bytes, 36 + TABLE.size) }
}

export const encodeMadt = (table: Madt): Uint8Array =>
  encodeTable(table.header, encodeStructure(TABLE, table), ...encodeEntries(ENTRIES, table.entries))
