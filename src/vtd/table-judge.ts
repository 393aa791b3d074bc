/**
 * Inspection: what a unit would decide by the tables as they stand in memory. The same code judges that serves requests,
 * but its caches are empty and stay so: what a stale entry would still let through is not asked here.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { ACCESS } from './access.ts'
import { DmaRemapping } from './dma-remapping.ts'
import { POSTED_IRTE } from './formats/posted-interrupts.ts'
import { GSTS } from './formats/registers.ts'
import { IRTE, IRTE_WORDS } from './formats/structures.ts'
import { InterruptEntryCache } from './interrupt-entry-cache.ts'
import { InterruptRemapping } from './interrupt-remapping.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import type { RemappingUnit } from './remapping-unit.ts'
import { TranslationCaches } from './translation-caches.ts'

/** Where a remapping table entry delivers, in the words of the entry. */
export interface JudgedEntry {
  readonly words: Uint32Array
  readonly posted: boolean
}

/** Registers that are looked at lie below. */
const REGISTER_WORDS = 64

const EMPTY = {
  contextSets: 1,
  contextWays: 1,
  pasidSets: 1,
  pasidWays: 1,
  iotlbSets: 1,
  iotlbWays: 1,
  pagingSets: [0, 0, 0, 0],
  pagingWays: 1,
  replacement: 'fifo',
} as const

export class TableJudge {
  readonly unit: RemappingUnit
  /** Whether DMA is remapped. */
  readonly translates: boolean
  /** Whether interrupts are remapped. */
  readonly remapsInterrupts: boolean
  readonly #words = new Uint32Array(REGISTER_WORDS)
  readonly #dma: DmaRemapping
  readonly #interrupts: InterruptRemapping
  readonly #entry = new InterruptEntryCache(1)

  /** Of the moment: registers are read now, memory when asked. */
  constructor(unit: RemappingUnit, memory: PhysicalMemory, hostAddressWidth: number) {
    const { capabilities, quirks, rootTable, interruptTable } = unit
    this.unit = unit
    for (let at = 0; at < REGISTER_WORDS; at++) this.#words[at] = unit.readDword(at * 4)
    const status = this.#words[GSTS.at]!
    this.translates = (status & GSTS.f.TES.mask) !== 0
    this.remapsInterrupts = (status & GSTS.f.IRES.mask) !== 0
    const caches = new TranslationCaches(EMPTY, capabilities.MGAW + 1)
    this.#dma = new DmaRemapping(memory, capabilities, hostAddressWidth, caches, quirks)
    this.#dma.rootTable = rootTable.root
    this.#dma.mode = rootTable.mode
    this.#interrupts = new InterruptRemapping(memory, this.#entry, capabilities, hostAddressWidth, quirks)
    this.#interrupts.table = interruptTable.table
    this.#interrupts.entries = interruptTable.entries
    this.#interrupts.extended = interruptTable.extended
  }

  /** Host page that an untranslated request reaches, or -1. The interrupt range is not asked about. */
  frameOf(sourceId: number, page: PageNumber, write: boolean, pasid = -1): number {
    let frame = page
    if (this.translates) {
      const access = write ? ACCESS.write : ACCESS.read
      const reason = this.#dma.resolve(sourceId, page, access, ADDRESS_TYPE.untranslated, pasid)
      if (reason !== 0) return -1
      frame = this.#dma.frame
    } else if (pasid >= 0) return -1
    return protectionEnabled(this.#words) && isProtected(this.#words, frame) ? -1 : frame
  }

  /** Whether a request whose address the function says to be translated already would pass. */
  passesTranslated(sourceId: number, page: PageNumber): boolean {
    return (
      this.translates && this.#dma.resolve(sourceId, page, ACCESS.read, ADDRESS_TYPE.translated, -1) === 0
    )
  }

  /** Whether messages in compatibility format pass as they are. */
  get passesCompatibilityFormat(): boolean {
    const { extended } = this.unit.interruptTable
    return (
      this.unit.quirks.compatibilityFormatNotBlocked ||
      (!extended && (this.#words[GSTS.at]! & GSTS.f.CFIS.mask) !== 0)
    )
  }

  /** The remapping table entry that an interrupt request with a handle is served by; undefined if it is blocked. */
  entryFor(sourceId: number, index: number): JudgedEntry | undefined {
    const addressLow = 0xfee0_0010 | ((index & 0x7fff) << 5) | ((index >>> 15) << 2)
    const interrupts = this.#interrupts
    if (interrupts.resolve(sourceId, addressLow >>> 0, 0, 0, false) !== 0) return undefined
    const at = interrupts.slot * IRTE_WORDS
    const words = this.#entry.raw.slice(at, at + IRTE_WORDS)
    if (!interrupts.posts) return { words, posted: false }
    return interrupts.posting.check(words, 0, interrupts.extended) === 0 ? { words, posted: true } : undefined
  }
}

/** Whom an entry interrupts: equal for entries that do the same. */
export function targetOf({ words, posted }: JudgedEntry): string {
  if (posted) {
    const low = (words[1]! & ~0x3f) >>> 0
    return `descriptor ${words[3]!.toString(16)}:${low.toString(16)} vector ${(words[0]! & POSTED_IRTE.V.mask) >>> 16}`
  }
  return `processor ${words[1]!.toString(16)} vector ${(words[0]! & IRTE.V.mask) >>> 16}`
}
