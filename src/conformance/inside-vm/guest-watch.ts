/**
 * Guest memory as the replay sees it: written by stores of the guest's processor, looked at in host memory, page by page,
 * for what devices and units have changed.
 */
import { PAGE_SIZE, type PageNumber, pageOf } from '../../core/index.ts'
import type { RamRange } from '../../memory/index.ts'
import type { ByteChange } from '../memory-watch.ts'
import type { ReplayMemory } from '../replay-machine.ts'

/** Where a guest's memory is. */
export interface WatchedGuest {
  /** Guest-physical memory that the program knows. */
  readonly ranges: readonly RamRange[]
  /** Stores of the guest. */
  store(address: number, bytes: Uint8Array): void
  load(address: number, length: number): Uint8Array
  /** Guest pages that were ever written, with what they hold now. */
  written(): Iterable<readonly [page: PageNumber, bytes: Uint8Array]>
}

export class GuestWatch implements ReplayMemory {
  readonly #guest: WatchedGuest
  readonly #before = new Map<PageNumber, Uint8Array>()

  constructor(guest: WatchedGuest) {
    this.#guest = guest
  }

  #holds(address: number, length: number): boolean {
    return this.#guest.ranges.some(({ base, size }) => address >= base && address + length <= base + size)
  }

  read(address: number, target: Uint8Array): boolean {
    if (!this.#holds(address, target.length)) return false
    target.set(this.#guest.load(address, target.length))
    return true
  }

  write(address: number, bytes: Uint8Array): boolean {
    if (!this.#holds(address, bytes.length)) return false
    this.#guest.store(address, bytes)
    return true
  }

  readDword(address: number): number | undefined {
    const bytes = new Uint8Array(4)
    return this.read(address, bytes) ? new DataView(bytes.buffer).getUint32(0, true) : undefined
  }

  changes(): ByteChange[] {
    const changes: ByteChange[] = []
    for (const [page, bytes] of this.#guest.written()) {
      const before = this.#before.get(page)
      if (before !== undefined && Buffer.compare(before, bytes) === 0) continue
      for (const [i, value] of bytes.entries()) {
        if (value !== (before?.[i] ?? 0)) changes.push({ address: page * PAGE_SIZE + i, value })
      }
    }
    return changes.sort((a, b) => a.address - b.address)
  }

  accept(): void {
    for (const [page, bytes] of this.#guest.written()) {
      const before = this.#before.get(page)
      if (before === undefined) this.#before.set(page, bytes.slice())
      else before.set(bytes)
    }
  }

  settle(changes: readonly ByteChange[]): void {
    const wanted = new Map(this.changes().map(({ address }) => [address, this.before(address)]))
    for (const { address, value } of changes) wanted.set(address, value)
    for (const [address, value] of wanted) this.#guest.store(address, Uint8Array.of(value))
    this.accept()
  }

  before(address: number): number {
    return this.#before.get(pageOf(address))?.[address % PAGE_SIZE] ?? 0
  }
}
