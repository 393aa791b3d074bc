/** Pages of host memory for the hypervisor's own structures: VMXON regions, VMCSs and EPT tables. */
import { PAGE_SIZE, type PageNumber } from '../core/index.ts'
import type { PageAllocator } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'

const ZEROS = new Uint8Array(PAGE_SIZE)

export class HostPages {
  readonly #machine: MachinePort
  readonly #allocator: PageAllocator

  constructor(machine: MachinePort, allocator: PageAllocator) {
    this.#machine = machine
    this.#allocator = allocator
  }

  /** A page of zeros. Throws `outOfMemory`. */
  allocate(): PageNumber {
    const page = this.#allocator.allocate(1)
    this.#machine.writeBytes(page * PAGE_SIZE, ZEROS)
    return page
  }

  /** Clears a page and gives it back, so that a command that is rolled back leaves memory as it was. */
  free(page: PageNumber): void {
    this.#machine.writeBytes(page * PAGE_SIZE, ZEROS)
    this.#allocator.free(page, 1)
  }
}
