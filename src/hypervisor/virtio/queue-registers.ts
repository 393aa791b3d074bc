/** The registers of one queue in the common configuration. */
import { COMMON, NO_VECTOR } from '../formats/virtio.ts'
import type { QueueAreas } from './device-queue.ts'

const TWO_32 = 2 ** 32

export type SavedQueueRegisters = {
  readonly size: number
  readonly enabled: boolean
  readonly vector: number
  readonly addresses: Uint32Array
}

export class QueueRegisters {
  /** Largest size, which is the size after a reset. */
  readonly #most: number
  #size: number
  enabled = false
  vector: number = NO_VECTOR
  /** Descriptors, driver area, device area: low and high words. */
  readonly #addresses = new Uint32Array(6)

  constructor(most: number) {
    this.#most = most
    this.#size = most
  }

  /** @param number of the queue: its notifications have a place of their own. */
  read(offset: number, number: number): number {
    if (offset === COMMON.queueSize) return (this.#size | (this.vector << 16)) >>> 0
    if (offset === COMMON.queueEnable) return Number(this.enabled) | (number << 16)
    return this.#addresses[(offset - COMMON.queueDescriptors) >>> 2] ?? 0
  }

  /** What is enabled is settled until the reset. @param packed sizes of split rings are powers of two. */
  write(offset: number, value: number, lanes: number, packed: boolean): void {
    if (this.enabled) return
    if (offset === COMMON.queueSize) {
      const size = value & 0xffff
      const fits = size > 0 && size <= this.#most && (packed || (size & (size - 1)) === 0)
      if ((lanes & 0xffff) === 0xffff && fits) this.#size = size
    } else if (offset === COMMON.queueEnable) {
      if ((lanes & 0xffff) !== 0 && (value & 0xffff) === 1) this.enabled = true
    } else {
      const at = (offset - COMMON.queueDescriptors) >>> 2
      this.#addresses[at] = (this.#addresses[at]! & ~lanes) | (value & lanes)
    }
  }

  #address(area: number): number {
    return this.#addresses[area * 2 + 1]! * TWO_32 + this.#addresses[area * 2]!
  }

  /** §2.6: 16 bytes for descriptors; 2 and 4 for the rings of a split queue, 4 and 4 for the structures of a packed one. */
  isAligned(packed: boolean): boolean {
    return (
      this.#address(0) % 16 === 0 && this.#address(1) % (packed ? 4 : 2) === 0 && this.#address(2) % 4 === 0
    )
  }

  areas(eventIndex: boolean, indirect: boolean): QueueAreas {
    return {
      size: this.#size,
      descriptors: this.#address(0),
      driver: this.#address(1),
      device: this.#address(2),
      eventIndex,
      indirect,
    }
  }

  reset(): void {
    this.#size = this.#most
    this.enabled = false
    this.vector = NO_VECTOR
    this.#addresses.fill(0)
  }

  save(): SavedQueueRegisters {
    return {
      size: this.#size,
      enabled: this.enabled,
      vector: this.vector,
      addresses: this.#addresses.slice(),
    }
  }

  load({ size, enabled, vector, addresses }: SavedQueueRegisters): void {
    this.#size = size
    this.enabled = enabled
    this.vector = vector
    this.#addresses.set(addresses)
  }
}
