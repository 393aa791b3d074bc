/** Who answers at a host physical address as a processor sees it: RAM, a register window, or nobody. */
import { assert, pageOf } from '../core/index.ts'
import type { PhysicalMemory } from './physical-memory.ts'

/**
 * A block of registers. Accesses arrive as aligned dwords with byte lanes: an 8-byte access is two of them, low
 * first; a 1- or 2-byte access is one with fewer lanes. Any order, any time; answers are immediate.
 */
export interface MmioTarget {
  /** @param offset from the start of the window, a multiple of 4. */
  readDword(offset: number): number
  writeDword(offset: number, value: number, lanes: number): void
}

export interface MmioWindow {
  readonly name: string
  /** Bytes; base and size are multiples of 4 KiB. */
  readonly base: number
  readonly size: number
  readonly target: MmioTarget
}

/** What a processor reads where nothing answers: the bus pulls all bits high. */
const ALL_ONES = 0xffff_ffff

export class SystemAddressMap {
  readonly memory: PhysicalMemory
  #windows: readonly MmioWindow[] = []

  constructor(memory: PhysicalMemory) {
    this.memory = memory
  }

  /** Adds a window. Windows may not overlap each other or RAM. */
  add(window: MmioWindow): void {
    const end = window.base + window.size
    for (const other of this.#windows) {
      assert(
        end <= other.base || window.base >= other.base + other.size,
        `${window.name} overlaps ${other.name}`,
      )
    }
    for (const ram of this.memory.ranges) {
      assert(end <= ram.base || window.base >= ram.base + ram.size, `${window.name} overlaps RAM`)
    }
    this.#windows = [...this.#windows, window].sort((a, b) => a.base - b.base)
  }

  get windows(): readonly MmioWindow[] {
    return this.#windows
  }

  /** The window that contains an address. */
  windowAt(address: number): MmioWindow | undefined {
    const windows = this.#windows
    let low = 0
    let high = windows.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const window = windows[middle]!
      if (address < window.base) high = middle - 1
      else if (address >= window.base + window.size) low = middle + 1
      else return window
    }
    return undefined
  }

  /** An aligned dword as a processor reads it. */
  readDword(address: number): number {
    const page = this.memory.page(pageOf(address))
    if (page !== undefined) return page.words[(address & 0xfff) >>> 2]!
    const window = this.windowAt(address)
    return window === undefined ? ALL_ONES : window.target.readDword(address - window.base) >>> 0
  }

  /** An aligned dword as a processor writes it; lost where nothing answers. */
  writeDword(address: number, value: number, lanes = ALL_ONES): void {
    if (this.memory.writeDword(address, value, lanes)) return
    const window = this.windowAt(address)
    window?.target.writeDword(address - window.base, value >>> 0, lanes)
  }
}
