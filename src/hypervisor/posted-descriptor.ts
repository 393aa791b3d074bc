/**
 * "Posted Interrupt Descriptor" of one virtual processor, as the hypervisor keeps it: whom to notify while the virtual
 * processor runs (NV is the notification vector, NDST its processor), sleeps (the wakeup vector) or waits for its turn
 * (SN). Units and processors write the same 64 bytes.
 */
import type { MachinePort } from '../platform/machine-port.ts'
import { POSTED_INTERRUPT_DESCRIPTOR } from '../vtd/formats/index.ts'
import type { Notification } from './types.ts'

const { ON, SN, NV, NDST } = POSTED_INTERRUPT_DESCRIPTOR
export const DESCRIPTOR_SIZE = 64
const PIR_WORDS = 8

export class PostedDescriptor {
  readonly address: number
  readonly #machine: MachinePort

  /** @param address physical, 64-byte aligned. */
  constructor(machine: MachinePort, address: number) {
    this.#machine = machine
    this.address = address
  }

  get #status(): number {
    return this.#machine.readDword(this.address + ON.word * 4)
  }

  set #status(value: number) {
    this.#machine.writeDword(this.address + ON.word * 4, value >>> 0)
  }

  get outstanding(): boolean {
    return (this.#status & ON.mask) !== 0
  }

  get notificationVector(): number {
    return (this.#status & NV.mask) >>> NV.shift
  }

  /** NDST as it stands. */
  get destination(): number {
    return this.#machine.readDword(this.address + NDST.word * 4)
  }

  view(): Notification {
    return {
      descriptor: this.address,
      vector: this.notificationVector,
      destination: this.destination,
      outstanding: this.outstanding,
      suppressed: (this.#status & SN.mask) !== 0,
    }
  }

  /** Points notifications at a processor. `extended`: EIME, 32-bit x2APIC identifiers. */
  point(apicId: number, extended: boolean): void {
    this.#machine.writeDword(this.address + NDST.word * 4, extended ? apicId : apicId << 8)
  }

  notifyWith(vector: number): void {
    this.#status = (this.#status & ~NV.mask) | (vector << NV.shift)
  }

  suppress(on: boolean): void {
    this.#status = on ? this.#status | SN.mask : this.#status & ~SN.mask
  }

  /** The hypervisor's own interrupts enter like those of units; whom to tell is the caller's to decide. */
  post(vector: number): void {
    const at = this.address + (vector >>> 5) * 4
    this.#machine.writeDword(at, (this.#machine.readDword(at) | (1 << (vector & 31))) >>> 0)
    this.#status |= ON.mask
  }

  /** One of the eight words of PIR. */
  requests(word: number): number {
    return this.#machine.readDword(this.address + word * 4)
  }

  /** Takes what was posted: clears ON, then each word, which `merge` gets. */
  take(merge: (word: number, bits: number) => void): void {
    this.#status &= ~ON.mask
    for (let word = 0; word < PIR_WORDS; word++) {
      const bits = this.requests(word)
      if (bits === 0) continue
      this.#machine.writeDword(this.address + word * 4, 0)
      merge(word, bits)
    }
  }
}
