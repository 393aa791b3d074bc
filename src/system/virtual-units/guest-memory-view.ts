/**
 * Guest memory as physical memory: a hypervisor has the memory of its machines mapped into its own address space, and a
 * register model that it runs walks the guest's tables there, in place.
 */
import type { PageNumber } from '../../core/index.ts'
import type { UnitMemory } from '../../hypervisor/index.ts'
import { type Page, PhysicalMemory } from '../../memory/index.ts'

export class GuestMemoryView extends PhysicalMemory {
  readonly #guest: UnitMemory
  readonly #host: PhysicalMemory

  constructor(guest: UnitMemory, host: PhysicalMemory) {
    super(guest.ranges)
    this.#guest = guest
    this.#host = host
  }

  override page(page: PageNumber): Page | undefined {
    const hostPage = this.#guest.hostPage(page, false)
    return hostPage === undefined ? undefined : this.#host.page(hostPage)
  }

  override words(page: PageNumber): Uint32Array | undefined {
    return this.page(page)?.words
  }

  override wordsAt(low: number, high: number): Uint32Array | undefined {
    return this.words((high >>> 0) * 0x10_0000 + (low >>> 12))
  }

  override pageForWrite(page: PageNumber): Page | undefined {
    const hostPage = this.#guest.hostPage(page, true)
    return hostPage === undefined ? undefined : this.#host.pageForWrite(hostPage)
  }
}
