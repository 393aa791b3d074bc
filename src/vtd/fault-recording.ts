/** "Primary Fault Logging": the fault recording registers, FSTS, and when they raise the fault event. */
import { type Field, type PageNumber, set, union } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import { FAULT_REASONS, faultReason } from './formats/fault-reasons.ts'
import { FSTS, INVALIDATION_QUEUE_ERROR, IQERCD } from './formats/registers.ts'
import type { Quirks } from './quirks.ts'
import type { RegisterBlock } from './register-block.ts'
import { faultRecordView } from './views.ts'

const { PFO, PPF, IQE, ICE, ITE, FRI } = FSTS.f
const CONDITIONS = union(PFO, PPF, IQE, ICE, ITE)
/** `FRCD.F` within the last word of a record. */
const F = 0x8000_0000

/** By reason code: whether Fault Processing Disable suppresses it. */
const QUALIFIED = new Uint8Array(256)
for (const { code, qualified } of FAULT_REASONS) QUALIFIED[code] = qualified ? 1 : 0

/** Whether a fault is recorded, given the FPD bit of the entry it was found with. */
export const isRecorded = (reason: number, faultProcessingDisable: boolean): boolean =>
  !(faultProcessingDisable && QUALIFIED[reason] === 1)

/** What a record says of a blocked request. */
export interface FaultedRequest {
  readonly sourceId: number
  readonly page: PageNumber
  readonly write: boolean
  readonly addressType: number
  /** PASID that the request carried, -1 if none: one that RID_PASID supplied is not the request's. */
  readonly pasid: number
  /** Privileged-mode and execute requested: meaningful with a PASID only. */
  readonly privileged: boolean
  readonly execute: boolean
  readonly pageRequest: boolean
  readonly atomic: boolean
}

/** `FRCD.T1` and `T2` as two bits, T1 the upper one. */
const TYPE = { write: 0, pageRequest: 1, read: 2, atomic: 3 } as const

type FaultRecordingRegister = RegisterBlock['FRCD'][number]

export class FaultRecorder {
  readonly #block: RegisterBlock
  readonly #words: Uint32Array
  readonly #event: EventInterrupt
  readonly #trace: Trace
  readonly #unit: string
  /** Pages of the address range that FI holds: bits from MGAW on are 0. */
  readonly #pages: number
  readonly #compression: boolean
  /** The record that the next fault goes into. */
  next = 0

  constructor(
    block: RegisterBlock,
    event: EventInterrupt,
    trace: Trace,
    unit: string,
    guestAddressWidth: number,
    quirks: Quirks,
  ) {
    this.#block = block
    this.#words = block.file.words
    this.#event = event
    this.#trace = trace
    this.#unit = unit
    this.#pages = quirks.faultAddressAboveMgaw ? 2 ** 52 : 2 ** (guestAddressWidth - 12)
    this.#compression = quirks.faultCompression
  }

  /** Records a blocked DMA request, translation request or page request. */
  dma(reason: number, request: FaultedRequest): void {
    const { sourceId, page, pasid } = request
    const record = this.#claim(sourceId)
    if (record === undefined) return
    const { at, f } = record
    const words = this.#words
    const type = request.pageRequest
      ? TYPE.pageRequest
      : request.atomic
        ? TYPE.atomic
        : request.write
          ? TYPE.write
          : TYPE.read
    set(f.FI, words, page % this.#pages, at)
    set(f.T1, words, type >>> 1, at)
    set(f.T2, words, type & 1, at)
    set(f.AT, words, request.addressType, at)
    if (pasid >= 0) {
      set(f.PP, words, 1, at)
      set(f.PV, words, pasid, at)
      set(f.PRIV, words, Number(request.privileged), at)
      set(f.EXE, words, Number(request.execute), at)
    }
    this.#complete(reason, sourceId, at)
  }

  /** Records a blocked interrupt request: FI bits 63:48 hold the index. */
  interrupt(reason: number, sourceId: number, index: number): void {
    const record = this.#claim(sourceId)
    if (record === undefined) return
    set(record.f.FI, this.#words, index * 2 ** 36, record.at)
    this.#complete(reason, sourceId, record.at)
  }

  /** The cleared record that the next fault goes into; undefined if the fault is dropped. */
  #claim(sourceId: number): FaultRecordingRegister | undefined {
    const words = this.#words
    if ((words[FSTS.at]! & PFO.mask) !== 0) return undefined
    if (this.#compression && this.#hasUnserviced(sourceId)) return undefined
    const record = this.#block.FRCD[this.next]!
    const { at } = record
    if ((words[at + 3]! & F) !== 0) {
      // Overflow is a status of its own, but never raises the event by itself.
      words[FSTS.at]! |= PFO.mask
      return undefined
    }
    for (let word = 0; word < 4; word++) words[at + word] = 0
    return record
  }

  #hasUnserviced(sourceId: number): boolean {
    const words = this.#words
    for (const { at } of this.#block.FRCD) {
      if ((words[at + 3]! & F) !== 0 && (words[at + 2]! & 0xffff) === sourceId) return true
    }
    return false
  }

  #complete(reason: number, sourceId: number, at: number): void {
    const words = this.#words
    const index = this.next
    const { f } = this.#block.FRCD[index]!
    set(f.SID, words, sourceId, at)
    set(f.FR, words, reason, at)
    words[at + 3]! |= F
    this.next = (index + 1) % this.#block.FRCD.length
    const first = (words[FSTS.at]! & CONDITIONS) === 0
    if ((words[FSTS.at]! & PPF.mask) === 0) set(FRI, words, index, FSTS.at)
    words[FSTS.at]! |= PPF.mask
    if (this.#trace.enabled) {
      const record = faultRecordView(this.#block, index)
      const message = `${this.#unit} blocked a request of ${record.source}: ${faultReason(reason)?.name}`
      this.#trace.emit('fault', message, { unit: this.#unit, ...record })
    }
    if (first) this.#event.raise()
  }

  /** An invalidation queue error: sets IQE and `IQERCD.IQEI`. */
  invalidationQueueError(info: number): void {
    set(IQERCD.f.IQEI, this.#words, info, IQERCD.at)
    this.#status(IQE)
  }

  /** A function did not answer a device-TLB invalidation in time: sets ITE; ITESID keeps the first. */
  invalidationTimeout(sourceId: number): void {
    if ((this.#words[FSTS.at]! & ITE.mask) === 0) set(IQERCD.f.ITESID, this.#words, sourceId, IQERCD.at)
    this.#status(ITE)
  }

  /** A device-TLB invalidation completion that nobody waits for: sets ICE; ICESID keeps the first. */
  invalidationCompletionError(sourceId: number): void {
    if ((this.#words[FSTS.at]! & ICE.mask) === 0) set(IQERCD.f.ICESID, this.#words, sourceId, IQERCD.at)
    this.#status(ICE)
  }

  #status(condition: Field): void {
    const words = this.#words
    const first = (words[FSTS.at]! & CONDITIONS) === 0
    words[FSTS.at]! |= condition.mask
    if (first) this.#event.raise()
  }

  /** Whether an error has stopped the invalidation queue. */
  get queueStopped(): boolean {
    return (this.#words[FSTS.at]! & (IQE.mask | ITE.mask)) !== 0
  }

  /** After software wrote FSTS or a fault recording register. */
  serviced(): void {
    const words = this.#words
    if (this.#block.FRCD.some(({ at }) => (words[at + 3]! & F) !== 0)) words[FSTS.at]! |= PPF.mask
    else words[FSTS.at]! &= ~PPF.mask
    // What IQERCD says is valid only while the error is there.
    const status = words[FSTS.at]!
    if ((status & IQE.mask) === 0) set(IQERCD.f.IQEI, words, INVALIDATION_QUEUE_ERROR.none, IQERCD.at)
    if ((status & ITE.mask) === 0) set(IQERCD.f.ITESID, words, 0, IQERCD.at)
    if ((status & ICE.mask) === 0) set(IQERCD.f.ICESID, words, 0, IQERCD.at)
  }

  /** FECTL.IP returns to 0 once every condition has been serviced. */
  withdrawServiced(): void {
    if ((this.#words[FSTS.at]! & CONDITIONS) === 0) this.#event.withdraw()
  }
}
