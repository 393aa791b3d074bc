/** The MSI capability that a guest sees: its own copy, none of it reaches the function. */
import { opened, type Saved, union } from '../core/index.ts'
import type { MsiLayout } from '../host/index.ts'
import { MSI, msiLayout } from '../pcie/formats/index.ts'
import type { MessageSource } from './interrupt-forwarder.ts'

const { ENABLE, MME, MMC } = MSI.CONTROL.f
const CONTROL_WRITABLE = union(ENABLE, MME)

export class VirtualMsi implements MessageSource {
  readonly kind = 'msi'
  readonly count: number
  /** Offset of the capability in config space, and its bytes. */
  readonly capability: number
  readonly size: number
  readonly #data: number
  readonly #mask: number | undefined
  readonly #pending: number | undefined
  readonly #words: Uint32Array

  /** @param control the first dword of the function's own capability. */
  constructor(layout: MsiLayout, control: number) {
    this.count = layout.count
    this.capability = layout.capability
    const { data, mask, pending, size } = msiLayout(control)
    this.#data = data
    this.#mask = mask
    this.#pending = pending
    this.size = Math.ceil(size / 4) * 4
    this.#words = new Uint32Array(this.size / 4)
    this.#words[0] = control
    this.reset()
  }

  /** As after a reset: disabled, and nothing of what was written is left. */
  reset(): void {
    const control = (this.#words[0]! & ~CONTROL_WRITABLE) >>> 0
    this.#words.fill(0)
    this.#words[0] = control
  }

  get enabled(): boolean {
    return (this.#words[0]! & ENABLE.mask) !== 0
  }

  /** Messages in use: as many as enabled, never more than the function offers. */
  get #inUse(): number {
    const enabled = (this.#words[0]! & MME.mask) >>> MME.shift
    const offered = (this.#words[0]! & MMC.mask) >>> MMC.shift
    return 1 << Math.min(enabled, offered)
  }

  masked(index: number): boolean {
    if (!this.enabled || index >= this.#inUse) return true
    return this.#mask !== undefined && ((this.#words[this.#mask >>> 2]! >>> index) & 1) !== 0
  }

  address(_index: number): number {
    return this.#words[1]!
  }

  /** "Message Data": the function replaces the low bits by the message number. */
  data(index: number): number {
    const data = this.#words[this.#data >>> 2]! & 0xffff
    return (data & ~(this.#inUse - 1)) | index
  }

  /** @param offset in the capability, a multiple of 4. `pending`: whether a masked message waits. */
  read(offset: number, pending: (index: number) => boolean): number {
    if (offset !== this.#pending) return this.#words[offset >>> 2]!
    let bits = 0
    for (let i = 0; i < this.count; i++) if (pending(i)) bits |= 1 << i
    return bits >>> 0
  }

  write(offset: number, value: number, lanes: number): void {
    const writable = this.#writable(offset) & lanes
    const i = offset >>> 2
    this.#words[i] = (this.#words[i]! & ~writable) | (value & writable)
  }

  #writable(offset: number): number {
    if (offset === 0) return CONTROL_WRITABLE
    if (offset === this.#data) return 0xffff
    if (offset === this.#pending) return 0
    if (offset === MSI.ADDRESS.offset) return 0xffff_fffc
    return 0xffff_ffff
  }

  save(): Saved {
    return { version: 1, words: this.#words.slice() }
  }

  load(saved: Saved): void {
    this.#words.set(opened<{ words: Uint32Array }>(saved, 'a virtual MSI capability', 1).words)
  }
}
