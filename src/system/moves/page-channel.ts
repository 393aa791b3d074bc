/** The channel between two hosts: pages go over it, and time passes as it takes. */
import { isAllZero, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { GuestMemory, MemoryBackend } from '../../hypervisor/index.ts'
import { readPage, writePage } from './medium.ts'
import { PAGE_BYTES, ZERO_PAGE_BYTES } from './migration-options.ts'

export class PageChannel {
  readonly #bandwidthMbps: number
  readonly #buffer = new Uint8Array(PAGE_SIZE)
  readonly #words = new Uint32Array(this.#buffer.buffer)
  /** Sent so far. */
  bytes = 0
  pages = 0
  zeroPages = 0

  constructor(bandwidthMbps: number) {
    this.#bandwidthMbps = bandwidthMbps
  }

  /** How long bytes take, in whole nanoseconds. */
  duration(bytes: number): number {
    return Math.floor((bytes * 8000) / this.#bandwidthMbps)
  }

  /** @param empty whether the page is zeros there already */
  sendPage(from: GuestMemory, to: GuestMemory, page: PageNumber, empty: boolean): void {
    from.readInto(page * PAGE_SIZE, this.#buffer, 0, PAGE_SIZE)
    this.pages++
    if (!isAllZero(this.#words)) {
      to.writeFrom(page * PAGE_SIZE, this.#buffer, 0, PAGE_SIZE)
      this.bytes += PAGE_BYTES
      return
    }
    if (!empty) to.writeFrom(page * PAGE_SIZE, this.#buffer, 0, PAGE_SIZE)
    this.zeroPages++
    this.bytes += ZERO_PAGE_BYTES
  }

  /** Throws `outOfMemory`. */
  *sendDiskPage(from: MemoryBackend, to: MemoryBackend, page: number): Software {
    yield* readPage(from, page, this.#buffer)
    yield* writePage(to, page, this.#buffer, 0)
    this.bytes += PAGE_BYTES
  }

  send(bytes: number): void {
    this.bytes += bytes
  }
}
