/**
 * The tables that a unit would walk for a requester, as they are in memory: every entry with its fields by name. What
 * caches hold is shown elsewhere, and may differ.
 */
import { type Fields, formatAddress64, get, hex, type PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import {
  AW_LEVELS_OFFSET,
  CONTEXT_ENTRY,
  FIRST_STAGE_ENTRY,
  FIRST_STAGE_PAGING_MODE,
  PASID_DIRECTORY_ENTRY,
  PASID_GRANULAR_TRANSLATION_TYPE,
  PASID_TABLE_ENTRY,
  ROOT_ENTRY,
  SCALABLE_CONTEXT_ENTRY,
  SCALABLE_ROOT_ENTRY,
  SECOND_STAGE_ENTRY,
  TRANSLATION_TYPE,
} from './formats/structures.ts'
import { type FieldsView, fieldsView, rawView } from './views.ts'

export interface TableEntryView {
  readonly table: 'root' | 'context' | 'pasidDirectory' | 'pasid' | 'firstStage' | 'secondStage' | 'aperture'
  /** Physical address of the entry. */
  readonly address: string
  readonly raw: string
  readonly present: boolean
  readonly fields: FieldsView
  /** Paging entries: level (1 is the lowest), and the input addresses that the entry covers. */
  readonly level?: number
  readonly input?: string
  readonly size?: number
}

export interface TableQuery {
  /** Page of the root table, and whether its entries are of scalable mode. */
  readonly root: PageNumber
  readonly scalable: boolean
  readonly sourceId: number
  /** Without: RID_PASID of the context entry. */
  readonly pasid?: number | undefined
  /** Paging entries that cover lower addresses are left out. */
  readonly fromPage: PageNumber
}

const FAN_OUT = 512
const SPAN = [0, 1, FAN_OUT, FAN_OUT ** 2, FAN_OUT ** 3, FAN_OUT ** 4, FAN_OUT ** 5] as const

type Words = Uint32Array

/** In the order of the walk, depth first; tables that lie outside memory end it. */
export function* tableEntries(memory: PhysicalMemory, query: TableQuery): Generator<TableEntryView> {
  const { root, scalable, sourceId } = query
  const bus = sourceId >>> 8
  const upper = (sourceId & 0x80) !== 0
  const rootWords = entryAt(memory, root, bus, 4)
  if (rootWords === undefined) return
  const rootFields: Fields = scalable ? SCALABLE_ROOT_ENTRY : ROOT_ENTRY
  const rootPresent = scalable
    ? get(upper ? SCALABLE_ROOT_ENTRY.UP : SCALABLE_ROOT_ENTRY.LP, rootWords) === 1
    : get(ROOT_ENTRY.P, rootWords) === 1
  yield view('root', root, bus, rootWords, rootFields, rootPresent)
  if (!rootPresent) return
  if (!scalable) return yield* legacyEntries(memory, get(ROOT_ENTRY.CTP, rootWords), query)
  const contexts = get(upper ? SCALABLE_ROOT_ENTRY.UCTP : SCALABLE_ROOT_ENTRY.LCTP, rootWords)
  yield* scalableEntries(memory, contexts, query)
}

function* legacyEntries(
  memory: PhysicalMemory,
  contexts: PageNumber,
  { sourceId, fromPage }: TableQuery,
): Generator<TableEntryView> {
  const context = entryAt(memory, contexts, sourceId & 0xff, 4)
  if (context === undefined) return
  const present = get(CONTEXT_ENTRY.P, context) === 1
  yield view('context', contexts, sourceId & 0xff, context, CONTEXT_ENTRY, present)
  if (!present || get(CONTEXT_ENTRY.TT, context) === TRANSLATION_TYPE.passThrough) return
  const levels = get(CONTEXT_ENTRY.AW, context) + AW_LEVELS_OFFSET
  yield* pagingEntries(memory, get(CONTEXT_ENTRY.SSPTPTR, context), levels, 'secondStage', fromPage)
}

function* scalableEntries(
  memory: PhysicalMemory,
  contexts: PageNumber,
  { sourceId, pasid, fromPage }: TableQuery,
): Generator<TableEntryView> {
  const context = entryAt(memory, contexts, sourceId & 0x7f, 8)
  if (context === undefined) return
  const present = get(SCALABLE_CONTEXT_ENTRY.P, context) === 1
  yield view('context', contexts, sourceId & 0x7f, context, SCALABLE_CONTEXT_ENTRY, present)
  if (!present) return
  const space = pasid ?? get(SCALABLE_CONTEXT_ENTRY.RID_PASID, context)
  const directory = get(SCALABLE_CONTEXT_ENTRY.PASIDDIRPTR, context)
  const inDirectory = entryAt(memory, directory, space >>> 6, 2)
  if (inDirectory === undefined) return
  const hasTable = get(PASID_DIRECTORY_ENTRY.P, inDirectory) === 1
  yield view('pasidDirectory', directory, space >>> 6, inDirectory, PASID_DIRECTORY_ENTRY, hasTable)
  if (!hasTable) return
  const table = get(PASID_DIRECTORY_ENTRY.SMPTBLPTR, inDirectory)
  const entry = entryAt(memory, table, space & 63, 16)
  if (entry === undefined) return
  const valid = get(PASID_TABLE_ENTRY.P, entry) === 1
  yield view('pasid', table, space & 63, entry, PASID_TABLE_ENTRY, valid)
  if (!valid) return
  const { firstStage, secondStage, nested } = PASID_GRANULAR_TRANSLATION_TYPE
  const type = get(PASID_TABLE_ENTRY.PGTT, entry)
  if (type === firstStage) {
    const five = get(PASID_TABLE_ENTRY.FSPM, entry) === FIRST_STAGE_PAGING_MODE.fiveLevel
    const top = get(PASID_TABLE_ENTRY.FSPTPTR, entry)
    yield* pagingEntries(memory, top, five ? 5 : 4, 'firstStage', fromPage)
  } else if (type === secondStage || type === nested) {
    // Of nested tables the second stage is shown: pointers of the first are guest-physical.
    const levels = get(PASID_TABLE_ENTRY.AW, entry) + AW_LEVELS_OFFSET
    yield* pagingEntries(memory, get(PASID_TABLE_ENTRY.SSPTPTR, entry), levels, 'secondStage', fromPage)
  }
}

/** Present entries from an input page on, those above the leaves too. */
function* pagingEntries(
  memory: PhysicalMemory,
  table: PageNumber,
  level: number,
  stage: 'firstStage' | 'secondStage',
  fromPage: PageNumber,
  first: PageNumber = 0,
): Generator<TableEntryView> {
  const words = level > 5 || level < 1 ? undefined : memory.page(table)?.words
  if (words === undefined) return
  const fields = stage === 'firstStage' ? FIRST_STAGE_ENTRY : SECOND_STAGE_ENTRY
  const presence = stage === 'firstStage' ? 1 : 3
  const span = SPAN[level]!
  const start = Math.min(Math.max(Math.floor((fromPage - first) / span), 0), FAN_OUT)
  for (let index = start; index < FAN_OUT; index++) {
    if ((words[index * 2]! & presence) === 0) continue
    const entry = words.slice(index * 2, index * 2 + 2)
    const covered = first + index * span
    yield {
      ...view(stage, table, index, entry, fields, true),
      level,
      input: formatAddress64({ page: covered, offset: 0 }),
      size: span * 4096,
    }
    if (level === 1 || get(fields.PS, entry) === 1) continue
    yield* pagingEntries(memory, get(fields.ADDR, entry), level - 1, stage, fromPage, covered)
  }
}

function view(
  table: TableEntryView['table'],
  page: PageNumber,
  index: number,
  words: Words,
  fields: Fields,
  present: boolean,
): TableEntryView {
  const address = hex(page * 4096 + index * words.length * 4)
  return { table, address, raw: wideRaw(words), present, fields: fieldsView(fields, words) }
}

/** All words as one number. */
function wideRaw(words: Words): string {
  let text = ''
  for (let at = words.length - 2; at >= 0; at -= 2) text += rawView(words, at, 2).slice(2)
  return `0x${text}`
}

/** The entry, or undefined outside memory. Tables of several pages are contiguous. */
function entryAt(memory: PhysicalMemory, table: PageNumber, index: number, words: number): Words | undefined {
  const perPage = 1024 / words
  const page = memory.page(table + Math.floor(index / perPage))?.words
  const at = (index % perPage) * words
  return page?.slice(at, at + words)
}
