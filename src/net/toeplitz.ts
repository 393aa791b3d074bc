/**
 * The hash of receive side scaling ("RSS Hashing Functions" of the Microsoft specification, which NICs follow): for each
 * bit of the input that is set, the 32 bits of the key from that position on are added without carry.
 */

/** Two IPv6 addresses and two ports. */
const LONGEST_INPUT = 36
export const RSS_KEY_SIZE = 40

export class ToeplitzHash {
  /** What each value of each input byte adds. */
  readonly #table = new Int32Array(LONGEST_INPUT * 256)

  /** @param key 40 bytes. */
  setKey(key: ArrayLike<number>): void {
    const windows = new Int32Array(8)
    for (let at = 0; at < LONGEST_INPUT; at++) {
      for (let bit = 0; bit < 8; bit++) {
        let window = 0
        for (let i = 0; i < 32; i++) {
          const from = at * 8 + bit + i
          window = (window << 1) | ((key[from >>> 3]! >>> (7 - (from & 7))) & 1)
        }
        windows[bit] = window
      }
      for (let value = 0; value < 256; value++) {
        let sum = 0
        for (let bit = 0; bit < 8; bit++) if (value & (0x80 >>> bit)) sum ^= windows[bit]!
        this.#table[at * 256 + value] = sum
      }
    }
  }

  /** Adds input bytes to a hash, 0 at first. @param position how many bytes were added before. */
  add(hash: number, position: number, bytes: Uint8Array, start: number, length: number): number {
    let sum = hash
    for (let i = 0; i < length; i++) sum ^= this.#table[(position + i) * 256 + bytes[start + i]!]!
    return sum
  }
}
