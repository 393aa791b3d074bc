/** The devices of a guest: its local APIC in software, and I/O ports that the hypervisor passes on. */
import { LOCAL_APIC, XAPIC_BASE } from '../../interrupts/formats/local-apic.ts'
import type { MachinePort } from '../../platform/machine-port.ts'
import { VirtualApic } from '../virtual-apic.ts'

const XAPIC_BYTES = 4096

export class VirtualBoard {
  readonly apic = new VirtualApic(0, () => undefined)
  readonly #machine: MachinePort

  constructor(machine: MachinePort) {
    this.#machine = machine
  }

  in(port: number, width: number): number {
    return this.#machine.inPort(port, width)
  }

  out(port: number, width: number, value: number): void {
    this.#machine.outPort(port, width, value)
  }

  isApic(address: number): boolean {
    return address >= XAPIC_BASE && address < XAPIC_BASE + XAPIC_BYTES
  }

  /** Registers of the guest-physical address space that are no memory. */
  readRegister(address: number): number {
    return this.isApic(address) ? (this.apic.read(address - XAPIC_BASE) ?? 0) : 0xffff_ffff
  }

  writeRegister(address: number, value: number): void {
    if (this.isApic(address)) this.apic.write(address - XAPIC_BASE, value >>> 0)
  }

  /** Task priority class: CR8. */
  get taskPriorityClass(): number {
    return this.apic.taskPriority >>> 4
  }

  set taskPriorityClass(value: number) {
    this.apic.write(LOCAL_APIC.TPR, value << 4)
  }
}
