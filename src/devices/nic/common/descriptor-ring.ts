/** What receive and transmit queues have in common: a ring of descriptors in memory, and the registers that say where. */
import type { Saved } from '../../../core/index.ts'
import { DESCRIPTOR_SIZE } from '../../formats/nic/descriptors.ts'

/** Words of a ring's registers from its first one on; the two chips agree in them. */
const RING = { LOW: 0, HIGH: 1, LENGTH: 2, HEAD: 4, TAIL: 6, CONTROL: 10 } as const
/** `RXDCTL.ENABLE` and `TXDCTL.ENABLE` of both chips. */
export const RING_ENABLE = 1 << 25

export type SavedRing = { readonly stopped: boolean; readonly frames: number; readonly bytes: number }

export class DescriptorRing {
  readonly queue: number
  /** A descriptor could not be read: the queue waits for being disabled and enabled. */
  stopped = false
  frames = 0
  bytes = 0
  /** The descriptor at hand, and the same as dwords. */
  protected readonly descriptor = new Uint8Array(DESCRIPTOR_SIZE)
  readonly fields = new Int32Array(this.descriptor.buffer)
  readonly #words: Uint32Array
  readonly #at: number

  /** @param at word of its first register. */
  constructor(queue: number, words: Uint32Array, at: number) {
    this.queue = queue
    this.#words = words
    this.#at = at
  }

  /** A register of the queue, by its distance in words from the first. */
  protected register(distance: number): number {
    return this.#words[this.#at + distance]!
  }

  get enabled(): boolean {
    return (this.register(RING.CONTROL) & RING_ENABLE) !== 0
  }

  get count(): number {
    return this.register(RING.LENGTH) >>> 4
  }

  get head(): number {
    return this.register(RING.HEAD)
  }

  get tail(): number {
    return this.register(RING.TAIL)
  }

  get baseLow(): number {
    return this.register(RING.LOW)
  }

  get baseHigh(): number {
    return this.register(RING.HIGH)
  }

  /** Descriptors that the hardware owns: from head to before tail. None if either lies beyond the ring. */
  get available(): number {
    const { count, head, tail } = this
    if (head >= count || tail >= count) return 0
    return tail >= head ? tail - head : tail + count - head
  }

  /** Place of the descriptor `ahead` of the head. */
  protected place(ahead: number): number {
    const place = this.head + ahead
    return place >= this.count ? place - this.count : place
  }

  /** Gives descriptors back to software. */
  advance(descriptors: number): void {
    this.#words[this.#at + RING.HEAD] = this.place(descriptors)
  }

  /** The queue was enabled, or reset. */
  restart(): void {
    this.stopped = false
  }

  save(): SavedRing {
    return { stopped: this.stopped, frames: this.frames, bytes: this.bytes }
  }

  load(saved: Saved): void {
    const { stopped, frames, bytes } = saved as SavedRing
    this.stopped = stopped
    this.frames = frames
    this.bytes = bytes
  }
}
