/** Copying bytes without allocation: a subarray per copy would be garbage per DMA. */

/** Below this a loop is faster than a call into the engine's own copy. */
const LOOP_LIMIT = 32

/** Copies `count` dwords: for small blocks several times faster than either way of copying bytes. */
export function copyWords(
  source: Uint32Array,
  sourceStart: number,
  target: Uint32Array,
  targetStart: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[targetStart + i] = source[sourceStart + i]!
}

/** Copies `length` bytes. Both ranges lie in their arrays. */
export function copyBytes(
  source: Uint8Array,
  sourceStart: number,
  target: Uint8Array,
  targetStart: number,
  length: number,
): void {
  if (length < LOOP_LIMIT) {
    for (let i = 0; i < length; i++) target[targetStart + i] = source[sourceStart + i]!
  } else {
    Buffer.prototype.copy.call(source, target, targetStart, sourceStart, sourceStart + length)
  }
}

/** Whether all words are 0. */
export function isAllZero(words: Uint32Array): boolean {
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false
  return true
}
