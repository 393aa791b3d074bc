/**
 * Fields of registers and memory structures, declared once in the specification's own bit numbers, and the one
 * write rule that all registers share. Words are 32 bits wide; a 64-bit register is two of them, low word first.
 */
import { assert } from './errors.ts'

/** The Attribute column of a register table. `WO` fields read 0; `RW1C` is write-1-to-clear. */
export type Access = 'RO' | 'RW' | 'RW1C' | 'WO'

export interface Field {
  readonly access: Access
  /** Highest and lowest bit, counted from bit 0 of the whole register or structure. */
  readonly high: number
  readonly low: number
  /** Which 32-bit word holds the lowest bit. */
  readonly word: number
  readonly shift: number
  /** Mask in place within `word`, unsigned. */
  readonly mask: number
  /** Mask in place within `word + 1`, for a field that crosses into it; else 0. */
  readonly upperMask: number
}

const onesBelow = (count: number): number => (count >= 32 ? 0xffff_ffff : (1 << count) - 1) >>> 0

const field =
  (access: Access) =>
  (high: number, low: number = high): Field => {
    const word = low >>> 5
    assert(high >= low && high >>> 5 <= word + 1, `bits ${high}:${low} lie in at most two words`)
    const shift = low & 31
    const inWord = Math.min(high - word * 32, 31)
    const mask = ((onesBelow(inWord - shift + 1) << shift) >>> 0) >>> 0
    const upperMask = high >>> 5 > word ? onesBelow((high & 31) + 1) : 0
    return Object.freeze({ access, high, low, word, shift, mask, upperMask })
  }

export const ro = field('RO')
export const rw = field('RW')
export const rw1c = field('RW1C')
export const wo = field('WO')

export type Fields = Readonly<Record<string, Field>>

/**
 * The value of a field in `words`, whose structure starts at index `base`. Exact up to 53 bits.
 * Address fields return the bits of the field, not the address: shift them by the field's `low` bit.
 */
export function get(f: Field, words: ArrayLike<number>, base = 0): number {
  const lower = (words[base + f.word]! & f.mask) >>> f.shift
  return f.upperMask === 0
    ? lower
    : lower + ((words[base + f.word + 1]! & f.upperMask) >>> 0) * 2 ** (32 - f.shift)
}

/** Sets a field in `words`; bits beyond the field are dropped. */
export function set(f: Field, words: Uint32Array | number[], value: number, base = 0): void {
  const at = base + f.word
  const low = ((value % 2 ** (32 - f.shift)) * 2 ** f.shift) >>> 0
  words[at] = ((words[at]! & ~f.mask) | (low & f.mask)) >>> 0
  if (f.upperMask !== 0) {
    const upper = Math.floor(value / 2 ** (32 - f.shift)) >>> 0
    words[at + 1] = ((words[at + 1]! & ~f.upperMask) | (upper & f.upperMask)) >>> 0
  }
}

/** Union of in-word masks: for testing several fields of the same word at once. */
export const union = (...fields: readonly Field[]): number =>
  fields.reduce((mask, f) => (mask | f.mask) >>> 0, 0)

/** Every field by name, for display. Values are numbers; the caller formats addresses. */
export function decode(fields: Fields, words: ArrayLike<number>, base = 0): Record<string, number> {
  return Object.fromEntries(Object.entries(fields).map(([name, f]) => [name, get(f, words, base)]))
}

/** A register as the manual lists it: offset in bytes (4-byte aligned), name, width in bits and fields. */
export interface Register<F extends Fields = Fields> {
  readonly offset: number
  /** Word index of the register in its block: `offset / 4`. */
  readonly at: number
  readonly name: string
  readonly width: 32 | 64 | 128
  readonly f: F
}

export const register = <const F extends Fields>(
  offset: number,
  width: 32 | 64 | 128,
  name: string,
  f: F,
): Register<F> => Object.freeze({ offset, at: offset >>> 2, name, width, f })

/** Expands a 4-bit byte-enable mask (bit n for byte n) into the 32-bit lane mask that register writes take. */
export const lanesOf = (byteEnables: number): number =>
  ((byteEnables & 1 ? 0xff : 0) |
    (byteEnables & 2 ? 0xff00 : 0) |
    (byteEnables & 4 ? 0xff_0000 : 0) |
    (byteEnables & 8 ? 0xff00_0000 : 0)) >>>
  0

/** All four byte lanes of a dword. */
export const ALL_LANES = 0xffff_ffff

/** The words of a register block and the rule every write follows. The words are the whole state. */
export class RegisterFile {
  readonly words: Uint32Array
  readonly #rw: Uint32Array
  readonly #rw1c: Uint32Array

  /** @param size length of the block in bytes, a multiple of 4. */
  constructor(size: number, registers: readonly Register[]) {
    this.words = new Uint32Array(size >>> 2)
    this.#rw = new Uint32Array(size >>> 2)
    this.#rw1c = new Uint32Array(size >>> 2)
    for (const { at, f } of registers) {
      for (const { access, word, mask, upperMask } of Object.values(f)) {
        const masks = access === 'RW' ? this.#rw : access === 'RW1C' ? this.#rw1c : undefined
        if (masks === undefined) continue
        masks[at + word]! |= mask
        if (upperMask !== 0) masks[at + word + 1]! |= upperMask
      }
    }
  }

  /** Makes bits of a word read-only, for fields whose capability the unit lacks. */
  hardwire(at: number, mask: number): void {
    this.#rw[at]! &= ~mask
    this.#rw1c[at]! &= ~mask
  }

  /**
   * One dword write. `lanes` marks the bits the access carries, so that a byte written to a command never clears
   * an RW1C bit of the status beside it. Write-only fields are not stored: act on `value & lanes`.
   */
  write(offset: number, value: number, lanes: number): void {
    const i = offset >>> 2
    const writable = this.#rw[i]! & lanes
    const clear = this.#rw1c[i]! & lanes & value
    this.words[i] = ((this.words[i]! & ~writable) | (value & writable)) & ~clear
  }
}
