/** A virtqueue as the device uses it, whatever its layout. */
import type { Saved } from '../../core/index.ts'
import type { DevicePort } from '../emulated-device.ts'
import type { Chain } from './chain.ts'

/** Where the driver put the parts of a ring. */
export interface QueueAreas {
  readonly size: number
  readonly descriptors: number
  /** Available ring, or driver event suppression. */
  readonly driver: number
  /** Used ring, or device event suppression. */
  readonly device: number
  readonly eventIndex: boolean
  readonly indirect: boolean
}

export interface DeviceQueue {
  readonly size: number
  /** The chain that {@link take} found. */
  readonly chain: Chain
  /** What is wrong with the ring; nothing is taken any more then. */
  readonly broken: string | undefined
  /** Takes the next chain that the driver made available; false if there is none. */
  take(): boolean
  /** Puts back the chain taken last, which was not used. */
  untake(): void
  /** Enters a chain into the ring of used ones; the driver sees it when it is published. */
  give(id: number, descriptors: number, written: number): void
  /** Shows the driver what was given since. Returns whether it wants an interrupt for that. */
  publish(): boolean
  /** Asks the driver to notify, or not to. Returns whether something is available now that no notification came for. */
  notifications(wanted: boolean): boolean
  save(): Saved
  /** Goes on from what {@link save} returned, in the same areas. */
  load(saved: Saved): void
}

/** Dwords and halves of guest memory without allocation. False or -1: no memory there. */
export class RingMemory {
  readonly port: DevicePort
  readonly bytes = new Uint8Array(16)
  readonly #view = new DataView(this.bytes.buffer)

  constructor(port: DevicePort) {
    this.port = port
  }

  /** -1 if there is no memory. */
  read16(address: number): number {
    return this.port.read(address, this.bytes, 0, 2) ? this.#view.getUint16(0, true) : -1
  }

  write16(address: number, value: number): boolean {
    this.#view.setUint16(0, value, true)
    return this.port.write(address, this.bytes, 0, 2)
  }

  /** Reads a descriptor of 16 bytes; the getters below tell what is in it. */
  readDescriptor(address: number): boolean {
    return this.port.read(address, this.bytes, 0, 16)
  }

  get address(): number {
    return this.#view.getUint32(4, true) * 2 ** 32 + this.#view.getUint32(0, true)
  }

  get length(): number {
    return this.#view.getUint32(8, true)
  }

  /** The 16-bit fields at offsets 12 and 14: flags and next, or id and flags. */
  get third(): number {
    return this.#view.getUint16(12, true)
  }

  get fourth(): number {
    return this.#view.getUint16(14, true)
  }

  writeUsed(address: number, id: number, length: number): boolean {
    this.#view.setUint32(0, id, true)
    this.#view.setUint32(4, length, true)
    return this.port.write(address, this.bytes, 0, 8)
  }

  /** Length and id of a used descriptor of a packed ring, not yet its flags. */
  writePackedUsed(address: number, id: number, length: number): boolean {
    this.#view.setUint32(0, length, true)
    this.#view.setUint16(4, id, true)
    return this.port.write(address + 8, this.bytes, 0, 6)
  }
}
