/** Pages of host memory for the hypervisor's own structures: VMXON regions, VMCSs and EPT tables. */
import { NorthbridgeError, type PageNumber } from '../core/index.ts'
import type { PageAllocator } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'

export class HostPages {
  readonly #machine: MachinePort
  readonly #allocator: PageAllocator

  constructor(machine: MachinePort, allocator: PageAllocator) {
    this.#machine = machine
    this.#allocator = allocator
  }

  /** Throws `outOfMemory` unless so many pages are free. */
  require(pages: number, forWhat: string): void {
    const { freePages } = this.#allocator
    if (freePages >= pages) return
    throw new NorthbridgeError(
      'outOfMemory',
      `${forWhat} need ${pages} pages and ${freePages} pages of host memory are free`,
      { pages, freePages },
    )
  }

  /** A page of zeros. Throws `outOfMemory`. */
  allocate(): PageNumber {
    const page = this.#allocator.allocate(1)
    this.#machine.zeroPages(page, 1)
    return page
  }

  /** Clears a page and gives it back, so that a command that is rolled back leaves memory as it was. */
  free(page: PageNumber): void {
    this.#machine.zeroPages(page, 1)
    this.#allocator.free(page, 1)
  }
}
