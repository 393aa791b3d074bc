/**
 * Where configuration spaces lie. Each is a few kilobytes of its own, and a machine can have very many of them: cut from
 * larger pieces they cost what they hold, and little time to make.
 */

/** Dwords of the first piece: 8 spaces of 4 KiB; a small machine has no more. */
const FIRST_PIECE = 8 * 1024
/** Each piece is twice as large as the one before, up to 64 spaces. It is freed with the last function in it. */
const LARGEST_PIECE = 64 * 1024

export class ConfigMemory {
  #piece = new Uint32Array(0)
  #used = 0
  #next = FIRST_PIECE

  /** Zeroed dwords for one space. */
  take(dwords: number): Uint32Array {
    if (this.#used + dwords > this.#piece.length) {
      this.#piece = new Uint32Array(this.#next)
      this.#used = 0
      this.#next = Math.min(this.#next * 2, LARGEST_PIECE)
    }
    const words = this.#piece.subarray(this.#used, this.#used + dwords)
    this.#used += dwords
    return words
  }
}

/** Copies of a configuration space for saved states: as long as nothing in it changes, all of them are one. */
export class ConfigCopies {
  #latest: Uint32Array | undefined

  of(words: Uint32Array): Uint32Array {
    if (this.#latest === undefined || !areSame(this.#latest, words)) this.#latest = words.slice()
    return this.#latest
  }
}

function areSame(a: Uint32Array, b: Uint32Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
