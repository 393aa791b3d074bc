/** Base address registers: what they ask for ("Sizing a 32-bit Base Address Register"), and giving them addresses. */
import { BAR, ROM } from '../pcie/formats/index.ts'
import type { ConfigSpace } from './config-space.ts'

export interface BaseAddress {
  /** Offset of the register in configuration space. */
  readonly offset: number
  readonly index: number
  readonly kind: 'io' | 'memory32' | 'memory64'
  readonly prefetchable: boolean
  /** Bytes; of a VF BAR: of one VF. */
  readonly size: number
}

/**
 * Reads what the registers at `first` ask for. Decoding must be off. The registers are left as they were.
 * @param count registers in the row: 6, or 2 in a bridge.
 */
export function sizeBaseAddresses(config: ConfigSpace, first: number, count: number): BaseAddress[] {
  const found: BaseAddress[] = []
  for (let index = 0; index < count; index++) {
    const offset = first + 4 * index
    const low = probe(config, offset)
    if (low & BAR.IO) {
      // A function may leave bits 31:16 unimplemented, because I/O space has 64 KiB.
      found.push({ offset, index, kind: 'io', prefetchable: false, size: lowestBit(low & BAR.IO_ADDRESS) })
      continue
    }
    const is64 = (low & BAR.TYPE) === BAR.MEMORY_64 && index + 1 < count
    const size =
      lowestBit(low & BAR.MEMORY_ADDRESS) || (is64 ? lowestBit(probe(config, offset + 4)) * 2 ** 32 : 0)
    if (size !== 0) {
      const prefetchable = (low & BAR.PREFETCHABLE) !== 0
      found.push({ offset, index, kind: is64 ? 'memory64' : 'memory32', prefetchable, size })
    }
    if (is64) index++
  }
  return found.filter(({ size }) => size !== 0)
}

/** Bytes that the expansion ROM asks for, 0 if there is none. */
export function sizeRom(config: ConfigSpace, offset: number): number {
  const before = config.read(offset)
  config.write(offset, ROM.ADDRESS)
  const value = config.read(offset)
  config.write(offset, before)
  return value === 0xffff_ffff ? 0 : lowestBit(value & ROM.ADDRESS)
}

export function programBaseAddress(
  config: ConfigSpace,
  { offset, kind }: BaseAddress,
  address: number,
): void {
  config.write(offset, address % 2 ** 32)
  if (kind === 'memory64') config.write(offset + 4, Math.floor(address / 2 ** 32))
}

function probe(config: ConfigSpace, offset: number): number {
  const before = config.read(offset)
  config.write(offset, 0xffff_ffff)
  const value = config.read(offset)
  config.write(offset, before)
  return value
}

const lowestBit = (value: number): number => (value & -value) >>> 0
