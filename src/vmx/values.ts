/** Legality of values that registers, VMCS fields and MSRs hold in common. */
import { EFER } from './formats/msrs.ts'

/**
 * Whether a 48-bit linear address is canonical, by its high word: bits 63:47 are all equal. Words may come as signed
 * numbers here: unsigned ones above 2^31 would be boxed on the way.
 */
export const isCanonical = (high: number): boolean => {
  const sign = high >>> 15
  return sign === 0 || sign === 0x1_ffff
}

/** The legal memory types of IA32_PAT: 0, 1, 4, 5, 6, 7. */
const PAT_TYPES = 0b1111_0011

/** Whether the four bytes of half an IA32_PAT are legal. */
export const isPatHalfValid = (word: number): boolean => {
  for (let shift = 0; shift < 32; shift += 8) {
    const type = (word >>> shift) & 0xff
    if (type > 7 || (PAT_TYPES & (1 << type)) === 0) return false
  }
  return true
}

const EFER_BITS = EFER.SCE | EFER.LME | EFER.LMA | EFER.NXE

export const isEferReserved = (low: number, high: number): boolean => (low & ~EFER_BITS) !== 0 || high !== 0
