/** Which host pages a requester reaches by the tables as they stand: every leaf of its tables, judged by the unit's rules. */
import { get, hex, type PageNumber, parseAddress64 } from '../../core/index.ts'
import type { ApertureUnit } from '../../gart/index.ts'
import type { PhysicalMemory } from '../../memory/index.ts'
import type { DecidingEntry } from '../../policy/isolation/index.ts'
import { PASID_DIRECTORY_ENTRY, PASID_TABLE_ENTRY } from '../../vtd/formats/index.ts'
import { type TableEntryView, type TableJudge, tableEntries } from '../../vtd/index.ts'

/** Pages that translate alike: contiguous on both sides, with equal rights. */
export interface Mapping {
  input: PageNumber
  /** The same as its tables count: canonical addresses of the upper half follow those of the lower. */
  readonly inTables: PageNumber
  pages: number
  frame: PageNumber
  read: boolean
  write: boolean
  atMost: boolean
}

/** Host addresses have at most 52 bits. */
const ALL_PAGES = 2 ** 40

/** Tables with more leaves are not looked at to the end. */
const MOST_LEAVES = 2 ** 20

const PASS_THROUGH = { legacy: 2, scalable: 4 } as const
const NESTED = 3

export interface TableReach {
  readonly mappings: readonly Mapping[]
  readonly complete: boolean
}

/** What a requester reaches with, or without (-1), a PASID. */
export function tableReach(
  judge: TableJudge,
  memory: PhysicalMemory,
  rid: number,
  pasid: number,
): TableReach {
  const mappings: Mapping[] = []
  if (!judge.translates) {
    if (pasid < 0) add(mappings, unchanged(0, ALL_PAGES))
    return { mappings, complete: true }
  }
  let leaves = 0
  /** Rights of the way down to each level, for nested translation. */
  const rights: number[] = []
  let nested = false
  let top = 0
  for (const entry of entriesOf(judge, memory, rid, pasid)) {
    const { table, level, fields } = entry
    if (level === undefined) {
      if (isPassThrough(entry)) passUnchanged(judge, rid, pasid, mappings)
      nested = table === 'pasid' && fields['PGTT'] === NESTED
      continue
    }
    if (top === 0) top = level
    const inTables = parseAddress64(entry.input!).page
    const input = table === 'firstStage' ? canonical(inTables, top) : inTables
    rights[level] = (rights[level + 1] ?? 3) & (Number(fields['R'] ?? 1) | (Number(fields['W'] ?? 1) << 1))
    for (let above = level - 1; above > 0; above--) rights[above] = 3
    if (level > 1 && fields['PS'] !== 1) continue
    if (++leaves > MOST_LEAVES) return { mappings, complete: false }
    const pages = entry.size! / 4096
    if (nested) {
      const frame = Number(fields['ADDR']) / 4096
      add(mappings, {
        input,
        inTables,
        pages,
        frame,
        read: (rights[level] & 1) !== 0,
        write: (rights[level] & 2) !== 0,
        atMost: true,
      })
      continue
    }
    const readable = judge.frameOf(rid, input, false, pasid)
    const writable = judge.frameOf(rid, input, true, pasid)
    if (readable < 0 && writable < 0) continue
    const frame = Math.max(readable, writable)
    add(mappings, { input, inTables, pages, frame, read: readable >= 0, write: writable >= 0, atMost: false })
  }
  return { mappings, complete: true }
}

const entriesOf = (judge: TableJudge, memory: PhysicalMemory, rid: number, pasid: number, fromPage = 0) =>
  tableEntries(memory, {
    ...judge.unit.rootTable,
    sourceId: rid,
    pasid: pasid < 0 ? undefined : pasid,
    fromPage,
  })

const isPassThrough = ({ table, fields }: TableEntryView): boolean =>
  (table === 'context' && fields['TT'] === PASS_THROUGH.legacy) ||
  (table === 'pasid' && fields['PGTT'] === PASS_THROUGH.scalable)

function passUnchanged(judge: TableJudge, rid: number, pasid: number, into: Mapping[]): void {
  const read = judge.frameOf(rid, 0, false, pasid) === 0
  const write = judge.frameOf(rid, 0, true, pasid) === 0
  if (read || write) add(into, { ...unchanged(0, ALL_PAGES), read, write })
}

/** Addresses used as they are. */
const unchanged = (first: PageNumber, pages: number): Mapping => ({
  input: first,
  inTables: first,
  pages,
  frame: first,
  read: true,
  write: true,
  atMost: false,
})

/** First-stage addresses are sign-extended from the width that the tables translate. */
function canonical(page: PageNumber, levels: number): PageNumber {
  const pages = 512 ** levels
  return page < pages / 2 ? page : page + 2 ** 52 - pages
}

/** Joins what continues the last mapping. */
function add(into: Mapping[], next: Mapping): void {
  const last = into.at(-1)
  if (
    last !== undefined &&
    last.input + last.pages === next.input &&
    last.frame + last.pages === next.frame &&
    last.read === next.read &&
    last.write === next.write
  ) {
    last.pages += next.pages
  } else into.push(next)
}

/** An aperture translates for everybody; other addresses are physical. */
export function apertureReach(aperture: ApertureUnit): TableReach {
  const mappings: Mapping[] = []
  if (!aperture.enabled) add(mappings, unchanged(0, ALL_PAGES))
  else {
    const { firstPage } = aperture
    const end = firstPage + aperture.pages
    add(mappings, unchanged(0, firstPage))
    for (const { input, fields } of aperture.tableEntries(0)) {
      const { page } = parseAddress64(input!)
      add(mappings, { ...unchanged(page, 1), frame: Number(fields['ADDR']) / 4096 })
    }
    add(mappings, unchanged(end, ALL_PAGES - end))
  }
  return { mappings, complete: true }
}

/** The entry by which a requester reaches a page: the leaf, or the entry that needs none. */
export function decidingEntry(
  judge: TableJudge,
  memory: PhysicalMemory,
  rid: number,
  pasid: number,
  page: PageNumber,
): DecidingEntry {
  const unit = judge.unit.id
  if (!judge.translates) return { unit, table: 'disabled' }
  let last: TableEntryView | undefined
  for (const entry of entriesOf(judge, memory, rid, pasid, page)) {
    if (entry.level === undefined) {
      last = entry
      if (isPassThrough(entry)) break
      continue
    }
    if (parseAddress64(entry.input!).page > page) break
    last = entry
    if (entry.level === 1 || entry.fields['PS'] === 1) break
  }
  if (last === undefined || last.table === 'root' || last.table === 'pasidDirectory')
    return { unit, table: 'none' }
  const { table, address, raw, level } = last
  return { unit, table, address, raw, ...(level === undefined ? {} : { level }) }
}

/** PASIDs that have a present entry for a requester, ascending; none in legacy mode. */
export function pasidsOf(judge: TableJudge, memory: PhysicalMemory, rid: number): number[] {
  if (!judge.translates || !judge.unit.rootTable.scalable) return []
  const context = [...entriesOf(judge, memory, rid, 0)].find(({ table }) => table === 'context')
  if (context === undefined || !context.present || context.fields['PASIDE'] !== 1) return []
  const directory = Number(context.fields['PASIDDIRPTR']) / 4096
  const tables = 2 ** (Number(context.fields['PDTS']) + 7)
  const found: number[] = []
  for (let at = 0; at < tables; at++) {
    const words = memory.page(directory + Math.floor(at / 512))?.words
    if (words === undefined || get(PASID_DIRECTORY_ENTRY.P, words, (at % 512) * 2) === 0) continue
    const entries = memory.page(get(PASID_DIRECTORY_ENTRY.SMPTBLPTR, words, (at % 512) * 2))?.words
    for (let pasid = 0; entries !== undefined && pasid < 64; pasid++) {
      if (get(PASID_TABLE_ENTRY.P, entries, pasid * 16) === 1) found.push(at * 64 + pasid)
    }
  }
  return found
}

/** An entry of an interrupt remapping table. */
export const interruptEntry = (judge: TableJudge, index: number, words: Uint32Array): DecidingEntry => ({
  unit: judge.unit.id,
  table: 'interrupt',
  address: hex(judge.unit.interruptTable.table * 4096 + index * 16),
  raw: `0x${[3, 2, 1, 0].map(word => words[word]!.toString(16).padStart(8, '0')).join('')}`,
})
