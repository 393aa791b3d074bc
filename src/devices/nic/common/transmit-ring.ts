/** A transmit queue: its ring of descriptors, and the offload contexts that descriptors have set up. */
import type { Saved } from '../../../core/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import { DESCRIPTOR_SIZE, TX_DONE } from '../../formats/nic/descriptors.ts'
import type { NicDma } from './nic-dma.ts'
import { RING, RING_ENABLE } from './receive-ring.ts'

/** Contexts that a queue remembers. */
const CONTEXTS = 2
/** Where a descriptor has its status, and what is written there. */
const STATUS_OFFSET = 12
const DONE = Uint8Array.of(TX_DONE, 0, 0, 0)
/** `TDWBAL.HEAD_WB_EN` of both chips. */
const HEAD_WRITE_BACK = 1

export class TransmitRing {
  readonly queue: number
  stopped = false
  frames = 0
  bytes = 0
  /** The descriptor read last, as dwords. */
  readonly fields: Int32Array
  /** Contexts, four dwords each. */
  readonly contexts = new Int32Array(CONTEXTS * 4)
  readonly #words: Uint32Array
  readonly #at: number
  readonly #descriptor: Uint8Array
  readonly #head = new Uint8Array(4)

  constructor(queue: number, words: Uint32Array, at: number) {
    this.queue = queue
    this.#words = words
    this.#at = at
    this.#descriptor = new Uint8Array(DESCRIPTOR_SIZE)
    this.fields = new Int32Array(this.#descriptor.buffer)
  }

  get enabled(): boolean {
    return (this.#words[this.#at + RING.CONTROL]! & RING_ENABLE) !== 0
  }

  get count(): number {
    return this.#words[this.#at + RING.LENGTH]! >>> 4
  }

  get head(): number {
    return this.#words[this.#at + RING.HEAD]!
  }

  get tail(): number {
    return this.#words[this.#at + RING.TAIL]!
  }

  get baseLow(): number {
    return this.#words[this.#at + RING.LOW]!
  }

  get baseHigh(): number {
    return this.#words[this.#at + RING.HIGH]!
  }

  /** Descriptors that software has handed over. */
  get available(): number {
    const { count, head, tail } = this
    if (head >= count || tail >= count) return 0
    return tail >= head ? tail - head : tail + count - head
  }

  /** Reads the descriptor `ahead` of the head into `fields`; false stops the queue. */
  fetch(dma: NicDma, fn: PcieFunction, ahead: number): boolean {
    const displacement = this.#place(ahead) * DESCRIPTOR_SIZE
    if (
      dma.read(fn, this.baseLow | 0, this.baseHigh | 0, displacement, DESCRIPTOR_SIZE, this.#descriptor, 0)
    ) {
      return true
    }
    this.stopped = true
    return false
  }

  /** Marks the descriptor `ahead` of the head as done in memory: in the dword with its status, whose rest is reserved. */
  writeBack(dma: NicDma, fn: PcieFunction, ahead: number): void {
    const displacement = this.#place(ahead) * DESCRIPTOR_SIZE + STATUS_OFFSET
    dma.write(fn, this.baseLow | 0, this.baseHigh | 0, displacement, 4, DONE, 0)
  }

  /** "Head write-back": whether completions are told by the head alone. */
  get writesHeadBack(): boolean {
    return (this.#words[this.#at + RING.WRITE_BACK]! & HEAD_WRITE_BACK) !== 0
  }

  /** Writes the head to where software wants it. */
  writeHeadBack(dma: NicDma, fn: PcieFunction): void {
    const { head } = this
    this.#head[0] = head
    this.#head[1] = head >>> 8
    this.#head[2] = 0
    this.#head[3] = 0
    const low = this.#words[this.#at + RING.WRITE_BACK]! & ~3
    dma.write(fn, low, this.#words[this.#at + RING.WRITE_BACK + 1]! | 0, 0, 4, this.#head, 0)
  }

  advance(descriptors: number): void {
    this.#words[this.#at + RING.HEAD] = this.#place(descriptors)
  }

  #place(ahead: number): number {
    const place = this.head + ahead
    return place >= this.count ? place - this.count : place
  }

  restart(): void {
    this.stopped = false
  }

  save(): Saved {
    return {
      stopped: this.stopped,
      frames: this.frames,
      bytes: this.bytes,
      contexts: [...this.contexts],
    }
  }

  load(saved: Saved): void {
    const state = saved as { stopped: boolean; frames: number; bytes: number; contexts: readonly number[] }
    this.stopped = state.stopped
    this.frames = state.frames
    this.bytes = state.bytes
    this.contexts.set(state.contexts)
  }
}
