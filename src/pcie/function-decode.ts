/**
 * Which addresses a function's own header decodes: BARs, expansion ROM, and the windows of a bridge, in memory and in
 * I/O space. What is claimed twice over by one function is claimed once.
 */
import {
  BAR,
  BRIDGE_CONTROL,
  barOffset,
  IO_UPPER,
  IO_WINDOW,
  MEMORY_WINDOW,
  PREFETCHABLE_BASE_UPPER,
  PREFETCHABLE_LIMIT_UPPER,
  PREFETCHABLE_WINDOW,
  ROM,
  ROM_OFFSET,
} from './formats/header.ts'
import { CLAIM, type ClaimReceiver, type FunctionNode } from './parts.ts'

const UPPER = 0x1_0000_0000
const { ISA, VGA, VGA16 } = BRIDGE_CONTROL.f
/** "VGA Enable" forwards these memory addresses besides the ports. */
const VGA_MEMORY = { base: 0xa_0000, end: 0xc_0000 } as const
/** Where the addresses end that conventional I/O decoders know. */
const IO_LOW_END = 0x1_0000

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
  for (const { index, kind } of definition.bars) {
    if (kind === 'io') continue
    const base = barAddress(words, index)
    receive(base, base + fn.barSize(index), index)
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
  if (words[BRIDGE_CONTROL.at]! & VGA.mask) receive(VGA_MEMORY.base, VGA_MEMORY.end, CLAIM.window)
}

/** I/O BARs and windows, for a function whose I/O Space Enable is set. */
export function claimIo(fn: FunctionNode, receive: ClaimReceiver): void {
  const { words, definition } = fn
  for (const { index, kind, size } of definition.bars) {
    if (kind !== 'io') continue
    const base = barAddress(words, index)
    receive(base, base + size, index)
  }
  if (fn.secondary === undefined) return
  claimIoWindow(words, receive)
  const control = words[BRIDGE_CONTROL.at]!
  if (control & VGA.mask) claimVgaPorts((control & VGA16.mask) !== 0, receive)
}

/** "I/O Base/Limit", in units of 4 KiB: closed while base is above limit. */
function claimIoWindow(words: Uint32Array, receive: ClaimReceiver): void {
  const window = words[IO_WINDOW.at]!
  const upper = words[IO_UPPER.at]!
  const { BASE, LIMIT } = IO_WINDOW.f
  const base = (upper & 0xffff) * 0x1_0000 + ((window & BASE.mask) >>> BASE.shift) * 0x1000
  const end = (upper >>> 16) * 0x1_0000 + ((window & LIMIT.mask) >>> LIMIT.shift) * 0x1000 + 0x1000
  if (!(words[BRIDGE_CONTROL.at]! & ISA.mask)) {
    receive(base, end, CLAIM.window)
    return
  }
  // "ISA Enable": in the first 64 KiB only the first 256 bytes of each KiB are forwarded.
  for (let block = base; block < Math.min(end, IO_LOW_END); block += 0x400) {
    receive(block, block + 0x100, CLAIM.window)
  }
  receive(Math.max(base, IO_LOW_END), end, CLAIM.window)
}

/** "VGA Enable": 3B0h to 3BBh and 3C0h to 3DFh; without "VGA 16-bit Decode" also where only bits 9:0 are these. */
function claimVgaPorts(wide: boolean, receive: ClaimReceiver): void {
  for (let alias = 0; alias < (wide ? 0x400 : IO_LOW_END); alias += 0x400) {
    receive(alias + 0x3b0, alias + 0x3bc, CLAIM.window)
    receive(alias + 0x3c0, alias + 0x3e0, CLAIM.window)
  }
}
