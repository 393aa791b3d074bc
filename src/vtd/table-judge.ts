/**
 * Inspection: what a unit would decide by the tables as they stand in memory. The same code judges that serves requests,
 * but its caches are empty and stay so: what a stale entry would still let through is not asked here.
 */
import type { PageNumber } from '../core/index.ts'
import type { PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE } from '../pcie/index.ts'
import { ACCESS } from './access.ts'
import { DmaRemapping } from './dma-remapping.ts'
import { type FaultedRequest, isRecorded } from './fault-recording.ts'
import { POSTED_IRTE } from './formats/posted-interrupts.ts'
import { GSTS } from './formats/registers.ts'
import { IRTE, IRTE_WORDS, PASID_GRANULAR_TRANSLATION_TYPE } from './formats/structures.ts'
import { InterruptEntryCache } from './interrupt-entry-cache.ts'
import { InterruptRemapping } from './interrupt-remapping.ts'
import { PASID_FLAG, POINTER_WORDS } from './pasid-entry.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import type { RemappingUnit } from './remapping-unit.ts'
import { TranslationCaches } from './translation-caches.ts'

/** Where a remapping table entry delivers, in the words of the entry. */
export interface JudgedEntry {
  readonly words: Uint32Array
  readonly posted: boolean
}

/** What decides about a page: a leaf, or an entry that is not present or grants nothing. */
export interface DecidedBlock {
  /** Host page that the page asked about translates to; -1 if it may not be accessed. */
  frame: PageNumber
  read: boolean
  write: boolean
  /** How many pages from the one asked about are decided alike; infinitely many where no paging entry decides. */
  pages: number
}

/** A first-stage table, as a PASID-table entry describes it. */
export interface FirstStageTable {
  readonly page: PageNumber
  readonly levels: 4 | 5
  readonly supervisorRequests: boolean
  readonly writeProtection: boolean
  readonly extendedAccessed: boolean
  readonly snoopedWalks: boolean
}

/** How a request would end. */
export interface JudgedRequest {
  /** Reason code, or 0. */
  reason: number
  recorded: boolean
  /** Host page; -1 if the request is blocked. */
  frame: PageNumber
}

/** Pages of an entry by its level. */
const SPAN = [1, 1, 512, 512 ** 2, 512 ** 3, 512 ** 4] as const

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
  readonly #caches: TranslationCaches
  readonly #dma: DmaRemapping
  readonly #interrupts: InterruptRemapping
  readonly #entry = new InterruptEntryCache(1)
  readonly #judged: JudgedRequest = { reason: 0, recorded: false, frame: -1 }
  readonly #block: DecidedBlock = { frame: -1, read: false, write: false, pages: 0 }

  /** Of the moment: registers are read now, memory when asked. */
  constructor(unit: RemappingUnit, memory: PhysicalMemory, hostAddressWidth: number) {
    const { capabilities, quirks, rootTable, interruptTable } = unit
    this.unit = unit
    for (let at = 0; at < REGISTER_WORDS; at++) this.#words[at] = unit.readDword(at * 4)
    const status = this.#words[GSTS.at]!
    this.translates = (status & GSTS.f.TES.mask) !== 0
    this.remapsInterrupts = (status & GSTS.f.IRES.mask) !== 0
    this.#caches = new TranslationCaches(EMPTY, capabilities.MGAW + 1)
    this.#dma = new DmaRemapping(memory, capabilities, hostAddressWidth, this.#caches, quirks)
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

  /**
   * What a page translates to for requests without PASID, and how far it does so alike: calls with rising pages list
   * all that a requester reaches. The interrupt range is not asked about. The result is reused by the next call.
   */
  blockAt(sourceId: number, page: PageNumber): Readonly<DecidedBlock> {
    const block = this.#block
    block.pages = Number.POSITIVE_INFINITY
    block.frame = page
    block.read = true
    block.write = true
    if (this.translates) {
      const dma = this.#dma
      const access = ACCESS.report | ACCESS.read | ACCESS.write
      const reason = dma.resolve(sourceId, page, access, ADDRESS_TYPE.untranslated, -1)
      block.frame = reason === 0 ? dma.frame : -1
      // Where no paging structure is walked, none restricts what may be done.
      block.read = reason === 0 && (!dma.walked || (dma.access & ACCESS.read) !== 0)
      block.write = reason === 0 && (!dma.walked || (dma.access & ACCESS.write) !== 0)
      if (dma.walked) {
        const span = SPAN[dma.walkedLevel]!
        block.pages = span - (page % span)
      }
    }
    if (block.frame >= 0 && protectionEnabled(this.#words)) this.#protect(block)
    return block
  }

  /** The first-stage table by which requests without PASID are translated, if they are by one. */
  firstStageOf(sourceId: number): FirstStageTable | undefined {
    if (!this.translates) return undefined
    this.#dma.resolve(sourceId, 0, ACCESS.read, ADDRESS_TYPE.untranslated, -1)
    const { scalable, isScalable } = this.#dma
    if (!isScalable || scalable.type !== PASID_GRANULAR_TRANSLATION_TYPE.firstStage) return undefined
    const { pasids } = this.#caches
    const slot = scalable.tables.pasidSlot
    const low = pasids.wordOf(slot, POINTER_WORDS.firstStage)
    const high = pasids.wordOf(slot, POINTER_WORDS.firstStage + 1)
    const flags = pasids.flagsOf(slot)
    return {
      page: (high >>> 0) * 0x10_0000 + (low >>> 12),
      levels: pasids.firstStageLevelsOf(slot) === 5 ? 5 : 4,
      supervisorRequests: (flags & PASID_FLAG.SRE) !== 0,
      writeProtection: (flags & PASID_FLAG.WPE) !== 0,
      extendedAccessed: (flags & PASID_FLAG.EAFE) !== 0,
      snoopedWalks: (flags & PASID_FLAG.PWSNP) !== 0,
    }
  }

  #protect(block: DecidedBlock): void {
    block.pages = 1
    if (isProtected(this.#words, block.frame)) Object.assign(block, { frame: -1, read: false, write: false })
  }

  /**
   * How an untranslated request would end, and whether the unit would record a fault of it. Nothing is kept, and no flag
   * set. The result is reused by the next call.
   */
  judge(request: FaultedRequest): Readonly<JudgedRequest> {
    const { sourceId, page, pasid } = request
    const judged = this.#judged
    judged.reason = 0
    judged.recorded = false
    judged.frame = page
    if (!this.translates) return judged
    const access =
      (request.write ? ACCESS.write : ACCESS.read) |
      (request.atomic ? ACCESS.read | ACCESS.write : 0) |
      (request.privileged ? ACCESS.privileged : 0) |
      (request.execute ? ACCESS.execute : 0)
    const reason = this.#dma.resolve(sourceId, page, access, ADDRESS_TYPE.untranslated, pasid)
    judged.reason = Math.max(reason, 0)
    judged.recorded = reason > 0 && isRecorded(reason, this.#dma.faultProcessingDisable)
    judged.frame = reason === 0 ? this.#dma.frame : -1
    return judged
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
