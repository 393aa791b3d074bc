/**
 * The bus-mastering engine that every endpoint function has, whatever its model: told by stimulus, it reads or writes
 * memory and fires interrupt vectors. It splits transfers as a device must, so that no request crosses 4 KiB.
 */
import { NorthbridgeError, PAGE_SIZE, type PageNumber } from '../core/index.ts'
import {
  ADDRESS_TYPE,
  GROUP,
  issueAsPhantom,
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
  /** How the access itself was made, `ADDRESS_TYPE`: translated if the device-TLB had its address. */
  readonly addressType: number
}

/** How a transfer is made, where it differs from untranslated requests without PASID. */
export interface DmaOptions {
  /** Process address space, 20 bits. */
  readonly pasid?: number | undefined
  /** Privileged mode and execute permission requested; both need a PASID. */
  readonly privileged?: boolean | undefined
  readonly execute?: boolean | undefined
  /** Go through the device-TLB, if software has enabled ATS. */
  readonly useAts?: boolean | undefined
  /** Under the id of this phantom function, counted from 1. */
  readonly phantom?: number | undefined
  /** The data is marked as corrupt. */
  readonly poisoned?: boolean | undefined
}

/** The parts of a transfer, ascending by address; records and list are reused by the engine's next transfer. */
export type DmaResult = readonly DmaPart[]

export interface InterruptResult {
  readonly signal: SignalOutcome
  /** The message, if `signal` is `sent`: its completion and `interrupt` say what became of it. */
  readonly request: MemoryRequest
}

type Writable<Of> = { -readonly [Key in keyof Of]: Of[Key] }
/** A part, and where its bytes are in the data of the transfer. */
type Record = Writable<DmaPart> & { dataStart: number }

const DEFAULT: DmaOptions = Object.freeze({})

/** Pages of a 64-bit address space. */
const PAGES = 2 ** 52

export class DmaEngine {
  readonly function: PcieFunction
  readonly #request = new MemoryRequest()
  readonly #records: Record[] = []
  readonly #parts: DmaPart[] = []
  /** Page request groups of the last transfer's parts; -1 for a part that waits for none. */
  readonly #groups: number[] = []
  #options: DmaOptions = DEFAULT
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
  dma(
    write: boolean,
    page: PageNumber,
    offset: number,
    data: Uint8Array,
    options: DmaOptions = DEFAULT,
  ): DmaResult {
    if (data.length === 0) throw new NorthbridgeError('invalidArgument', 'a DMA transfers at least one byte')
    if (page + Math.ceil((offset + data.length) / PAGE_SIZE) > PAGES) {
      throw new NorthbridgeError('invalidArgument', 'the DMA runs beyond the last 64-bit address')
    }
    const request = this.#request
    request.write = write
    request.data = data
    request.addressType = 0
    request.pasid = options.pasid ?? -1
    request.privileged = options.privileged === true
    request.execute = options.execute === true
    request.poisoned = options.poisoned === true
    this.#options = options
    this.#groups.length = 0
    this.#parts.length = 0
    for (let done = 0; done < data.length; ) {
      request.page = page + Math.floor((offset + done) / PAGE_SIZE)
      request.offset = (offset + done) % PAGE_SIZE
      request.length = Math.min(PAGE_SIZE - request.offset, data.length - done)
      request.dataStart = done
      if (options === DEFAULT) this.function.issue(request)
      else this.#groups[this.#parts.length] = this.#issue(options)
      this.#note()
      done += request.length
    }
    return this.#parts
  }

  /** Whether parts of the last transfer wait for pages that software has been asked for. */
  get waiting(): boolean {
    return this.#parts.some(({ status }) => status === STATUS.pageRequested)
  }

  /**
   * Makes the waiting parts of the last transfer, if their page requests have been answered with success; a part whose
   * request was refused is denied. Returns all parts.
   */
  retry(): DmaResult {
    const request = this.#request
    const interface_ = this.function.translation?.pageRequests
    for (const [index, part] of this.#records.slice(0, this.#parts.length).entries()) {
      if (part.status !== STATUS.pageRequested) continue
      const group = this.#groups[index]!
      // Without a group, the function was at the limit of its outstanding requests.
      const state = group < 0 || interface_ === undefined ? GROUP.served : interface_.take(group)
      if (state === GROUP.outstanding) continue
      if (state !== GROUP.served) {
        part.status = STATUS.translationDenied
        continue
      }
      request.page = part.page
      request.offset = part.offset
      request.length = part.length
      request.dataStart = part.dataStart
      this.#groups[index] = this.#issue(this.#options)
      this.#fill(part)
    }
    return this.#parts
  }

  /** Sends the request in a process address space or by ATS. Returns the page request group opened, or -1. */
  #issue({
    pasid = -1,
    privileged = false,
    execute = false,
    useAts = false,
    phantom = 0,
  }: DmaOptions): number {
    const request = this.#request
    const { translation } = this.function
    const modes = pasid >= 0 || privileged || execute
    if (modes && (pasid < 0 || translation?.permitsPasid(privileged, execute) !== true)) {
      request.begin()
      request.segment = this.function.segment
      request.requesterId = this.function.rid
      request.status = STATUS.pasidDisabled
      return -1
    }
    request.addressType = ADDRESS_TYPE.untranslated
    if (phantom > 0) {
      issueAsPhantom(this.function, request, phantom)
      return -1
    }
    if (useAts && translation !== undefined) return translation.issue(request)
    this.function.issue(request)
    return -1
  }

  /** Signals an interrupt vector, counted from 0. */
  fire(vector: number): InterruptResult {
    const request = this.#request
    // Nothing of the last request is left in the record of a message that is not sent.
    request.begin()
    request.interrupt.clear()
    request.segment = this.function.segment
    request.requesterId = this.function.rid
    request.page = 0
    request.offset = 0
    request.length = 0
    request.addressType = ADDRESS_TYPE.untranslated
    request.privileged = false
    request.execute = false
    request.poisoned = false
    this.#interrupt.signal = this.function.signal(vector, request)
    return this.#interrupt
  }

  #note(): void {
    const record = (this.#records[this.#parts.length] ??= emptyPart())
    this.#fill(record)
    this.#parts.push(record)
  }

  #fill(record: Record): void {
    const request = this.#request
    if (request.write && request.status === STATUS.successful && request.target === TARGET.memory)
      this.function.modelMade?.wrote?.(request.page)
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
    record.addressType = request.addressType
    record.dataStart = request.dataStart
  }
}

const emptyPart = (): Record => ({
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
  addressType: 0,
  dataStart: 0,
})
