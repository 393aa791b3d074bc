/** A namespace: blocks of one size in a store, for the controllers that it is attached to. */
import type { Saved } from '../../core/index.ts'
import type { BlockStore } from './block-store.ts'

/** LBA formats that can be chosen, by number: the logarithm of the block size; no metadata. */
export const LBA_FORMATS = [9, 12] as const

export type SavedNamespace = {
  readonly id: number
  readonly shared: boolean
  readonly format: number
  readonly attached: Uint8Array
  readonly size: number
  readonly store: Saved
}

export class Namespace {
  readonly id: number
  /** NMIC: whether more than one controller may be attached at a time. */
  readonly shared: boolean
  /** By CNTLID: 1 for controllers that it is attached to. */
  readonly attached: Uint8Array
  #store: BlockStore
  #format: number

  /** @param format index in {@link LBA_FORMATS}. */
  constructor(id: number, shared: boolean, attached: Uint8Array, store: BlockStore, format: number) {
    this.id = id
    this.shared = shared
    this.attached = attached
    this.#store = store
    this.#format = format
  }

  get store(): BlockStore {
    return this.#store
  }

  /** What the outside world may put in the place of its memory: a file, another machine's disk. */
  replaceStore(store: BlockStore): void {
    this.#store = store
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
    return Math.floor(this.#store.size / 2 ** this.blockShift)
  }

  /** "Format NVM": everything reads as zeros afterwards. False if the medium failed. */
  reformat(format: number): boolean {
    this.#format = format
    return this.#store.discard(0, this.#store.size)
  }

  save(): SavedNamespace {
    return {
      id: this.id,
      shared: this.shared,
      format: this.#format,
      attached: this.attached.slice(),
      size: this.#store.size,
      store: this.#store.save(),
    }
  }
}
