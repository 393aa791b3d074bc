/** Sizes base address registers by writing ones, as every PCI core does ("Base Address Registers"). */
import { BAR, COMMAND_STATUS, ROM } from '../../pcie/formats/index.ts'
import type { HostBar } from '../types.ts'
import type { ConfigSpace } from './config-space.ts'

const { IOSE, MSE } = COMMAND_STATUS.f

/** The BARs of a header, with decoding off while their bits are all ones. */
export function probeBars(config: ConfigSpace, first: number, count: number): HostBar[] {
  const command = config.read(COMMAND_STATUS.offset) & 0xffff
  const decoding = IOSE.mask | MSE.mask
  if (command & decoding) config.write(COMMAND_STATUS.offset, command & ~decoding, 0xffff)
  const bars = sizeBars(config, first, count)
  if (command & decoding) config.write(COMMAND_STATUS.offset, command, 0xffff)
  return bars
}

/** The BARs at `first`, of which nothing decodes at present; those that the device lacks are left out. */
export function sizeBars(config: ConfigSpace, first: number, count: number): HostBar[] {
  const bars: HostBar[] = []
  for (let index = 0; index < count; index++) {
    const offset = first + 4 * index
    const low = config.read(offset)
    const mask = onesOf(config, offset)
    if (mask === 0) continue
    if (mask & BAR.IO) {
      // Devices may leave the upper 16 address bits of an I/O BAR unwired.
      const size = (~(mask & BAR.IO_ADDRESS) + 1) & 0xffff
      bars.push({ index, kind: 'io', prefetchable: false, address: (low & BAR.IO_ADDRESS) >>> 0, size })
      continue
    }
    const is64 = (mask & BAR.TYPE) === BAR.MEMORY_64
    const high = is64 ? config.read(offset + 4) : 0
    const highMask = is64 ? onesOf(config, offset + 4) : 0xffff_ffff
    // A power of two: the lowest address bit that can be set.
    const lowSize = (~(mask & BAR.MEMORY_ADDRESS) + 1) >>> 0
    const size = mask & BAR.MEMORY_ADDRESS ? lowSize : ((~highMask + 1) >>> 0) * 2 ** 32
    bars.push({
      index,
      kind: is64 ? 'memory64' : 'memory32',
      prefetchable: (mask & BAR.PREFETCHABLE) !== 0,
      address: high * 2 ** 32 + ((low & BAR.MEMORY_ADDRESS) >>> 0),
      size,
    })
    if (is64) index++
  }
  return bars
}

/** Writes a memory BAR's address. */
export function placeBar(config: ConfigSpace, first: number, bar: HostBar, address: number): void {
  config.write(first + 4 * bar.index, address % 2 ** 32)
  if (bar.kind === 'memory64') config.write(first + 4 * bar.index + 4, Math.floor(address / 2 ** 32))
}

/** What a register reads after all ones were written; its old value is put back. */
function onesOf(config: ConfigSpace, offset: number): number {
  const held = config.read(offset)
  config.write(offset, 0xffff_ffff)
  const ones = config.read(offset)
  config.write(offset, held)
  return ones
}

/** The memory that a function wants for its expansion ROM, and where that is; undefined without one. */
export function probeRom(
  config: ConfigSpace,
  offset: number,
): { readonly address: number; readonly size: number } | undefined {
  const held = config.read(offset)
  config.write(offset, ROM.ADDRESS)
  const mask = config.read(offset)
  config.write(offset, held)
  if (mask === 0xffff_ffff || (mask & ROM.ADDRESS) === 0) return undefined
  return { address: (held & ROM.ADDRESS) >>> 0, size: (~(mask & ROM.ADDRESS) + 1) >>> 0 }
}
