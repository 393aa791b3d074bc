/**
 * One VT-d remapping unit: its register page, the GCMD protocol, and the two things it does to requests. The parts do
 * the work; here they are wired to the registers.
 */
import { NorthbridgeError, type PageNumber, type Saved } from '../core/index.ts'
import type { Engine } from '../engine/index.ts'
import { INTERRUPT_FIRST_PAGE, INTERRUPT_LAST_PAGE } from '../interrupts/formats/message.ts'
import { decodeCompatibility, type InterruptMessage, type InterruptSink } from '../interrupts/index.ts'
import type { MmioTarget, PhysicalMemory } from '../memory/index.ts'
import { ADDRESS_TYPE, type InterruptOutcome, type MemoryRequest, STATUS } from '../pcie/index.ts'
import { registerSizeOf, resolveCapabilities, type UnitCapabilities } from './capabilities.ts'
import { ContextCache } from './context-cache.ts'
import { ABORTED, DmaRemapping } from './dma-remapping.ts'
import { EventInterrupt } from './event-interrupt.ts'
import { explain } from './explain.ts'
import type { Explanation } from './explanation.ts'
import { FaultRecorder, isRecorded } from './fault-recording.ts'
import { FAULT } from './formats/fault-reasons.ts'
import * as R from './formats/registers.ts'
import { InterruptEntryCache } from './interrupt-entry-cache.ts'
import { InterruptRemapping } from './interrupt-remapping.ts'
import { type DeviceTlbPort, Invalidation } from './invalidation.ts'
import { InvalidationQueue } from './invalidation-queue.ts'
import { Iotlb } from './iotlb.ts'
import { isProtected, protectionEnabled } from './protected-memory.ts'
import { RecentTranslations } from './recent-translations.ts'
import { buildRegisterBlock, type RegisterBlock, resetRegisters } from './register-block.ts'
import { RegisterEffects } from './register-effects.ts'
import { RegisterInvalidation } from './register-invalidation.ts'
import { READ, WRITE } from './second-stage.ts'
import {
  type CacheSizes,
  type CacheViews,
  cacheViews,
  type FaultRecordView,
  faultRecordViews,
  type RegisterView,
  registerViews,
} from './views.ts'

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
}

export interface RemappingUnitEnvironment {
  readonly memory: PhysicalMemory
  /** Takes the unit's own interrupts: fault and invalidation completion events. */
  readonly interrupts: InterruptSink
  readonly engine: Engine
  /** Where device-TLB invalidations go; without it no function caches translations. */
  readonly deviceTlbs?: DeviceTlbPort
}

const DEFAULT_CACHES: CacheSizes = {
  contextSets: 64,
  contextWays: 4,
  iotlbSets: 256,
  iotlbWays: 4,
  interruptEntries: 256,
}

const { TES, IRES, CFIS } = R.GSTS.f

export class RemappingUnit implements MmioTarget {
  readonly id: string
  readonly index: number
  readonly capabilities: UnitCapabilities
  /** Bytes of the register window, whole pages. */
  readonly registerSize: number
  readonly #block: RegisterBlock
  readonly #words: Uint32Array
  readonly #contexts: ContextCache
  readonly #iotlb: Iotlb
  readonly #interruptEntries: InterruptEntryCache
  readonly #recent = new RecentTranslations()
  readonly #dma: DmaRemapping
  readonly #interrupts: InterruptRemapping
  readonly #faults: FaultRecorder
  readonly #registerInvalidation: RegisterInvalidation
  readonly #effects: RegisterEffects

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
    const sizes = { ...DEFAULT_CACHES, ...options.caches }
    this.id = options.id
    this.index = options.index
    this.capabilities = c
    this.registerSize = registerSizeOf(c)
    this.#block = buildRegisterBlock(c, hostAddressWidth)
    this.#words = this.#block.file.words
    this.#contexts = new ContextCache(sizes.contextSets, sizes.contextWays)
    this.#iotlb = new Iotlb(sizes.iotlbSets, sizes.iotlbWays)
    this.#interruptEntries = new InterruptEntryCache(sizes.interruptEntries)
    this.#dma = new DmaRemapping(memory, c, hostAddressWidth, this.#contexts, this.#iotlb)
    this.#interrupts = new InterruptRemapping(memory, this.#interruptEntries, c)
    const { file } = this.#block
    const extended = (): boolean => this.#interrupts.extended
    const faultEvent = new EventInterrupt(file, R.FECTL, interrupts, extended)
    const completionEvent = new EventInterrupt(file, R.IECTL, interrupts, extended)
    this.#faults = new FaultRecorder(this.#block, faultEvent, engine.trace, this.id, c.MGAW + 1)
    const caches = { contexts: this.#contexts, iotlb: this.#iotlb, interrupts: this.#interruptEntries }
    const invalidation = new Invalidation(caches, c, engine.trace, this.id)
    const queue = new InvalidationQueue(file, c, {
      memory,
      invalidation,
      faults: this.#faults,
      completion: completionEvent,
      deviceTlbs: environment.deviceTlbs,
    })
    const mode = (): number => this.#dma.mode
    this.#registerInvalidation = new RegisterInvalidation(this.#block, c, invalidation, mode)
    this.#effects = new RegisterEffects(this.#block, c, {
      dma: this.#dma,
      interrupts: this.#interrupts,
      faults: this.#faults,
      faultEvent,
      completionEvent,
      invalidation,
      queue,
      registerInvalidation: this.#registerInvalidation,
    })
    this.reset()
  }

  readDword(offset: number): number {
    return this.#words[offset >>> 2] ?? 0
  }

  writeDword(offset: number, value: number, lanes: number): void {
    this.#recent.forget()
    if (offset < this.registerSize) this.#effects.write(offset, value, lanes)
  }

  /**
   * Translates a request that is not an interrupt request. True: `request.physicalPage` is set. False: blocked, with
   * `request.status`, and `faultReason` if there is one. `iotlbHit`, `tableReads` and `unit` are filled in both cases.
   *
   * Functions here ask for no translations (they have no device-TLB to fill), so a translation request that the tables
   * allow is answered with Unsupported Request.
   */
  translate(request: MemoryRequest): boolean {
    const { page, write, requesterId } = request
    request.unit = this.index
    const plain = request.addressType === ADDRESS_TYPE.untranslated && request.pasid < 0
    if (plain) {
      const recent = this.#recent.lookup(requesterId * 2 + (write ? 1 : 0), page)
      if (recent >= 0) {
        request.iotlbHit = true
        request.physicalPage = this.#recent.frameOf(recent)
        return true
      }
      if (page >= INTERRUPT_FIRST_PAGE && page <= INTERRUPT_LAST_PAGE)
        return this.#refuseInterruptRange(request)
    }
    const enabled = (this.#words[R.GSTS.at]! & TES.mask) !== 0
    if (enabled) {
      if (!this.#remap(request)) return false
    } else {
      if (!plain) return refuse(request, STATUS.unsupportedRequest)
      request.physicalPage = page
    }
    if (protectionEnabled(this.#words) && isProtected(this.#words, request.physicalPage)) {
      return refuse(request, STATUS.unsupportedRequest)
    }
    // A zero-length read may pass where other reads do not.
    if (request.iotlbHit && plain && request.length !== 0) {
      this.#recent.keep(requesterId * 2 + (write ? 1 : 0), page, request.physicalPage)
    }
    return true
  }

  #remap(request: MemoryRequest): boolean {
    const { page, write, requesterId, addressType, pasid } = request
    const dma = this.#dma
    const zeroLengthRead = !write && request.length === 0 && this.capabilities.ZLR !== 0
    const want = write ? WRITE : zeroLengthRead ? READ | WRITE : READ
    const reason = dma.resolve(requesterId, page, want, addressType, pasid)
    request.tableReads += dma.tableReads
    request.iotlbHit = dma.iotlbSlot >= 0
    if (dma.tableReads !== 0 && dma.commit(requesterId, page, reason)) this.#recent.forget()
    if (reason === ABORTED) return refuse(request, STATUS.unsupportedRequest)
    if (reason !== 0) {
      if (isRecorded(reason, dma.faultProcessingDisable)) {
        this.#faults.request(reason, requesterId, page, write, addressType, pasid)
      }
      request.faultReason = reason
      return refuse(request, STATUS.remappingFault)
    }
    request.physicalPage = dma.frame
    return addressType !== ADDRESS_TYPE.translationRequest || refuse(request, STATUS.unsupportedRequest)
  }

  /** "Interrupt Address Range": what is no valid interrupt request there is blocked, and a fault if the unit is in use. */
  #refuseInterruptRange(request: MemoryRequest): boolean {
    if ((this.#words[R.GSTS.at]! & (TES.mask | IRES.mask)) === 0)
      return refuse(request, STATUS.unsupportedRequest)
    this.#faults.interrupt(FAULT.interruptRangeAccess, request.requesterId, 0)
    request.faultReason = FAULT.interruptRangeAccess
    return refuse(request, STATUS.remappingFault)
  }

  /**
   * An interrupt request: a DWORD write to 0xFEEx_xxxx. Returns 0 with `message` and `outcome` filled, or the reason
   * code of the fault that blocked it. The caller delivers the message and sets `outcome.processor`.
   */
  remapInterrupt(
    sourceId: number,
    addressLow: number,
    addressHigh: number,
    data: number,
    message: InterruptMessage,
    outcome: InterruptOutcome,
  ): number {
    const status = this.#words[R.GSTS.at]!
    outcome.remapped = false
    outcome.irteIndex = -1
    outcome.processor = -1
    if ((status & IRES.mask) === 0) {
      decodeCompatibility(addressLow, data, message)
    } else {
      const interrupts = this.#interrupts
      const reason = interrupts.resolve(sourceId, addressLow, addressHigh, data, (status & CFIS.mask) !== 0)
      interrupts.commit(reason)
      outcome.remapped = interrupts.remapped
      outcome.irteIndex = interrupts.index
      if (reason !== 0) {
        if (isRecorded(reason, interrupts.faultProcessingDisable)) {
          this.#faults.interrupt(reason, sourceId, Math.max(interrupts.index, 0) % 0x1_0000)
        }
        return reason
      }
      if (interrupts.remapped) interrupts.compose(message)
      else decodeCompatibility(addressLow, data, message)
    }
    outcome.destination = message.destination
    outcome.logical = message.logical
    outcome.deliveryMode = message.deliveryMode
    outcome.vector = message.vector
    return 0
  }

  /** Hardware reset: registers at their reset values, caches empty. */
  reset(): void {
    this.#recent.forget()
    resetRegisters(this.#block, this.capabilities)
    this.#registerInvalidation.reset()
    this.#contexts.invalidateAll()
    this.#iotlb.invalidateAll()
    this.#interruptEntries.invalidateAll()
    this.#effects.latchRootTable()
    this.#effects.latchInterruptTable()
    this.#faults.next = 0
  }

  /** Replays a request without making it: every check in order, and what would repair a fault. */
  explain(sourceId: number, page: PageNumber, offset: number, write: boolean): Explanation {
    return explain(
      {
        words: this.#words,
        dma: this.#dma,
        contexts: this.#contexts,
        iotlb: this.#iotlb,
        interrupts: this.#interrupts,
        interruptEntries: this.#interruptEntries,
      },
      { sourceId, page, offset, write },
    )
  }

  registers(): RegisterView[] {
    return registerViews(this.#block)
  }

  /** Fault records that software has not cleared yet. */
  faultRecords(): FaultRecordView[] {
    return faultRecordViews(this.#block)
  }

  caches(): CacheViews {
    return cacheViews(this.#contexts, this.#iotlb, this.#interruptEntries)
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
        nextFault: this.#faults.next,
        invalidation: this.#registerInvalidation.save(),
      },
      contextCache: this.#contexts.save(),
      iotlb: this.#iotlb.save(),
      interruptEntryCache: this.#interruptEntries.save(),
    }
  }

  load(saved: Saved): void {
    const state = saved as unknown as SavedUnit
    this.#recent.forget()
    this.#words.set(state.registers)
    this.#dma.rootTable = state.latches.rootTable
    this.#dma.mode = state.latches.mode
    this.#interrupts.table = state.latches.interruptTable
    this.#interrupts.entries = state.latches.entries
    this.#interrupts.extended = state.latches.extended
    this.#faults.next = state.latches.nextFault
    this.#registerInvalidation.load(state.latches.invalidation)
    this.#contexts.load(state.contextCache)
    this.#iotlb.load(state.iotlb)
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
    readonly nextFault: number
    readonly invalidation: Saved
  }
  readonly contextCache: Saved
  readonly iotlb: Saved
  readonly interruptEntryCache: Saved
}

function refuse(request: MemoryRequest, status: MemoryRequest['status']): boolean {
  request.status = status
  return false
}
