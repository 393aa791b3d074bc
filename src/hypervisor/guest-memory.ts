/** A virtual machine's memory: host pages, pinned while it exists, and where the guest finds them. */
import {
  assert,
  hex,
  NorthbridgeError,
  opened,
  PAGE_SIZE,
  type PageNumber,
  pageOf,
  type Saved,
} from '../core/index.ts'
import type { PageAllocator } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { HIGH_MEMORY_BASE, LOW_MEMORY_END } from './formats/virtual-board.ts'
import type { GuestRange } from './types.ts'

/** Guest pages that are contiguous in host memory too. */
export interface MemoryRun {
  readonly guestPage: PageNumber
  readonly hostPage: PageNumber
  readonly pages: number
}

/** Pages of a 2-MiB leaf of EPT and of second-stage tables. */
export const LARGE_PAGES = 512

/** Guest-physical ranges of a machine with so many bytes of memory. */
export function memoryRanges(size: number): GuestRange[] {
  const low = Math.min(size, LOW_MEMORY_END)
  const ranges = [{ base: 0, size: low }]
  if (size > low) ranges.push({ base: HIGH_MEMORY_BASE, size: size - low })
  return ranges
}

export class GuestMemory {
  readonly ranges: readonly GuestRange[]
  /** Ascending by guest page. */
  readonly runs: readonly MemoryRun[]
  readonly #machine: MachinePort
  readonly #allocator: PageAllocator

  /**
   * Takes `size` bytes (a multiple of 1 MiB) of host memory. Throws `outOfMemory`, having taken nothing.
   *
   * @param saved what it has taken already
   */
  constructor(machine: MachinePort, allocator: PageAllocator, size: number, saved?: Saved) {
    this.#machine = machine
    this.#allocator = allocator
    this.ranges = memoryRanges(size)
    if (saved !== undefined) {
      const { runs } = opened<{ runs: readonly (readonly [number, number, number])[] }>(
        saved,
        'the memory of a virtual machine',
        1,
      )
      this.runs = runs.map(([guestPage, hostPage, pages]) => ({ guestPage, hostPage, pages }))
      return
    }
    const needed = size / PAGE_SIZE
    if (allocator.freePages < needed) {
      throw new NorthbridgeError(
        'outOfMemory',
        `the guest's memory needs ${needed} pages and ${allocator.freePages} pages of host memory are free`,
        { pages: needed, freePages: allocator.freePages },
      )
    }
    this.runs = this.ranges.flatMap(range => this.#allocate(pageOf(range.base), range.size / PAGE_SIZE))
  }

  /** Few and large extents first: they can be mapped by 2-MiB pages. Free pages are known to suffice. */
  #allocate(guestPage: PageNumber, pages: number): MemoryRun[] {
    const runs: MemoryRun[] = []
    let size = pages
    for (let done = 0; done < pages; ) {
      size = Math.min(size, pages - done)
      const hostPage = this.#tryAllocate(size, size >= LARGE_PAGES ? LARGE_PAGES : 1)
      if (hostPage === undefined) {
        assert(size > 1, 'single pages are free')
        const half = size >>> 1
        size = half > LARGE_PAGES ? half - (half % LARGE_PAGES) : half
        continue
      }
      runs.push({ guestPage: guestPage + done, hostPage, pages: size })
      done += size
    }
    return runs
  }

  #tryAllocate(pages: number, alignPages: number): PageNumber | undefined {
    try {
      return this.#allocator.allocate(pages, alignPages)
    } catch (error) {
      if (error instanceof NorthbridgeError && error.code === 'outOfMemory') return undefined
      throw error
    }
  }

  /** Clears what earlier users left. */
  zero(): void {
    for (const { hostPage, pages } of this.runs) {
      assert(this.#machine.zeroPages(hostPage, pages), 'guest memory is RAM')
    }
  }

  free(): void {
    for (const { hostPage, pages } of this.runs) this.#allocator.free(hostPage, pages)
  }

  /** Whether all of `length` bytes at a guest-physical address are guest memory. */
  contains(address: number, length: number): boolean {
    return this.ranges.some(({ base, size }) => address >= base && address + length <= base + size)
  }

  /** Host-physical address of a byte of guest memory. */
  hostAddress(address: number): number {
    const page = pageOf(address)
    const run = this.runs.find(({ guestPage, pages }) => page >= guestPage && page < guestPage + pages)
    assert(run !== undefined, 'the address lies in guest memory')
    return (run.hostPage - run.guestPage) * PAGE_SIZE + address
  }

  /** Throws `invalidArgument` where there is no guest memory. */
  read(address: number, length: number): Uint8Array {
    this.#check(address, length)
    const data = new Uint8Array(length)
    this.#pieces(address, length, (host, from, to) => this.#machine.readBytes(host, data.subarray(from, to)))
    return data
  }

  /** Throws `invalidArgument`, with nothing written, where there is no guest memory. */
  write(address: number, data: Uint8Array): void {
    this.#check(address, data.length)
    this.#pieces(address, data.length, (host, from, to) =>
      this.#machine.writeBytes(host, data.subarray(from, to)),
    )
  }

  /** For devices: copies guest memory into `target`; false, with nothing copied, if any of it is no memory. */
  readInto(address: number, target: Uint8Array, start: number, length: number): boolean {
    if (!this.contains(address, length)) return false
    for (let done = 0; done < length; ) {
      const piece = this.#contiguous(address + done, length - done)
      this.#machine.readBytes(this.hostAddress(address + done), target, start + done, piece)
      done += piece
    }
    return true
  }

  /** The other way. */
  writeFrom(address: number, source: Uint8Array, start: number, length: number): boolean {
    if (!this.contains(address, length)) return false
    for (let done = 0; done < length; ) {
      const piece = this.#contiguous(address + done, length - done)
      this.#machine.writeBytes(this.hostAddress(address + done), source, start + done, piece)
      done += piece
    }
    return true
  }

  /** How many of `length` bytes lie together in host memory. */
  #contiguous(address: number, length: number): number {
    const page = pageOf(address)
    for (const { guestPage, pages } of this.runs) {
      if (page >= guestPage && page < guestPage + pages) {
        return Math.min(length, (guestPage + pages) * PAGE_SIZE - address)
      }
    }
    return length
  }

  #check(address: number, length: number): void {
    if (!Number.isSafeInteger(address) || !Number.isSafeInteger(length) || address < 0 || length < 1) {
      throw new NorthbridgeError(
        'invalidArgument',
        'address and length must be whole numbers; length at least 1',
      )
    }
    if (!this.contains(address, length)) {
      throw new NorthbridgeError(
        'invalidArgument',
        `address ${hex(address)} and length ${length} do not lie in one range of guest memory`,
        { ranges: this.ranges.map(({ base, size }) => ({ address: hex(base), length: size })) },
      )
    }
  }

  /** Splits a guest-physical range where host memory is not contiguous: host address, and offsets into the range. */
  #pieces(address: number, length: number, use: (host: number, from: number, to: number) => boolean): void {
    for (const { guestPage, hostPage, pages } of this.runs) {
      const base = guestPage * PAGE_SIZE
      const from = Math.max(address, base)
      const to = Math.min(address + length, base + pages * PAGE_SIZE)
      if (from >= to) continue
      const done = use(hostPage * PAGE_SIZE + (from - base), from - address, to - address)
      assert(done, 'guest memory is RAM')
    }
  }

  save(): Saved {
    return {
      version: 1,
      runs: this.runs.map(({ guestPage, hostPage, pages }) => [guestPage, hostPage, pages]),
    }
  }
}
