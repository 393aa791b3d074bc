/** "Primary Fault Logging": the fault recording registers, FSTS, and when they raise the fault event. */
import { type PageNumber, set, union } from '../core/index.ts'
import type { Trace } from '../engine/index.ts'
import type { EventInterrupt } from './event-interrupt.ts'
import { FAULT_REASONS, faultReason } from './formats/fault-reasons.ts'
import { FSTS, INVALIDATION_QUEUE_ERROR, IQERCD } from './formats/registers.ts'
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

export class FaultRecorder {
  readonly #block: RegisterBlock
  readonly #words: Uint32Array
  readonly #event: EventInterrupt
  readonly #trace: Trace
  readonly #unit: string
  /** Pages of the address range that FI holds: bits from MGAW on are 0. */
  readonly #pages: number
  /** The record that the next fault goes into. */
  next = 0

  constructor(
    block: RegisterBlock,
    event: EventInterrupt,
    trace: Trace,
    unit: string,
    guestAddressWidth: number,
  ) {
    this.#block = block
    this.#words = block.file.words
    this.#event = event
    this.#trace = trace
    this.#unit = unit
    this.#pages = 2 ** (guestAddressWidth - 12)
  }

  /** Records a blocked DMA request; `pasid` is -1 for a request without PASID. */
  request(
    reason: number,
    sourceId: number,
    page: PageNumber,
    write: boolean,
    addressType: number,
    pasid: number,
  ): void {
    this.#record(reason, sourceId, page % this.#pages, write ? 0 : 1, addressType, pasid)
  }

  /** Records a blocked interrupt request: FI bits 63:48 hold the index. */
  interrupt(reason: number, sourceId: number, index: number): void {
    this.#record(reason, sourceId, index * 2 ** 36, 0, 0, -1)
  }

  #record(
    reason: number,
    sourceId: number,
    fi: number,
    t1: number,
    addressType: number,
    pasid: number,
  ): void {
    const words = this.#words
    if ((words[FSTS.at]! & PFO.mask) !== 0) return
    const index = this.next
    const { at, f } = this.#block.FRCD[index]!
    if ((words[at + 3]! & F) !== 0) {
      // Overflow is a status of its own, but never raises the event by itself.
      words[FSTS.at]! |= PFO.mask
      return
    }
    for (let word = 0; word < 4; word++) words[at + word] = 0
    set(f.FI, words, fi, at)
    set(f.SID, words, sourceId, at)
    set(f.FR, words, reason, at)
    set(f.T1, words, t1, at)
    set(f.AT, words, addressType, at)
    if (pasid >= 0) {
      set(f.PP, words, 1, at)
      set(f.PV, words, pasid, at)
    }
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
    const words = this.#words
    const first = (words[FSTS.at]! & CONDITIONS) === 0
    words[FSTS.at]! |= IQE.mask
    set(IQERCD.f.IQEI, words, info, IQERCD.at)
    if (first) this.#event.raise()
  }

  get queueStopped(): boolean {
    return (this.#words[FSTS.at]! & (IQE.mask | ITE.mask)) !== 0
  }

  /** After software wrote FSTS or a fault recording register. */
  serviced(): void {
    const words = this.#words
    if (this.#block.FRCD.some(({ at }) => (words[at + 3]! & F) !== 0)) words[FSTS.at]! |= PPF.mask
    else words[FSTS.at]! &= ~PPF.mask
    if ((words[FSTS.at]! & IQE.mask) === 0) {
      set(IQERCD.f.IQEI, words, INVALIDATION_QUEUE_ERROR.none, IQERCD.at)
    }
    if ((words[FSTS.at]! & CONDITIONS) === 0) this.#event.withdraw()
  }
}
