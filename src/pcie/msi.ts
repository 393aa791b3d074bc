/** "MSI Capability Structures": the message lives in configuration space, and so do mask and pending bits. */
import { get } from '../core/index.ts'
import { MSI, type MsiLayout, msiLayout } from './formats/capabilities.ts'
import { composeMessage } from './message-sender.ts'
import type { MemoryRequest } from './request.ts'

export class Msi {
  readonly #words: Uint32Array
  readonly #base: number
  readonly #layout: MsiLayout

  /** @param base offset of the capability in the configuration space `words`. */
  constructor(words: Uint32Array, base: number) {
    this.#words = words
    this.#base = base
    this.#layout = msiLayout(words[base >>> 2]!)
  }

  get enabled(): boolean {
    return (this.#read(0) & MSI.CONTROL.f.ENABLE.mask) !== 0
  }

  /** Messages allocated by software: no more than the function asked for. */
  get vectors(): number {
    const { MMC, MME } = MSI.CONTROL.f
    const control = this.#base >>> 2
    return 1 << Math.min(get(MME, this.#words, control), get(MMC, this.#words, control))
  }

  /** Whether per-vector masking holds the message back. */
  isMasked(vector: number): boolean {
    return this.#layout.mask !== undefined && (this.#read(this.#layout.mask) & (1 << vector)) !== 0
  }

  setPending(vector: number): void {
    const at = this.#pendingWord()
    if (at >= 0) this.#words[at]! |= 1 << vector
  }

  /** Takes the lowest message that is pending and not masked; -1 if there is none. */
  takePending(): number {
    const at = this.#pendingWord()
    if (at < 0 || !this.enabled) return -1
    const ready = this.#words[at]! & ~this.#read(this.#layout.mask!)
    if (ready === 0) return -1
    const vector = 31 - Math.clz32(ready & -ready)
    this.#words[at]! &= ~(1 << vector)
    return vector
  }

  /** The low bits of the data, as many as it takes to count the allocated messages, are the vector. */
  compose(vector: number, request: MemoryRequest, payload: Uint8Array): void {
    const wide = (this.#read(0) & MSI.CONTROL.f.C64.mask) !== 0
    const data = this.#read(this.#layout.data) & 0xffff
    composeMessage(
      request,
      payload,
      this.#read(MSI.ADDRESS.offset),
      wide ? this.#read(MSI.ADDRESS_UPPER.offset) : 0,
      (data & ~(this.vectors - 1)) | vector,
    )
  }

  #pendingWord(): number {
    return this.#layout.pending === undefined ? -1 : (this.#base + this.#layout.pending) >>> 2
  }

  #read(offset: number): number {
    return this.#words[(this.#base + offset) >>> 2]!
  }
}
