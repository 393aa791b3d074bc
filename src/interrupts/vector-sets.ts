/** Sets of interrupt vectors as local APICs keep them: 256 bits in 8 words, bit `v & 31` of word `v >> 5`. */

/** The highest vector of the set that starts at `words[base]`, or -1. */
export function highestVector(words: Uint32Array, base: number): number {
  for (let i = 7; i >= 0; i--) {
    const word = words[base + i]!
    if (word !== 0) return i * 32 + 31 - Math.clz32(word)
  }
  return -1
}

export const hasVector = (words: Uint32Array, base: number, vector: number): boolean =>
  (words[base + (vector >>> 5)]! & (1 << (vector & 31))) !== 0

export function setVector(words: Uint32Array, base: number, vector: number, present: boolean): void {
  const bit = 1 << (vector & 31)
  const at = base + (vector >>> 5)
  words[at] = present ? words[at]! | bit : words[at]! & ~bit
}

/** The vectors of a set, ascending: for display. */
export function vectorsOf(words: Uint32Array, base: number): number[] {
  const vectors: number[] = []
  for (let vector = 0; vector < 256; vector++) if (hasVector(words, base, vector)) vectors.push(vector)
  return vectors
}
