/** The halves of a 64-bit number as registers and queue entries take them. */
const TWO_32 = 2 ** 32

export const low = (value: number): number => value % TWO_32
export const high = (value: number): number => Math.floor(value / TWO_32)
