/** "I/O Bitmap Addresses", "MSR-Bitmap Address": which port and MSR accesses of a guest cause VM exits. */
import type { Core } from './core.ts'
import { PRIMARY } from './formats/controls.ts'
import { slot } from './vmcs-layout.ts'

const PRIMARY_FIELD = slot('primaryProcessorBasedControls')
const BITMAP_A = slot('ioBitmapA')
const BITMAP_B = slot('ioBitmapB')
const MSR_BITMAPS = slot('msrBitmaps')

const HIGH_MSRS = 0xc000_0000
const MSRS_PER_MAP = 0x2000
/** Bytes from the read map of low MSRs: to that of high MSRs, and to the write maps. */
const HIGH_MAP = 0x400
const WRITE_MAPS = 0x800

/** A bit of a bitmap page whose address is in a VMCS field. Where there is no RAM it reads 1. */
export function bitmapBit(core: Core, field: number, index: number): boolean {
  const page = core.vmcs[field + 1]! * 2 ** 20 + (core.vmcs[field]! >>> 12)
  const words = core.memory.page(page)?.words
  return words === undefined || (words[index >>> 5]! & (1 << (index & 31))) !== 0
}

export function ioExits(core: Core, port: number, width: number): boolean {
  const controls = core.vmcs[PRIMARY_FIELD]!
  if ((controls & PRIMARY.useIoBitmaps) === 0) return (controls & PRIMARY.unconditionalIoExiting) !== 0
  if (port + width > 0x1_0000) return true
  for (let accessed = port; accessed < port + width; accessed++) {
    if (bitmapBit(core, accessed < 0x8000 ? BITMAP_A : BITMAP_B, accessed & 0x7fff)) return true
  }
  return false
}

export function msrExits(core: Core, msr: number, write: boolean): boolean {
  if ((core.vmcs[PRIMARY_FIELD]! & PRIMARY.useMsrBitmaps) === 0) return true
  const high = msr >= HIGH_MSRS
  const index = high ? msr - HIGH_MSRS : msr
  if (index >= MSRS_PER_MAP) return true
  return bitmapBit(core, MSR_BITMAPS, ((write ? WRITE_MAPS : 0) + (high ? HIGH_MAP : 0)) * 8 + index)
}
