/**
 * Sets of interrupt vectors as local APICs keep them: 256 bits in 8 words, bit `v & 31` of word `v >> 5`. The words lie
 * `stride` words apart: 1 in a register file and in a posted-interrupt descriptor, 4 in a virtual-APIC page.
 */

/** The highest vector of the set that starts at `words[base]`, or -1. */
export function highestVector(words: Uint32Array, base: number, stride = 1): number {
  for (let i = 7; i >= 0; i--) {
    const word = words[base + i * stride]!
    if (word !== 0) return i * 32 + 31 - Math.clz32(word)
  }
  return -1
}

export const hasVector = (words: Uint32Array, base: number, vector: number, stride = 1): boolean =>
  (words[base + (vector >>> 5) * stride]! & (1 << (vector & 31))) !== 0

export function setVector(
  words: Uint32Array,
  base: number,
  vector: number,
  present: boolean,
  stride = 1,
): void {
  const bit = 1 << (vector & 31)
  const at = base + (vector >>> 5) * stride
  words[at] = present ? words[at]! | bit : words[at]! & ~bit
}

/** The vectors of a set, ascending: for display. */
export function vectorsOf(words: Uint32Array, base: number): number[] {
  const vectors: number[] = []
  for (let vector = 0; vector < 256; vector++) if (hasVector(words, base, vector)) vectors.push(vector)
  return vectors
}
