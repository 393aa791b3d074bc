/** Where the registers of a virtual local APIC are kept: by the hypervisor itself, or in the page that processors use. */
import { PAGE_SIZE, type PageNumber } from '../core/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'

/** Registers by index: their offset in the xAPIC page divided by 16. */
export interface ApicRegisters {
  read(index: number): number
  write(index: number, value: number): void
}

export class OwnRegisters implements ApicRegisters {
  readonly #words = new Uint32Array(64)

  read(index: number): number {
    return this.#words[index]!
  }

  write(index: number, value: number): void {
    this.#words[index] = value
  }
}

/** The virtual-APIC page, in which "APIC virtualization" reads and writes the same registers. */
export class PageRegisters implements ApicRegisters {
  readonly #machine: MachinePort
  readonly #address: number

  constructor(machine: MachinePort, page: PageNumber) {
    this.#machine = machine
    this.#address = page * PAGE_SIZE
  }

  read(index: number): number {
    return this.#machine.readDword(this.#address + index * 16)
  }

  write(index: number, value: number): void {
    this.#machine.writeDword(this.#address + index * 16, value >>> 0)
  }
}
