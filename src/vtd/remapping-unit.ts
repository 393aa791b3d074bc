/**
 * One VT-d remapping unit: its register page, the GCMD protocol, and the two things it does to requests. The parts do
 * the work; here they are wired to the registers.
 */

import { NorthbridgeError, type PageNumber, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import { decodeCompatibility, type InterruptMessage, type InterruptSink } from '../interrupts/index.ts'
import type { MmioTarget, PhysicalMemory } from '../memory/index.ts'
import type { InterruptOutcome, MemoryRequest, PageRequest } from '../pcie/index.ts'
import { registerSizeOf, resolveCapabilities, type UnitCapabilities } from './capabilities.ts'
import { Control } from './control.ts'
import type { DeviceTlbPort } from './device-invalidations.ts'
import { DmaRemapping } from './dma-remapping.ts'
import { explain } from './explain.ts'
import { type ExplainedAccess, type Explanation, PLAIN_ACCESS } from './explanation.ts'
import { type FaultedRequest, type FaultRecorder, isRecorded } from './fault-recording.ts'
import * as R from './formats/registers.ts'
import { TRANSLATION_TABLE_MODE } from './formats/registers.ts'
import { InterruptEntryCache } from './interrupt-entry-cache.ts'
import { InterruptRemapping } from './interrupt-remapping.ts'
import type { InvalidationListener } from './invalidation.ts'
import { NO_QUIRKS, type Quirks } from './quirks.ts'
import { buildRegisterBlock, type RegisterBlock } from './register-block.ts'
import { RequestTranslation } from './request-translation.ts'
import { DEFAULT_TRANSLATION_CACHES, TranslationCaches } from './translation-caches.ts'
import {
  type CacheSizes,
  type CacheViews,
  cacheViews,
  type FaultRecordView,
  faultRecordViews,
  type RegisterView,
  registerViews,
} from './views.ts'
import type { WaitFaults } from './wait-faults.ts'

export interface RemappingUnitOptions {
  /** Name in inspection and trace. */
  readonly id: string
  /** Number that requests carry back in `MemoryRequest.unit`. */
  readonly index: number
  /** Bits of a host physical address, 32 to 52. */
  readonly hostAddressWidth: number
  /** What differs from the server-like default. */
  readonly capabilities?: Partial<UnitCapabilities>
  readonly caches?: Partial<CacheSizes>
  /** Where this unit departs from the specification; not at all by default. */
  readonly quirks?: Quirks
  /**
   * Nanoseconds that a register command and each queued descriptor take. Default 0: they complete within the access
   * that starts them.
   */
  readonly completionLatency?: number
}

export interface RemappingUnitEnvironment {
  readonly memory: PhysicalMemory
  /** Takes the unit's own interrupts: fault and invalidation completion events. */
  readonly interrupts: InterruptSink
  readonly engine: Engine
  /** Where device-TLB invalidations go; without it no function caches translations. */
  readonly deviceTlbs?: DeviceTlbPort | undefined
  /** Who follows what software tells the unit to forget: of a unit that software emulates, its hypervisor. */
  readonly listener?: InvalidationListener | undefined
}

const STATUS_WORD = R.GSTS.at
const IRES = R.GSTS.f.IRES.mask
const CFIS = R.GSTS.f.CFIS.mask

export class RemappingUnit implements MmioTarget {
  readonly id: string
  readonly index: number
  readonly capabilities: UnitCapabilities
  readonly quirks: Quirks
  /** Bytes of the register window, whole pages. */
  readonly registerSize: number
  readonly #block: RegisterBlock
  readonly #words: Uint32Array
  readonly #translations: TranslationCaches
  readonly #interruptEntries: InterruptEntryCache
  readonly #dma: DmaRemapping
  readonly #requests: RequestTranslation
  readonly #interrupts: InterruptRemapping
  readonly #faults: FaultRecorder
  readonly #control: Control

  /** Throws `topologyConflict`, `unsupported` or `invalidArgument` for a unit that cannot be. */
  constructor(options: RemappingUnitOptions, environment: RemappingUnitEnvironment) {
    const { hostAddressWidth } = options
    if (!Number.isInteger(hostAddressWidth) || hostAddressWidth < 32 || hostAddressWidth > 52) {
      throw new NorthbridgeError(
        'invalidArgument',
        `hostAddressWidth must be 32 to 52, not ${hostAddressWidth}`,
      )
    }
    const { memory, interrupts, engine } = environment
    const c = resolveCapabilities(options.capabilities)
    const sizes = { ...DEFAULT_TRANSLATION_CACHES, interruptEntries: 256, ...options.caches }
    this.id = options.id
    this.index = options.index
    this.capabilities = c
    this.quirks = options.quirks ?? NO_QUIRKS
    this.registerSize = registerSizeOf(c)
    this.#block = buildRegisterBlock(c, hostAddressWidth, this.quirks)
    this.#words = this.#block.file.words
    this.#translations = new TranslationCaches(sizes, c.MGAW + 1, this.quirks.iotlbTaggedBySourceId)
    this.#interruptEntries = new InterruptEntryCache(sizes.interruptEntries)
    this.#dma = new DmaRemapping(memory, c, hostAddressWidth, this.#translations, this.quirks)
    this.#interrupts = new InterruptRemapping(
      memory,
      this.#interruptEntries,
      c,
      hostAddressWidth,
      this.quirks,
    )
    this.#control = new Control(
      this.#block,
      { id: this.id, capabilities: c, quirks: this.quirks, latency: options.completionLatency ?? 0 },
      {
        memory,
        sink: interrupts,
        engine,
        deviceTlbs: environment.deviceTlbs,
        dma: this.#dma,
        interrupts: this.#interrupts,
        translations: this.#translations,
        interruptEntries: this.#interruptEntries,
        invalidated: () => this.#requests.forget(),
        listener: environment.listener,
      },
    )
    this.#faults = this.#control.faults
    this.#requests = new RequestTranslation(this.index, this.#words, c, this.quirks, {
      dma: this.#dma,
      faults: this.#faults,
      replacement: sizes.replacement,
    })
    this.reset()
  }

  readDword(offset: number): number {
    return this.#control.effects.read(offset)
  }

  writeDword(offset: number, value: number, lanes: number): void {
    this.#requests.forget()
    if (offset < this.registerSize) this.#control.effects.write(offset, value, lanes)
  }

  /**
   * Translates a request that is not an interrupt request. True: `request.physicalPage` is set. False: blocked, with
   * `request.status`, and `faultReason` if there is one. `iotlbHit`, `tableReads` and `unit` are filled in both cases.
   *
   * A translation request is answered here: true, with `translatedPage`, `size`, `permissions` and the rest of its
   * completion set, permissions 0 if the page may not be accessed; the caller must not access memory for it.
   */
  translate(request: MemoryRequest): boolean {
    return this.#requests.translate(request)
  }

  /**
   * An interrupt request: a DWORD write to 0xFEEx_xxxx. Returns 0 with `message` and `outcome` filled, or the reason
   * code of the fault that blocked it. The caller delivers the message and sets `outcome.processor`; there is none to
   * deliver if the interrupt was posted without being notified.
   */
  remapInterrupt(
    sourceId: number,
    addressLow: number,
    addressHigh: number,
    data: number,
    message: InterruptMessage,
    outcome: InterruptOutcome,
  ): number {
    const status = this.#words[STATUS_WORD]!
    outcome.remapped = false
    outcome.posted = false
    outcome.notified = false
    outcome.suppressed = false
    outcome.irteIndex = -1
    outcome.processor = -1
    if ((status & IRES) === 0) {
      decodeCompatibility(addressLow, data, message)
    } else {
      const interrupts = this.#interrupts
      let reason = interrupts.resolve(sourceId, addressLow, addressHigh, data, (status & CFIS) !== 0)
      interrupts.commit(reason)
      outcome.remapped = interrupts.remapped
      outcome.irteIndex = interrupts.index
      if (reason === 0 && interrupts.posts) {
        reason = interrupts.post(message)
        outcome.posted = reason === 0
        outcome.notified = interrupts.posting.notify
        outcome.suppressed = interrupts.posting.suppressed
      } else if (interrupts.remapped && reason === 0) interrupts.compose(message)
      if (reason !== 0) {
        if (isRecorded(reason, interrupts.faultProcessingDisable)) {
          this.#faults.interrupt(reason, sourceId, Math.max(interrupts.index, 0) % 0x1_0000)
        }
        return reason
      }
      if (outcome.posted && !outcome.notified) return 0
      if (!interrupts.remapped) decodeCompatibility(addressLow, data, message)
    }
    outcome.destination = message.destination
    outcome.logical = message.logical
    outcome.deliveryMode = message.deliveryMode
    outcome.vector = message.vector
    return 0
  }

  /** Of a unit that software emulates: records a fault that hardware has found in its stead. */
  recordFault(reason: number, request: FaultedRequest): void {
    this.#faults.dma(reason, request)
  }

  /** A page request of a function: entered into the page request queue, or answered. */
  pageRequest(request: PageRequest): void {
    if (this.capabilities.PRS !== 0) this.#control.pageRequests.receive(request)
  }

  /** Stimulus: what goes wrong with wait descriptors. */
  get waitFaults(): WaitFaults {
    return this.#control.waitFaults
  }

  /** Hardware reset: registers at their reset values, caches empty. */
  reset(): void {
    this.#requests.forget()
    this.#control.reset()
    this.#translations.invalidateAll()
    this.#interruptEntries.invalidateAll()
  }

  /** Replays a request without making it: every check in order, and what would repair a fault. */
  explain(
    sourceId: number,
    page: PageNumber,
    offset: number,
    write: boolean,
    how: Partial<ExplainedAccess> = {},
  ): Explanation {
    return explain(
      {
        words: this.#words,
        dma: this.#dma,
        requests: this.#requests,
        translations: this.#translations,
        interrupts: this.#interrupts,
        interruptEntries: this.#interruptEntries,
      },
      { ...PLAIN_ACCESS, ...how, sourceId, page, offset, write },
    )
  }

  registers(): RegisterView[] {
    return registerViews(this.#block)
  }

  /** Fault records that software has not cleared yet. */
  faultRecords(): FaultRecordView[] {
    return faultRecordViews(this.#block)
  }

  /** The root table in use, as SRTP latched it. */
  get rootTable(): { readonly root: PageNumber; readonly mode: number; readonly scalable: boolean } {
    const { rootTable: root, mode } = this.#dma
    return { root, mode, scalable: mode === TRANSLATION_TABLE_MODE.scalable }
  }

  /** The interrupt remapping table in use, as SIRTP latched it. */
  get interruptTable(): {
    readonly table: PageNumber
    readonly entries: number
    readonly extended: boolean
  } {
    const { table, entries, extended } = this.#interrupts
    return { table, entries, extended }
  }

  caches(): CacheViews {
    return cacheViews(this.#translations, this.#interruptEntries)
  }

  save(): Saved {
    return {
      version: 1,
      registers: this.#words.slice(),
      latches: {
        rootTable: this.#dma.rootTable,
        mode: this.#dma.mode,
        interruptTable: this.#interrupts.table,
        entries: this.#interrupts.entries,
        extended: this.#interrupts.extended,
      },
      control: this.#control.save(),
      translations: this.#translations.save(),
      interruptEntryCache: this.#interruptEntries.save(),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as SavedUnit
    this.#requests.forget()
    this.#words.set(state.registers)
    this.#dma.rootTable = state.latches.rootTable
    this.#dma.mode = state.latches.mode
    this.#interrupts.table = state.latches.interruptTable
    this.#interrupts.entries = state.latches.entries
    this.#interrupts.extended = state.latches.extended
    this.#control.load(state.control)
    this.#translations.load(state.translations)
    this.#interruptEntries.load(state.interruptEntryCache)
  }
}

interface SavedUnit {
  readonly registers: Uint32Array
  readonly latches: {
    readonly rootTable: PageNumber
    readonly mode: number
    readonly interruptTable: PageNumber
    readonly entries: number
    readonly extended: boolean
  }
  readonly control: Saved
  readonly translations: Saved
  readonly interruptEntryCache: Saved
}
