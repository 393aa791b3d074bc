/** What a controller has of its function: memory requests and interrupts, split and counted. */
import { PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { CAPABILITY, MSI_X } from '../../pcie/formats/index.ts'
import { MemoryRequest, type PcieFunction, STATUS } from '../../pcie/index.ts'

export interface BusMaster {
  /** Reads memory at a 64-bit address into `target`. False if a request failed; what came before it has been read. */
  read(page: PageNumber, offset: number, target: Uint8Array, start: number, length: number): boolean
  write(page: PageNumber, offset: number, source: Uint8Array, start: number, length: number): boolean
  signal(vector: number): void
  /** MSI-X is enabled. */
  readonly usesMessageTable: boolean
}

/** Pages of a 64-bit address space. */
const PAGES = 2 ** 52

/** What the controller's requests have cost since the function appeared. */
export class BusCounters {
  reads = 0
  writes = 0
  bytes = 0
  /** Requests that did not end successfully. */
  failed = 0
  /** Requests that a remapping unit looked up, and those that its IOTLB answered. */
  iotlbLookups = 0
  iotlbHits = 0
  /** Reads of remapping structures in memory. */
  tableReads = 0
  interrupts = 0
}

export class FunctionBusMaster implements BusMaster {
  readonly counters = new BusCounters()
  readonly #function: PcieFunction
  readonly #request = new MemoryRequest()
  readonly #message = new MemoryRequest()
  readonly #messageControl: number

  constructor(fn: PcieFunction) {
    this.#function = fn
    this.#messageControl = fn.layout.find(CAPABILITY.MSI_X) >>> 2
  }

  get usesMessageTable(): boolean {
    const at = this.#messageControl
    return at > 0 && (this.#function.words[at]! & MSI_X.CONTROL.f.ENABLE.mask) !== 0
  }

  read(page: PageNumber, offset: number, target: Uint8Array, start: number, length: number): boolean {
    return this.#transfer(false, page, offset, target, start, length)
  }

  write(page: PageNumber, offset: number, source: Uint8Array, start: number, length: number): boolean {
    return this.#transfer(true, page, offset, source, start, length)
  }

  /** One request for each 4-KiB page: no request crosses such a border. */
  #transfer(
    write: boolean,
    page: PageNumber,
    offset: number,
    data: Uint8Array,
    start: number,
    length: number,
  ): boolean {
    const request = this.#request
    const { counters } = this
    request.write = write
    request.data = data
    for (let done = 0; done < length; page++) {
      if (page >= PAGES) return false
      const at = done === 0 ? offset : 0
      const part = Math.min(length - done, PAGE_SIZE - at)
      request.page = page
      request.offset = at
      request.length = part
      request.dataStart = start + done
      this.#function.issue(request)
      if (write) counters.writes++
      else counters.reads++
      if (request.unit >= 0) {
        counters.iotlbLookups++
        if (request.iotlbHit) counters.iotlbHits++
        counters.tableReads += request.tableReads
      }
      if (request.status !== STATUS.successful) {
        counters.failed++
        return false
      }
      counters.bytes += part
      done += part
    }
    return true
  }

  signal(vector: number): void {
    this.counters.interrupts++
    this.#function.signal(vector, this.#message)
  }
}
