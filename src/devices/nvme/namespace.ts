/** A namespace: blocks of one size in a store, shared by the controllers of a subsystem. */
import type { Saved } from '../../core/index.ts'
import type { BlockStore } from './block-store.ts'

/** LBA formats that can be chosen, by number: the logarithm of the block size; no metadata. */
export const LBA_FORMATS = [9, 12] as const

export class Namespace {
  readonly id: number
  readonly store: BlockStore
  #format: number

  /** @param format index in {@link LBA_FORMATS}. */
  constructor(id: number, store: BlockStore, format = 0) {
    this.id = id
    this.store = store
    this.#format = format
  }

  get format(): number {
    return this.#format
  }

  /** Logarithm of the block size. */
  get blockShift(): number {
    return LBA_FORMATS[this.#format]!
  }

  /** NSZE. */
  get blocks(): number {
    return Math.floor(this.store.size / 2 ** this.blockShift)
  }

  /** "Format NVM": everything reads as zeros afterwards. False if the medium failed. */
  reformat(format: number): boolean {
    this.#format = format
    return this.store.discard(0, this.store.size)
  }

  save(): Saved {
    return { version: 1, format: this.#format, store: this.store.save() }
  }

  load(saved: Saved): void {
    const { format, store } = saved as { format: number; store: Saved }
    this.#format = format
    if (store !== null) this.store.load(store)
  }
}
