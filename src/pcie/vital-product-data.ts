/**
 * "Vital Product Data": storage behind a pair of registers. Software writes an address and the flag F clear to read, or
 * data and then the address with F set to write, and waits until the function has turned F. Here it has at once.
 */
import { get, type Saved } from '../core/index.ts'
import { VPD } from './formats/capabilities.ts'

const { ADDRESS, F } = VPD.ADDRESS.f

/** What storage that was never written reads as. */
const ERASED = 0xff
/** Resource tags: large ones have bit 7 set and a length of 16 bits, small ones a length in bits 2:0. */
const LARGE = 0x80
const WRITABLE_AREA = 0x91
const END = 0x78

export class VitalProductData {
  readonly #words: Uint32Array
  readonly #address: number
  readonly #original: Uint8Array
  #contents: Uint8Array
  /** First byte of the area that software may write ("VPD-W"), and the byte behind its last. */
  readonly #writable: readonly [first: number, end: number]

  /** @param base offset of the capability in `words`. */
  constructor(words: Uint32Array, base: number, contents: Uint8Array) {
    this.#words = words
    this.#address = base >>> 2
    this.#original = contents
    this.#contents = contents
    this.#writable = writableArea(contents)
  }

  /** After a write to the address register. @param lanes the bits that the access carried. */
  addressWritten(lanes: number): void {
    if ((lanes & F.mask) === 0) return
    const words = this.#words
    const at = get(ADDRESS, words, this.#address) & ~3
    if (get(F, words, this.#address) === 1) {
      this.#store(at, words[this.#address + 1]!)
      words[this.#address]! &= ~F.mask
    } else {
      let value = 0
      for (let i = 0; i < 4; i++) value |= (this.#contents[at + i] ?? ERASED) << (8 * i)
      words[this.#address + 1] = value
      words[this.#address]! |= F.mask
    }
  }

  #store(at: number, value: number): void {
    const [first, end] = this.#writable
    for (let i = 0; i < 4; i++) {
      if (at + i < first || at + i >= end) continue
      if (this.#contents === this.#original) this.#contents = this.#original.slice()
      this.#contents[at + i] = value >>> (8 * i)
    }
  }

  /** The contents if software changed them: they outlive every reset. */
  save(): Saved {
    return this.#contents === this.#original ? null : this.#contents.slice()
  }

  load(saved: Saved): void {
    this.#contents = saved === null ? this.#original : (saved as Uint8Array).slice()
  }
}

function writableArea(contents: Uint8Array): readonly [number, number] {
  for (let at = 0; at < contents.length; ) {
    const tag = contents[at]!
    if (tag === END) break
    const large = (tag & LARGE) !== 0
    const start = at + (large ? 3 : 1)
    const length = large ? (contents[at + 1] ?? 0) | ((contents[at + 2] ?? 0) << 8) : tag & 7
    if (tag === WRITABLE_AREA) return [start, Math.min(start + length, contents.length)]
    at = start + length
  }
  return [0, 0]
}
