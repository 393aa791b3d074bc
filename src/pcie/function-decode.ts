/**
 * Which memory addresses a function's own header decodes: BARs, expansion ROM, and the windows of a bridge. I/O BARs and
 * windows can be sized and placed, but I/O requests are not routed through the fabric.
 */
import {
  BAR,
  barOffset,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
  ROM,
  ROM_OFFSET,
} from './formats/header.ts'
import { CLAIM, type ClaimReceiver, type FunctionNode } from './parts.ts'

const UPPER = 0x1_0000_0000

/** Address in BAR `index` of a header. */
export function barAddress(words: Uint32Array, index: number): number {
  const low = words[barOffset(index) >>> 2]!
  if (low & BAR.IO) return (low & BAR.IO_ADDRESS) >>> 0
  const high = low & BAR.MEMORY_64 ? words[barOffset(index + 1) >>> 2]! : 0
  return high * UPPER + ((low & BAR.MEMORY_ADDRESS) >>> 0)
}

/** Memory BARs, ROM and windows, for a function whose Memory Space Enable is set. */
export function claimBars(fn: FunctionNode, receive: ClaimReceiver): void {
  const { words, definition } = fn
  for (const { index, kind, size } of definition.bars) {
    if (kind === 'io') continue
    const base = barAddress(words, index)
    receive(base, base + size, index)
  }
  const rom = words[(fn.secondary ? ROM_OFFSET.type1 : ROM_OFFSET.type0) >>> 2]!
  const romBase = (rom & ROM.ADDRESS) >>> 0
  if (rom & ROM.ENABLE) receive(romBase, romBase + definition.romSize, CLAIM.rom)
  if (fn.secondary !== undefined) claimWindows(words, receive)
}

/** "Memory Base/Limit" and "Prefetchable Memory Base/Limit": closed while base is above limit. */
function claimWindows(words: Uint32Array, receive: ClaimReceiver): void {
  const memory = words[MEMORY_WINDOW.at]!
  receive((memory & 0xfff0) * 0x1_0000, ((memory >>> 20) + 1) * 0x10_0000, CLAIM.window)
  const prefetchable = words[PREFETCHABLE_WINDOW.at]!
  const base = words[PREFETCHABLE_BASE_UPPER.at]! * UPPER + (prefetchable & 0xfff0) * 0x1_0000
  const limit = words[PREFETCHABLE_LIMIT_UPPER.at]! * UPPER + (prefetchable >>> 20) * 0x10_0000
  receive(base, limit + 0x10_0000, CLAIM.window)
}
