/** The ring in which a unit leaves page requests of devices ("Page Request Queue"). */
import { get, PAGE_SIZE, type PageNumber } from '../../core/index.ts'
import { PQA, PQH, PQT, PRS } from '../../vtd/formats/index.ts'
import { PAGE_REQUEST, PAGE_REQUEST_BYTES } from '../../vtd/formats/page-requests.ts'
import type { TableMemory } from '../table-memory.ts'
import type { UnitRegisters } from './unit-registers.ts'

/** A device asks for access to a page. */
export interface PageRequest {
  readonly rid: number
  /** -1 without PASID. */
  readonly pasid: number
  readonly page: PageNumber
  readonly read: boolean
  readonly write: boolean
  /** Requests with equal numbers are answered together, behind the one marked last. */
  readonly group: number
  readonly last: boolean
}

const ENTRY_WORDS = PAGE_REQUEST_BYTES / 4
/** PQA.PQS = 0: one page. */
const ENTRIES = PAGE_SIZE / PAGE_REQUEST_BYTES

export type SavedPageRequests = { readonly ring: PageNumber | null; readonly pending: boolean }

export class PageRequestQueue {
  readonly #memory: TableMemory
  readonly #registers: UnitRegisters
  #ring: PageNumber | undefined
  /** Set by the page request event: there may be something in the ring. */
  pending = false

  constructor(memory: TableMemory, registers: UnitRegisters) {
    this.#memory = memory
    this.#registers = registers
  }

  enable(): void {
    this.#ring = this.#memory.allocate()
    this.#registers.write64(PQH, 0, 0)
    this.#registers.write64(PQT, 0, 0)
    this.#registers.writePage(PQA, this.#ring)
  }

  save(): SavedPageRequests {
    return { ring: this.#ring ?? null, pending: this.pending }
  }

  load({ ring, pending }: SavedPageRequests): void {
    this.#ring = ring ?? undefined
    this.pending = pending
  }

  /** Everything in the ring, oldest first. */
  take(): PageRequest[] {
    const ring = this.#ring
    if (ring === undefined || !this.pending) return []
    this.pending = false
    // "Pending Page Request" is cleared before the tail is read: what comes later raises the event again.
    this.#registers.write(PRS.offset, PRS.f.PPR.mask)
    const tail = this.#registers.read(PQT.offset) / PAGE_REQUEST_BYTES
    const requests: PageRequest[] = []
    let head = this.#registers.read(PQH.offset) / PAGE_REQUEST_BYTES
    for (; head !== tail; head = (head + 1) % ENTRIES) requests.push(this.#decode(ring, head))
    this.#registers.write64(PQH, head * PAGE_REQUEST_BYTES, 0)
    // After an overflow the unit discards requests until told that there is room again.
    if (this.#registers.field(PRS, PRS.f.PRO)) this.#registers.write(PRS.offset, PRS.f.PRO.mask)
    return requests
  }

  #decode(ring: PageNumber, index: number): PageRequest {
    const words = Array.from(
      { length: ENTRY_WORDS },
      (_, word) => this.#memory.read(ring, index, ENTRY_WORDS, word) >>> 0,
    )
    const { PP, PASID, RID, R, W, LPIG, PRGI, ADDR } = PAGE_REQUEST
    return {
      rid: get(RID, words),
      pasid: get(PP, words) ? get(PASID, words) : -1,
      page: get(ADDR, words),
      read: get(R, words) === 1,
      write: get(W, words) === 1,
      group: get(PRGI, words),
      last: get(LPIG, words) === 1,
    }
  }
}
