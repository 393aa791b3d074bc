/** How a controller reads and writes memory: one request record, split where a request would cross 4 KiB. */
import { PAGE_SIZE } from '../../../core/index.ts'
import { MemoryRequest, type PcieFunction, STATUS } from '../../../pcie/index.ts'

/** Pages of a 64-bit address space: addresses wrap around behind the last. */
const PAGES = 2 ** 52

export class NicDma {
  readonly request = new MemoryRequest()
  /** Inspection: requests sent, bytes moved, and what became of those that failed. */
  requests = 0
  /** How the last transfer that failed ended, `STATUS`. */
  failure = 0

  /**
   * Reads `length` bytes at a 64-bit address into `target`; false if a part of it failed.
   * @param displacement bytes behind the address, below 2^31.
   */
  read(
    fn: PcieFunction,
    low: number,
    high: number,
    displacement: number,
    length: number,
    target: Uint8Array,
    start: number,
  ): boolean {
    return this.#transfer(false, fn, low, high, displacement, length, target, start)
  }

  /** Writes; a posted write that fails is not noticed by the hardware, only by who looks at it. */
  write(
    fn: PcieFunction,
    low: number,
    high: number,
    displacement: number,
    length: number,
    source: Uint8Array,
    start: number,
  ): boolean {
    return this.#transfer(true, fn, low, high, displacement, length, source, start)
  }

  #transfer(
    write: boolean,
    fn: PcieFunction,
    low: number,
    high: number,
    displacement: number,
    length: number,
    data: Uint8Array,
    start: number,
  ): boolean {
    const { request } = this
    const first = (low & 0xfff) + displacement
    let page = ((high >>> 0) * 0x10_0000 + (low >>> 12) + (first >>> 12)) % PAGES
    let offset = first & 0xfff
    let done = 0
    let successful = true
    request.write = write
    request.addressType = 0
    request.pasid = -1
    request.privileged = false
    request.execute = false
    request.poisoned = false
    request.data = data
    while (done < length) {
      const part = Math.min(PAGE_SIZE - offset, length - done)
      request.page = page
      request.offset = offset
      request.length = part
      request.dataStart = start + done
      fn.issue(request)
      this.requests++
      if (request.status !== STATUS.successful) {
        this.failure = request.status
        successful = false
        // A read that failed ends the transfer; a posted write goes on.
        if (!write) return false
      }
      done += part
      offset = 0
      page = page + 1 === PAGES ? 0 : page + 1
    }
    return successful
  }
}
