/** The interrupt remapping table of one unit: entries handed out, written, and taken back. */
import { assert, NorthbridgeError, PAGE_SIZE, type PageNumber, set } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { IRTA, IRTE, IRTE_WORDS, POSTED_IRTE, SOURCE_VALIDATION } from '../../vtd/formats/index.ts'
import type { TableMemory } from '../table-memory.ts'
import type { Invalidation } from './invalidation.ts'
import type { UnitRegisters } from './unit-registers.ts'

/** IRTA.S = 15: 2^16 entries of 16 bytes, all that a handle can address. */
const SIZE_ENCODING = 15
const ENTRIES = 2 ** (SIZE_ENCODING + 1)
const ENTRY_BYTES = IRTE_WORDS * 4
const PAGES = (ENTRIES * ENTRY_BYTES) / PAGE_SIZE

/** Whose interrupt requests an entry accepts ("Source Validation"). */
export type InterruptSource =
  | { readonly kind: 'requester'; readonly rid: number }
  | { readonly kind: 'buses'; readonly first: number; readonly last: number }

export interface InterruptTarget {
  readonly apicId: number
  readonly vector: number
}

/** Where a posted interrupt goes: a descriptor in memory, and the bit of PIR. */
export interface PostedTarget {
  /** Physical address of the posted-interrupt descriptor, 64-byte aligned. */
  readonly descriptor: number
  readonly vector: number
  /** Notified even while SN of the descriptor is set. */
  readonly urgent: boolean
}

export type SavedInterruptTable = {
  readonly table: PageNumber
  readonly extended: boolean
  /** Entries that were handed out, ascending. */
  readonly used: readonly number[]
}

export class InterruptTable {
  /** Whether entries may post (CAP.PI). */
  readonly posts: boolean
  readonly #memory: TableMemory
  readonly #invalidate: (requests: readonly Invalidation[]) => Software
  readonly #extended: boolean
  readonly #table: PageNumber
  readonly #used = new Set<number>()

  /** @param extended whether destinations are 32-bit x2APIC ids (EIME); `posts`: whether the unit has CAP.PI. */
  constructor(
    memory: TableMemory,
    extended: boolean,
    posts: boolean,
    invalidate: (requests: readonly Invalidation[]) => Software,
    saved?: SavedInterruptTable,
  ) {
    this.#memory = memory
    this.#extended = extended
    this.posts = posts
    this.#invalidate = invalidate
    this.#table = saved?.table ?? memory.allocate(PAGES)
    for (const index of saved?.used ?? []) this.#used.add(index)
  }

  /** Makes the unit use the table; interrupt requests in remappable format are remapped from then on. */
  *enable(registers: UnitRegisters): Software {
    registers.writePage(IRTA, this.#table, SIZE_ENCODING | (this.#extended ? IRTA.f.EIME.mask : 0))
    yield* registers.command('SIRTP')
    yield* this.#invalidate([{ cache: 'interruptEntry', scope: 'global' }])
    yield* registers.command('IRE')
  }

  /** `count` consecutive free entries, the first a multiple of `alignment`. Throws `outOfResources`. */
  allocate(count: number, alignment = 1): number {
    for (let first = 0; first + count <= ENTRIES; first += alignment) {
      let free = 0
      while (free < count && !this.#used.has(first + free)) free++
      if (free < count) continue
      for (let i = 0; i < count; i++) this.#used.add(first + i)
      return first
    }
    throw new NorthbridgeError(
      'outOfResources',
      `the interrupt remapping table has no ${count} consecutive free entries (${this.#used.size} of ${ENTRIES} are in use)`,
    )
  }

  /** Writes an entry for remapped interrupts. */
  *point(index: number, source: InterruptSource, target: InterruptTarget): Software {
    const entry = new Uint32Array(IRTE_WORDS)
    set(IRTE.P, entry, 1)
    set(IRTE.V, entry, target.vector)
    set(IRTE.DST, entry, this.#extended ? target.apicId : target.apicId << 8)
    yield* this.#write(index, source, entry)
  }

  /** "Interrupt Posting": the same entry enters its interrupts into a descriptor from now on. */
  *post(index: number, source: InterruptSource, target: PostedTarget): Software {
    assert(this.posts, 'only a unit with CAP.PI posts')
    const entry = new Uint32Array(IRTE_WORDS)
    set(POSTED_IRTE.P, entry, 1)
    set(POSTED_IRTE.IM, entry, 1)
    set(POSTED_IRTE.URG, entry, target.urgent ? 1 : 0)
    set(POSTED_IRTE.V, entry, target.vector)
    set(POSTED_IRTE.PDAL, entry, (target.descriptor % 2 ** 32) / 64)
    set(POSTED_IRTE.PDAH, entry, Math.floor(target.descriptor / 2 ** 32))
    yield* this.#write(index, source, entry)
  }

  *#write(index: number, source: InterruptSource, entry: Uint32Array): Software {
    if (source.kind === 'requester') {
      set(IRTE.SVT, entry, SOURCE_VALIDATION.sourceId)
      set(IRTE.SID, entry, source.rid)
    } else {
      set(IRTE.SVT, entry, SOURCE_VALIDATION.busRange)
      set(IRTE.SID, entry, (source.first << 8) | source.last)
    }
    this.#memory.write(this.#table, index, entry)
    yield* this.#invalidate([{ cache: 'interruptEntry', scope: 'index', index }])
  }

  /**
   * Lets the entry at a physical address accept one requester alone, and leaves where it leads. Returns false, with nothing
   * changed, if it is none that was handed out.
   */
  *restrict(address: number, rid: number): Software<boolean> {
    const index = (address - this.#table * PAGE_SIZE) / ENTRY_BYTES
    if (!this.#used.has(index)) return false
    const words = Array.from({ length: IRTE_WORDS }, (_, word) =>
      this.#memory.read(this.#table, index, IRTE_WORDS, word),
    )
    const entry = Uint32Array.from(words)
    set(IRTE.SQ, entry, 0)
    yield* this.#write(index, { kind: 'requester', rid }, entry)
    return true
  }

  *free(first: number, count: number): Software {
    const requests: Invalidation[] = []
    for (let index = first; index < first + count; index++) {
      this.#memory.write(this.#table, index, new Uint32Array(IRTE_WORDS))
      requests.push({ cache: 'interruptEntry', scope: 'index', index })
      this.#used.delete(index)
    }
    yield* this.#invalidate(requests)
  }

  save(): SavedInterruptTable {
    return {
      table: this.#table,
      extended: this.#extended,
      used: [...this.#used].sort((a, b) => a - b),
    }
  }
}
