/**
 * "Resizable BAR Capability": software picks one of the sizes that a BAR supports, and the BAR then decodes as much.
 * Changing a size while the BAR is decoded is an error of software; here such a write, and one of a size that is not
 * supported, leaves the register as it was.
 */
import { get } from '../core/index.ts'
import type { BarDefinition } from './definition.ts'
import { BAR } from './formats/header.ts'
import { RESIZABLE_BAR } from './formats/link-capabilities.ts'

const { INDEX, NUMBER, SIZE, SIZES_UPPER } = RESIZABLE_BAR.CONTROL.f
const UPPER = 0x1_0000_0000

/** Where the registers are: of the BARs of a function, or of its VF BARs. */
export interface ResizableBarPlace {
  /** Offset of the capability. */
  readonly capability: number
  /** Offset of BAR 0. */
  readonly bars: number
}

export class ResizableBars {
  readonly #words: Uint32Array
  readonly #place: ResizableBarPlace
  readonly #bars: readonly BarDefinition[]

  constructor(words: Uint32Array, place: ResizableBarPlace, bars: readonly BarDefinition[]) {
    this.#words = words
    this.#place = place
    this.#bars = bars
  }

  /** Bytes that BAR `index` decodes; undefined for one that has a single size. */
  sizeOf(index: number): number | undefined {
    const entry = this.#entryOf(index)
    return entry < 0 ? undefined : 2 ** (20 + get(SIZE, this.#words, entry + 1))
  }

  /** After a write to the dword `at` of the capability, which held `before`. */
  written(at: number, before: number, decoded: boolean): void {
    const code = get(SIZE, this.#words, at)
    if (decoded || !this.#supports(at - 1, code)) this.#words[at] = before
    this.align()
  }

  /** Address bits below the size read 0: that is how software sizes a BAR. */
  align(): void {
    for (const { index, kind } of this.#bars) {
      const size = this.sizeOf(index)
      if (size === undefined) continue
      const at = (this.#place.bars >>> 2) + index
      this.#words[at]! &= ~(BAR.MEMORY_ADDRESS & (size >= UPPER ? -1 : size - 1))
      if (kind === 'memory64' && size > UPPER) this.#words[at + 1]! &= -(size / UPPER)
    }
  }

  /** Index of the capability register of a BAR; -1 if there is none. */
  #entryOf(index: number): number {
    const first = (this.#place.capability + RESIZABLE_BAR.entry(0)) >>> 2
    const count = get(NUMBER, this.#words, first + 1)
    for (let n = 0; n < count; n++) {
      const entry = first + n * 2
      if (get(INDEX, this.#words, entry + 1) === index) return entry
    }
    return -1
  }

  /** Sizes up to 128 TiB are bits 31:4 of the capability register, larger ones bits of the control register. */
  #supports(entry: number, code: number): boolean {
    const sizes =
      code < 28
        ? this.#words[entry]! >>> (code + 4)
        : get(SIZES_UPPER, this.#words, entry + 1) >>> (code - 28)
    return (sizes & 1) === 1 && code < 44
  }
}
