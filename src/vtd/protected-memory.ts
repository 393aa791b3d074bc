/** "Protected Memory Regions": host addresses that no DMA of this unit's functions reaches while PMEN.EPM is set. */
import type { PageNumber, RegisterFile } from '../core/index.ts'
import { CAP, PHMBASE, PHMLIMIT, PLMBASE, PLMLIMIT, PMEN } from './formats/registers.ts'

const ENABLE = PMEN.f.EPM.mask
const PMEN_AT = PMEN.at
/** Limits are decoded with their low, reserved bits as ones: 2 MiB. */
const LAST_PAGE_WITHIN = (1 << (PLMLIMIT.f.PLML.low - 12)) - 1

/** PRS follows EPM at once: no DMA is ever in flight between two register accesses. */
export function updateProtection({ words }: RegisterFile): void {
  words[PMEN.at] = (words[PMEN.at]! & ENABLE) | (words[PMEN.at]! & ENABLE ? PMEN.f.PRS.mask : 0)
}

export const protectionEnabled = (words: Uint32Array): boolean => (words[PMEN_AT]! & ENABLE) !== 0

/** Whether a host page lies in a protected region. A region whose limit is below its base is empty. */
export function isProtected(words: Uint32Array, page: PageNumber): boolean {
  const capabilities = words[CAP.at]!
  if ((capabilities & CAP.f.PLMR.mask) !== 0) {
    const last = (words[PLMLIMIT.at]! >>> 12) + LAST_PAGE_WITHIN
    if (page >= words[PLMBASE.at]! >>> 12 && page <= last) return true
  }
  if ((capabilities & CAP.f.PHMR.mask) === 0) return false
  return page >= pageIn(words, PHMBASE.at) && page <= pageIn(words, PHMLIMIT.at) + LAST_PAGE_WITHIN
}

const pageIn = (words: Uint32Array, at: number): PageNumber =>
  words[at + 1]! * 0x10_0000 + (words[at]! >>> 12)
