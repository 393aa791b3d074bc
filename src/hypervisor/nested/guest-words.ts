/** Memory of a virtual machine by aligned dwords of guest-physical address, as its processors would find it. */
import type { MachinePort } from '../../platform/machine-port.ts'
import type { GuestMemory } from '../guest-memory.ts'

const ALL_ONES = 0xffff_ffff

export class GuestWords {
  readonly #machine: MachinePort
  readonly #memory: GuestMemory

  constructor(machine: MachinePort, memory: GuestMemory) {
    this.#machine = machine
    this.#memory = memory
  }

  /** Where the guest has no memory: ones. */
  read(address: number): number {
    if (!this.#memory.contains(address, 4)) return ALL_ONES
    return this.#machine.readDword(this.#memory.hostAddress(address))
  }

  /** Where the guest has no memory, nothing happens. */
  write(address: number, value: number): void {
    if (this.#memory.contains(address, 4)) {
      this.#machine.writeDword(this.#memory.hostAddress(address), value >>> 0)
    }
  }

  /** A bit of a bitmap. */
  bit(address: number, index: number): boolean {
    return ((this.read(address + (index >>> 5) * 4) >>> (index & 31)) & 1) !== 0
  }
}
