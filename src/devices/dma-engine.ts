/**
 * The bus-mastering engine that every endpoint function has, whatever its model: told by stimulus, it reads or writes
 * memory and fires interrupt vectors. It splits transfers as a device must, so that no request crosses 4 KiB.
 */
import { NorthbridgeError, PAGE_SIZE, type PageNumber } from '../core/index.ts'
import {
  MemoryRequest,
  type PcieFunction,
  type SignalOutcome,
  STATUS,
  type Status,
  TARGET,
  type Target,
} from '../pcie/index.ts'

/** One request of a transfer and how it ended. A reused record: copy what you keep. */
export interface DmaPart {
  readonly segment: number
  /** As the root complex saw it, after bridges. */
  readonly requesterId: number
  readonly page: PageNumber
  readonly offset: number
  /** Bytes, at most 4096. */
  readonly length: number
  readonly status: Status
  readonly target: Target
  /** Host page accessed, if the target is memory or a peer. */
  readonly physicalPage: PageNumber
  /** `FRCD.FR`, 0 if there was no fault. */
  readonly faultReason: number
  /** Index of the remapping unit, -1 if none was on the way. */
  readonly unit: number
  /** Reads of remapping structures, whether an IOTLB entry answered, ports crossed. */
  readonly tableReads: number
  readonly iotlbHit: boolean
  readonly hops: number
}

/** The parts of a transfer, ascending by address; records and list are reused by the engine's next transfer. */
export type DmaResult = readonly DmaPart[]

export interface InterruptResult {
  readonly signal: SignalOutcome
  /** The message, if `signal` is `sent`: its completion and `interrupt` say what became of it. */
  readonly request: MemoryRequest
}

type Writable<Record> = { -readonly [Key in keyof Record]: Record[Key] }

/** Pages of a 64-bit address space. */
const PAGES = 2 ** 52

export class DmaEngine {
  readonly function: PcieFunction
  readonly #request = new MemoryRequest()
  readonly #records: Writable<DmaPart>[] = []
  readonly #parts: DmaPart[] = []
  readonly #interrupt: Writable<InterruptResult> = { signal: 'noCapability', request: this.#request }

  constructor(fn: PcieFunction) {
    this.function = fn
  }

  /**
   * Reads memory into `data`, or writes `data` to memory, one request per 4-KiB page in ascending order; a part that
   * fails does not keep the next from being sent, and leaves its bytes of `data` as they were.
   *
   * @param page bits 63:12 of the address. @param offset bits 11:0. Throws `invalidArgument` for an empty transfer
   * and for one that leaves the 64-bit address space.
   */
  dma(write: boolean, page: PageNumber, offset: number, data: Uint8Array): DmaResult {
    if (data.length === 0) throw new NorthbridgeError('invalidArgument', 'a DMA transfers at least one byte')
    if (page + Math.ceil((offset + data.length) / PAGE_SIZE) > PAGES) {
      throw new NorthbridgeError('invalidArgument', 'the DMA runs beyond the last 64-bit address')
    }
    const request = this.#request
    request.write = write
    request.data = data
    request.addressType = 0
    request.pasid = -1
    this.#parts.length = 0
    for (let done = 0; done < data.length; ) {
      request.page = page + Math.floor((offset + done) / PAGE_SIZE)
      request.offset = (offset + done) % PAGE_SIZE
      request.length = Math.min(PAGE_SIZE - request.offset, data.length - done)
      request.dataStart = done
      this.function.issue(request)
      this.#note()
      done += request.length
    }
    return this.#parts
  }

  /** Signals an interrupt vector, counted from 0. */
  fire(vector: number): InterruptResult {
    this.#interrupt.signal = this.function.signal(vector, this.#request)
    return this.#interrupt
  }

  #note(): void {
    const request = this.#request
    const record = (this.#records[this.#parts.length] ??= emptyPart())
    record.segment = request.segment
    record.requesterId = request.requesterId
    record.page = request.page
    record.offset = request.offset
    record.length = request.length
    record.status = request.status
    record.target = request.target
    record.physicalPage = request.physicalPage
    record.faultReason = request.faultReason
    record.unit = request.unit
    record.tableReads = request.tableReads
    record.iotlbHit = request.iotlbHit
    record.hops = request.hops
    this.#parts.push(record)
  }
}

const emptyPart = (): Writable<DmaPart> => ({
  segment: 0,
  requesterId: 0,
  page: 0,
  offset: 0,
  length: 0,
  status: STATUS.successful,
  target: TARGET.none,
  physicalPage: 0,
  faultReason: 0,
  unit: -1,
  tableReads: 0,
  iotlbHit: false,
  hops: 0,
})
