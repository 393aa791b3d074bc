/** A transmit queue: its ring of descriptors, and the offload contexts that descriptors have set up. */
import type { Saved } from '../../../core/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import { DESCRIPTOR_SIZE, TX_DONE } from '../../formats/nic/descriptors.ts'
import { DescriptorRing, type SavedRing } from './descriptor-ring.ts'
import type { NicDma } from './nic-dma.ts'

/** Contexts that a queue remembers. */
const CONTEXTS = 2
/** Where a descriptor has its status, and what is written there. */
const STATUS_OFFSET = 12
const DONE = Uint8Array.of(TX_DONE, 0, 0, 0)
/** `TDWBAL`: distance in words from the queue's first register; and its HEAD_WB_EN, of both chips. */
const WRITE_BACK = 14
const HEAD_WRITE_BACK = 1

export class TransmitRing extends DescriptorRing {
  /** Contexts, four dwords each. */
  readonly contexts = new Int32Array(CONTEXTS * 4)
  readonly #head = new Uint8Array(4)

  /** Reads the descriptor `ahead` of the head into `fields`; false stops the queue. */
  fetch(dma: NicDma, fn: PcieFunction, ahead: number): boolean {
    const displacement = this.place(ahead) * DESCRIPTOR_SIZE
    if (
      dma.read(fn, this.baseLow | 0, this.baseHigh | 0, displacement, DESCRIPTOR_SIZE, this.descriptor, 0)
    ) {
      return true
    }
    this.stopped = true
    return false
  }

  /** Marks the descriptor `ahead` of the head as done in memory: in the dword with its status, whose rest is reserved. */
  writeBack(dma: NicDma, fn: PcieFunction, ahead: number): void {
    const displacement = this.place(ahead) * DESCRIPTOR_SIZE + STATUS_OFFSET
    dma.write(fn, this.baseLow | 0, this.baseHigh | 0, displacement, 4, DONE, 0)
  }

  /** "Head write-back": whether completions are told by the head alone. */
  get writesHeadBack(): boolean {
    return (this.register(WRITE_BACK) & HEAD_WRITE_BACK) !== 0
  }

  /** Writes the head to where software wants it. */
  writeHeadBack(dma: NicDma, fn: PcieFunction): void {
    const { head } = this
    this.#head[0] = head
    this.#head[1] = head >>> 8
    this.#head[2] = 0
    this.#head[3] = 0
    const low = this.register(WRITE_BACK) & ~3
    dma.write(fn, low, this.register(WRITE_BACK + 1) | 0, 0, 4, this.#head, 0)
  }

  override save(): SavedTransmitRing {
    return { ...super.save(), contexts: [...this.contexts] }
  }

  override load(saved: Saved): void {
    super.load(saved)
    this.contexts.set((saved as SavedTransmitRing).contexts)
  }
}

type SavedTransmitRing = SavedRing & { readonly contexts: readonly number[] }
