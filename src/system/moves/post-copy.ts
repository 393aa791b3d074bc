/** "Post-copy": the guest runs at the target already. What it needs and has not yet is fetched; the rest is pushed. */
import { PAGE_SIZE, type PageNumber, pageOf } from '../../core/index.ts'
import { type Software, sleep } from '../../engine/index.ts'
import type { Arrivals, GuestMemory } from '../../hypervisor/index.ts'
import type { PostCopyReport } from './migration-options.ts'
import { PAGE_BYTES } from './migration-options.ts'
import type { PageChannel } from './page-channel.ts'
import type { TwoPlatforms } from './two-platforms.ts'

/** Pages that are pushed before the guest runs on for as long as that took. */
const SLICE = 64

export class PostCopy implements Arrivals {
  readonly missing: Set<PageNumber>
  readonly #between: TwoPlatforms
  readonly #vm: string
  readonly #channel: PageChannel
  readonly #latencyNs: number
  readonly #pages: number
  /** When it began, and what had been sent by then. */
  readonly #began: number
  readonly #sentBefore: number
  #faults = 0
  #hostFaults = 0
  #stalledNs = 0

  /** Withdraws the pages from the guest at the target. */
  constructor(
    between: TwoPlatforms,
    vm: string,
    channel: PageChannel,
    latencyNs: number,
    missing: readonly PageNumber[],
  ) {
    this.#between = between
    this.#vm = vm
    this.#channel = channel
    this.#latencyNs = latencyNs
    this.missing = new Set(missing)
    this.#pages = missing.length
    this.#began = between.elapsed
    this.#sentBefore = channel.bytes
    between.target.hypervisor.moves.awaitPages(vm, this)
  }

  #memoryOn(end: 'source' | 'target'): GuestMemory {
    return this.#between[end].hypervisor.moves.guestMemory(this.#vm)
  }

  *fetch(page: PageNumber): Software {
    this.#faults++
    const { engine } = this.#between.target
    const began = engine.now
    yield* sleep(engine, this.#latencyNs)
    this.#pushDue()
    // It is sent next, unless it is on its way already.
    yield* sleep(engine, this.#latencyNs + (this.missing.has(page) ? this.#channel.duration(PAGE_BYTES) : 0))
    // Another virtual processor, or the hypervisor, may have brought it meanwhile.
    if (this.missing.has(page)) this.#bring(page)
    this.#pushDue()
    this.#stalledNs += engine.now - began
  }

  hurry(address: number, length: number): void {
    for (let page = pageOf(address); page * PAGE_SIZE < address + length; page++) {
      if (!this.missing.has(page)) continue
      this.#hostFaults++
      this.#bring(page)
    }
  }

  #bring(page: PageNumber): void {
    // First: writing it is no access to what is missing.
    this.missing.delete(page)
    this.#channel.sendPage(this.#memoryOn('source'), this.#memoryOn('target'), page, false)
    this.#between.target.hypervisor.moves.pageCame(this.#vm, page)
  }

  /** Sends what the channel had time for, in the order of addresses. */
  #pushDue(): void {
    const sent = this.#channel.bytes - this.#sentBefore
    let bytes = sent
    for (const page of this.missing) {
      bytes += PAGE_BYTES
      if (this.#began + this.#channel.duration(bytes) > this.#between.elapsed) return
      this.#bring(page)
      bytes = this.#channel.bytes - this.#sentBefore
    }
  }

  /** Time that the guest has waited. */
  get stalledNs(): number {
    return this.#stalledNs
  }

  /** Pushes what is missing, in the order of addresses, while the guest runs. */
  *run(guestRuns: () => Software): Software<PostCopyReport> {
    const between = this.#between
    const slice = this.#channel.duration(SLICE * PAGE_BYTES) + 1
    while (this.missing.size > 0) {
      yield* between.until(between.elapsed + slice)
      this.#pushDue()
      yield* guestRuns()
    }
    yield* between.until(between.elapsed + this.#latencyNs)
    between.target.hypervisor.moves.allCame(this.#vm)
    return {
      pages: this.#pages,
      faults: this.#faults,
      hostFaults: this.#hostFaults,
      stalledNs: this.#stalledNs,
      durationNs: between.elapsed - this.#began,
    }
  }
}
