/** What inspection shows: registers, fault records and cache entries with every field by name. */
import { type Fields, formatRequesterId, get, hex, hex64, type RequesterId } from '../core/index.ts'
import { type ContextCache, ERRONEOUS } from './context-cache.ts'
import { FAULT, faultReason } from './formats/fault-reasons.ts'
import { CONTEXT_ENTRY, IRTE } from './formats/structures.ts'
import type { InterruptEntryCache } from './interrupt-entry-cache.ts'
import type { Iotlb } from './iotlb.ts'
import type { RegisterBlock } from './register-block.ts'
import { PAGES_WITHIN, READ, WRITE } from './second-stage.ts'

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
export interface CacheSizes {
  readonly contextSets: number
  readonly contextWays: number
  readonly iotlbSets: number
  readonly iotlbWays: number
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
  readonly iotlb: readonly {
    readonly domainId: string
    readonly address: string
    /** Bytes that the entry covers. */
    readonly size: number
    readonly physicalAddress: string
    readonly read: boolean
    readonly write: boolean
    readonly fault?: string
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

/** A structure of two or four words as one `0x…` number. */
export const rawView = (words: ArrayLike<number>, base: number, count: number): string =>
  count === 4
    ? hex64(words[base + 2]!, words[base + 3]!) + hex64(words[base]!, words[base + 1]!).slice(2)
    : count === 2
      ? hex64(words[base]!, words[base + 1]!)
      : hex(words[base]!, 8)

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

export function cacheViews(context: ContextCache, iotlb: Iotlb, interrupts: InterruptEntryCache): CacheViews {
  return {
    context: [...context.entries()].map(slot => ({
      source: formatRequesterId(context.sourceIdOf(slot) as RequesterId),
      raw: rawView(context.raw, slot * 4, 4),
      fields: fieldsView(CONTEXT_ENTRY, context.raw, slot * 4),
      ...(context.kindOf(slot) < ERRONEOUS ? {} : { fault: hex(context.kindOf(slot) - ERRONEOUS, 2) }),
    })),
    iotlb: [...iotlb.entries()].map(slot => iotlbEntryView(iotlb, slot)),
    interruptEntries: [...interrupts.entries()].map(slot => ({
      index: interrupts.indexOf(slot),
      raw: rawView(interrupts.raw, slot * 4, 4),
      fields: fieldsView(IRTE, interrupts.raw, slot * 4),
    })),
  }
}

export function iotlbEntryView(iotlb: Iotlb, slot: number): CacheViews['iotlb'][number] {
  return {
    domainId: hex(iotlb.domainIdOf(slot)),
    address: hex(iotlb.firstPageOf(slot) * 4096),
    size: 4096 * (PAGES_WITHIN[iotlb.levelOf(slot)]! + 1),
    physicalAddress: hex(iotlb.translate(slot, iotlb.firstPageOf(slot)) * 4096),
    read: (iotlb.attributesOf(slot) & READ) !== 0,
    write: (iotlb.attributesOf(slot) & WRITE) !== 0,
    ...(iotlb.attributesOf(slot) < 256 ? {} : { fault: hex(iotlb.attributesOf(slot) >>> 8, 2) }),
  }
}
