/** A virtual machine's memory: where the guest finds it, and what the hypervisor reads and writes of it. */
import { assert, hex, NorthbridgeError, PAGE_SIZE, pageOf, type Saved } from '../core/index.ts'
import type { PageAllocator } from '../host/index.ts'
import type { MachinePort } from '../platform/machine-port.ts'
import { HIGH_MEMORY_BASE, LOW_MEMORY_END } from './formats/virtual-board.ts'
import { FixedBacking, LARGE_PAGES, type MemoryBacking, type MemoryRun } from './memory/backing.ts'
import type { GuestRange } from './types.ts'

export { LARGE_PAGES, type MemoryRun }

/** Guest-physical ranges of a machine with so many bytes of memory. */
export function memoryRanges(size: number): GuestRange[] {
  const low = Math.min(size, LOW_MEMORY_END)
  const ranges = [{ base: 0, size: low }]
  if (size > low) ranges.push({ base: HIGH_MEMORY_BASE, size: size - low })
  return ranges
}

export class GuestMemory {
  readonly ranges: readonly GuestRange[]
  readonly backing: MemoryBacking
  /** Hears of every write of the hypervisor's, before it happens. */
  dirtied: ((address: number, length: number) => void) | undefined = undefined
  /** Brings what of a range is not here yet, before the hypervisor reads or writes it. */
  awaited: ((address: number, length: number) => void) | undefined = undefined
  readonly #machine: MachinePort

  /**
   * Takes `size` bytes (a multiple of 1 MiB) of host memory. Throws `outOfMemory`, having taken nothing.
   *
   * @param saved what it has taken already
   * @param backing what stands behind it; default: host pages taken at once
   */
  constructor(
    machine: MachinePort,
    allocator: PageAllocator,
    size: number,
    saved?: Saved,
    backing?: MemoryBacking,
  ) {
    this.#machine = machine
    this.ranges = memoryRanges(size)
    this.backing = backing ?? new FixedBacking(machine, allocator, this.ranges, LARGE_PAGES, saved)
  }

  /** Host pages that are this machine's alone, ascending by guest page. */
  get runs(): readonly MemoryRun[] {
    return this.backing.runs
  }

  /** Clears what earlier users left. */
  zero(): void {
    this.backing.zero()
  }

  free(): void {
    this.backing.free()
  }

  /** Whether all of `length` bytes at a guest-physical address are guest memory. */
  contains(address: number, length: number): boolean {
    return this.ranges.some(({ base, size }) => address >= base && address + length <= base + size)
  }

  /** Host-physical address of a byte of guest memory, for reading unless it is to be written. Throws `outOfMemory`. */
  hostAddress(address: number, write = false): number {
    return this.backing.hostPage(pageOf(address), write) * PAGE_SIZE + (address % PAGE_SIZE)
  }

  /** Throws `invalidArgument` where there is no guest memory. */
  read(address: number, length: number): Uint8Array {
    this.#check(address, length)
    const data = new Uint8Array(length)
    this.#copyOut(address, data, 0, length)
    return data
  }

  /** Throws `invalidArgument`, with nothing written, where there is no guest memory. */
  write(address: number, data: Uint8Array): void {
    this.#check(address, data.length)
    this.#copyIn(address, data, 0, data.length)
  }

  /** For devices: copies guest memory into `target`; false, with nothing copied, if any of it is no memory. */
  readInto(address: number, target: Uint8Array, start: number, length: number): boolean {
    if (!this.contains(address, length)) return false
    this.#copyOut(address, target, start, length)
    return true
  }

  /** The other way. */
  writeFrom(address: number, source: Uint8Array, start: number, length: number): boolean {
    if (!this.contains(address, length)) return false
    this.#copyIn(address, source, start, length)
    return true
  }

  #copyOut(address: number, target: Uint8Array, start: number, length: number): void {
    this.awaited?.(address, length)
    for (let done = 0; done < length; ) {
      const host = this.hostAddress(address + done)
      const piece = this.#contiguous(address + done, length - done)
      assert(this.#machine.readBytes(host, target, start + done, piece), 'guest memory is RAM')
      done += piece
    }
  }

  #copyIn(address: number, source: Uint8Array, start: number, length: number): void {
    this.awaited?.(address, length)
    this.dirtied?.(address, length)
    for (let done = 0; done < length; ) {
      const host = this.hostAddress(address + done, true)
      const piece = this.#contiguous(address + done, length - done)
      assert(this.#machine.writeBytes(host, source, start + done, piece), 'guest memory is RAM')
      done += piece
    }
  }

  /** How many of `length` bytes lie together in host memory. */
  #contiguous(address: number, length: number): number {
    const page = pageOf(address)
    return Math.min(length, (page + this.backing.together(page)) * PAGE_SIZE - address)
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

  save(): Saved {
    return this.backing.save()
  }
}
