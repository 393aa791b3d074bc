/** What inspection shows: registers, fault records and cache entries with every field by name. */
import {
  type Fields,
  formatRequesterId,
  get,
  hex,
  hex64,
  type PageNumber,
  type RequesterId,
} from '../core/index.ts'
import { GRANT } from './access.ts'
import { FAULT } from './formats/fault-codes.ts'
import { faultReason } from './formats/fault-reasons.ts'
import {
  CONTEXT_ENTRY,
  CONTEXT_ENTRY_WORDS,
  IRTE,
  PASID_TABLE_ENTRY,
  PASID_TABLE_ENTRY_WORDS,
  SCALABLE_CONTEXT_ENTRY,
  SCALABLE_CONTEXT_ENTRY_WORDS,
} from './formats/structures.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import { FAULT_SHIFT, type Iotlb } from './iotlb.ts'
import { PAGES_IN_ENTRY } from './paging-geometry.ts'
import type { RegisterBlock } from './register-block.ts'
import { SCALABLE_CONTEXT } from './scalable-tables.ts'
import { ERRONEOUS } from './structure-cache.ts'
import { KIND, type TaggedCache } from './tagged-cache.ts'
import type { TranslationCacheSizes, TranslationCaches } from './translation-caches.ts'

export interface RegisterView {
  readonly name: string
  /** Bytes from the register base, `0x…`. */
  readonly offset: string
  /** Bits. */
  readonly width: number
  readonly value: string
  readonly fields: FieldsView
}

/** Fields of 16 bits and more as `0x…` (address fields as the address they stand for), narrower ones as numbers. */
export type FieldsView = Readonly<Record<string, string | number>>

export interface FaultRecordView {
  /** Number of the fault recording register. */
  readonly index: number
  readonly value: string
  /** `FRCD.FR`, `0x…` */
  readonly reason: string
  readonly name: string
  /** `bb:dd.f` */
  readonly source: string
  /** Input address of a request (page), or of an interrupt the index shifted as FI holds it. */
  readonly address: string
  readonly access: 'read' | 'write'
  readonly interruptIndex?: number
  readonly fields: FieldsView
}

/** Entries of each cache; sets are powers of two. */
export interface CacheSizes extends TranslationCacheSizes {
  /** Entries of the direct-mapped interrupt entry cache. */
  readonly interruptEntries: number
}

export interface CacheViews {
  readonly context: readonly {
    readonly source: string
    readonly raw: string
    readonly fields: FieldsView
    /** Reason code of a cached erroneous entry (caching mode). */
    readonly fault?: string
  }[]
  readonly pasid: readonly {
    readonly source: string
    readonly pasid: string
    readonly raw: string
    readonly fields: FieldsView
    readonly fault?: string
  }[]
  readonly iotlb: readonly {
    readonly kind: 'secondStage' | 'firstStage' | 'nested'
    readonly domainId: string
    /** First-stage and nested entries only. */
    readonly pasid?: string
    readonly address: string
    /** Bytes that the entry covers. */
    readonly size: number
    readonly physicalAddress: string
    readonly read: boolean
    readonly write: boolean
    /** First-stage and nested entries: whether user requests may use it, and whether a write needs no D set first. */
    readonly user?: boolean
    readonly dirty?: boolean
    readonly fault?: string
  }[]
  readonly paging: readonly {
    readonly kind: 'secondStage' | 'firstStage' | 'nested'
    readonly level: number
    readonly domainId: string
    readonly pasid?: string
    readonly address: string
    /** Bytes that the entry covers. */
    readonly size: number
    /** The table that the entry points to. */
    readonly table: string
  }[]
  readonly interruptEntries: readonly {
    readonly index: number
    readonly raw: string
    readonly fields: FieldsView
  }[]
}

const ADDRESS_FIELDS = new Set([
  'RTA',
  'IQA',
  'IRTA',
  'FLA',
  'PQA',
  'PLMB',
  'PLML',
  'PHMB',
  'PHML',
  'MA',
  'CTP',
  'SSPTPTR',
  'LCTP',
  'UCTP',
  'PASIDDIRPTR',
  'SMPTBLPTR',
  'FSPTPTR',
  'ADDR',
  'FI',
  'STADDR',
])

export function fieldsView(fields: Fields, words: ArrayLike<number>, base = 0): FieldsView {
  return Object.fromEntries(
    Object.entries(fields).map(([name, f]) => {
      const value = get(f, words, base)
      if (ADDRESS_FIELDS.has(name)) return [name, hex(value * 2 ** (f.low % 64))]
      return [name, f.high - f.low >= 15 ? hex(value) : value]
    }),
  )
}

/** A structure of one or more words as one `0x…` number. */
export function rawView(words: ArrayLike<number>, base: number, count: number): string {
  if (count === 1) return hex(words[base]!, 8)
  let text = ''
  for (let at = base + count - 2; at >= base; at -= 2) text += hex64(words[at]!, words[at + 1]!).slice(2)
  return `0x${text}`
}

export function registerViews({ registers, file: { words } }: RegisterBlock): RegisterView[] {
  return registers.map(({ name, offset, width, at, f }) => ({
    name,
    offset: hex(offset),
    width,
    value: rawView(words, at, width / 32),
    fields: fieldsView(f, words, at),
  }))
}

/** The record in fault recording register `index`, whether or not its F is set. */
export function faultRecordView({ FRCD, file: { words } }: RegisterBlock, index: number): FaultRecordView {
  const { at, f } = FRCD[index]!
  const reason = get(f.FR, words, at)
  const isInterrupt = reason >= FAULT.interruptRequestReserved && reason <= FAULT.interruptRangeAccess
  return {
    index,
    value: rawView(words, at, 4),
    reason: hex(reason, 2),
    name: faultReason(reason)?.name ?? 'unknown',
    source: formatRequesterId(get(f.SID, words, at) as RequesterId),
    address: hex(get(f.FI, words, at) * 4096),
    access: get(f.T1, words, at) === 0 ? 'write' : 'read',
    ...(isInterrupt ? { interruptIndex: get(f.FI, words, at) / 2 ** 36 } : {}),
    fields: fieldsView(f, words, at),
  }
}

/** Records with F set. */
export function faultRecordViews(block: RegisterBlock): FaultRecordView[] {
  return block.FRCD.map((_, index) => faultRecordView(block, index)).filter(view => view.fields['F'] === 1)
}

export function cacheViews(caches: TranslationCaches, interrupts: InterruptEntryCache): CacheViews {
  const { contexts, pasids, iotlb, paging } = caches
  return {
    context: [...contexts.entries()].map(slot => {
      const at = slot * SCALABLE_CONTEXT_ENTRY_WORDS
      const kind = contexts.kindOf(slot)
      const scalable = kind === SCALABLE_CONTEXT || kind >= ERRONEOUS + FAULT.scalableContextAccess
      return {
        source: formatRequesterId(contexts.sourceIdOf(slot) as RequesterId),
        raw: rawView(contexts.raw, at, scalable ? SCALABLE_CONTEXT_ENTRY_WORDS : CONTEXT_ENTRY_WORDS),
        fields: fieldsView(scalable ? SCALABLE_CONTEXT_ENTRY : CONTEXT_ENTRY, contexts.raw, at),
        ...(kind < ERRONEOUS ? {} : { fault: hex(kind - ERRONEOUS, 2) }),
      }
    }),
    pasid: [...pasids.entries()].map(slot => {
      const at = slot * PASID_TABLE_ENTRY_WORDS
      const kind = pasids.kindOf(slot)
      return {
        source: formatRequesterId(pasids.sourceIdOf(slot) as RequesterId),
        pasid: hex(pasids.pasidOf(slot)),
        raw: rawView(pasids.raw, at, PASID_TABLE_ENTRY_WORDS),
        fields: fieldsView(PASID_TABLE_ENTRY, pasids.raw, at),
        ...(kind < ERRONEOUS ? {} : { fault: hex(kind - ERRONEOUS, 2) }),
      }
    }),
    iotlb: [...iotlb.entries()].map(slot => iotlbEntryView(iotlb, slot)),
    paging: [...paging.entries()].map(([cache, slot]) => ({
      kind: KIND_NAMES[cache.kindOf(slot)]!,
      level: cache.levelOf(slot),
      ...spaceView(cache, slot),
      table: hex(cache.valueOf(slot) * 4096),
    })),
    interruptEntries: [...interrupts.entries()].map(slot => ({
      index: interrupts.indexOf(slot),
      raw: rawView(interrupts.raw, slot * 4, 4),
      fields: fieldsView(IRTE, interrupts.raw, slot * 4),
    })),
  }
}

const KIND_NAMES = ['secondStage', 'firstStage', 'nested'] as const

const spaceView = (cache: TaggedCache, slot: number) => ({
  domainId: hex(cache.domainIdOf(slot)),
  ...(cache.kindOf(slot) === KIND.secondStage ? {} : { pasid: hex(cache.pasidOf(slot)) }),
  address: address64(cache.firstPageOf(slot)),
  size: 4096 * PAGES_IN_ENTRY[cache.levelOf(slot)]!,
})

/** Canonical first-stage addresses may have 64 bits. */
const address64 = (page: PageNumber): string =>
  page < 2 ** 40 ? hex(page * 4096) : hex64((page % 0x10_0000) * 4096, Math.floor(page / 0x10_0000))

export function iotlbEntryView(iotlb: Iotlb, slot: number): CacheViews['iotlb'][number] {
  const attributes = iotlb.attributesOf(slot)
  const kind = iotlb.kindOf(slot)
  const fault = attributes >>> FAULT_SHIFT
  const writable = GRANT.write | GRANT.firstWrite
  return {
    kind: KIND_NAMES[kind]!,
    ...spaceView(iotlb, slot),
    physicalAddress: hex(iotlb.translate(slot, iotlb.firstPageOf(slot)) * 4096),
    read: (attributes & GRANT.read) !== 0,
    write:
      kind === KIND.secondStage ? (attributes & GRANT.write) !== 0 : (attributes & writable) === writable,
    ...(kind === KIND.secondStage
      ? {}
      : { user: (attributes & GRANT.user) !== 0, dirty: (attributes & GRANT.dirty) !== 0 }),
    ...(fault === 0 ? {} : { fault: hex(fault, 2) }),
  }
}
