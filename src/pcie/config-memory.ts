/**
 * Where configuration spaces lie. Each is a few kilobytes of its own, and a machine can have very many of them: cut from
 * larger pieces they cost what they hold, and little time to make.
 */

/** Dwords of one piece: 64 spaces of 4 KiB. A piece is freed with the last function whose space is in it. */
const PIECE = 64 * 1024

export class ConfigMemory {
  #piece = new Uint32Array(0)
  #used = 0

  /** Zeroed dwords for one space. */
  take(dwords: number): Uint32Array {
    if (this.#used + dwords > this.#piece.length) {
      this.#piece = new Uint32Array(PIECE)
      this.#used = 0
    }
    const words = this.#piece.subarray(this.#used, this.#used + dwords)
    this.#used += dwords
    return words
  }
}
