/** VIRTIO 1.2, §2.7 "Split Virtqueues", the driver's side. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  AVAILABLE,
  availableEvent,
  availableSize,
  DESCRIPTOR,
  DESCRIPTOR_FLAG,
  NO_INTERRUPT,
  NO_NOTIFY,
  passesEvent,
  USED,
  usedEvent,
} from '../../hypervisor/formats/virtio.ts'
import type { GuestAccess } from '../guest-access.ts'
import {
  type DriverRing,
  NOT_AT_ONCE,
  NOTHING,
  type RingOptions,
  type SavedRing,
  type Segment,
  type UsedBuffer,
} from './ring.ts'

/** Descriptors of an indirect table. */
const INDIRECT_ENTRIES = 16
const align = (value: number, to: number): number => Math.ceil(value / to) * to

type SavedSplitRing = SavedRing & {
  readonly available: number
  readonly notified: number
  readonly used: number
  readonly free: number
  readonly broken: boolean
  readonly firstFree: number
  readonly next: Uint16Array
  readonly chains: Uint16Array
}

export class SplitRing implements DriverRing {
  readonly size: number
  readonly descriptors: number
  readonly driver: number
  readonly device: number
  readonly #access: GuestAccess
  readonly #options: RingOptions
  /** Tables for indirect chains, one a descriptor. */
  readonly #tables: number
  /** Free descriptors are chained as the ring itself would chain them. */
  readonly #next: Uint16Array
  readonly #chainLength: Uint16Array
  #firstFree = 0
  free: number
  broken = false
  #available = 0
  #notified = 0
  #used = 0

  /** Bytes that a ring takes. */
  static bytes({ size, indirect }: RingOptions): number {
    const rings = align(DESCRIPTOR.size * size + availableSize(size), 4) + 6 + 8 * size
    return align(rings, 16) + (indirect ? size * INDIRECT_ENTRIES * DESCRIPTOR.size : 0)
  }

  /** @param memory zeroed, aligned to a page. */
  constructor(access: GuestAccess, memory: number, options: RingOptions) {
    const { size } = options
    this.#access = access
    this.#options = options
    this.size = size
    this.descriptors = memory
    this.driver = memory + DESCRIPTOR.size * size
    this.device = memory + align(DESCRIPTOR.size * size + availableSize(size), 4)
    this.#tables = align(this.device + 6 + 8 * size, 16)
    this.#next = Uint16Array.from({ length: size }, (_, i) => i + 1)
    this.#chainLength = new Uint16Array(size)
    this.free = size
  }

  *add(segments: readonly Segment[]): Software<number> {
    const { indirect } = this.#options
    const inTable = indirect && segments.length > 1 && segments.length <= INDIRECT_ENTRIES
    const needed = inTable ? 1 : segments.length
    if (needed > this.free || needed === 0) return -1
    const head = this.#firstFree
    if (inTable) yield* this.#addIndirect(head, segments)
    else yield* this.#addChain(segments)
    this.#chainLength[head] = needed
    this.free -= needed
    const slot = this.driver + AVAILABLE.ring + 2 * (this.#available % this.size)
    yield* this.#access.write16(slot, head)
    this.#available = (this.#available + 1) & 0xffff
    yield* this.#access.write16(this.driver + AVAILABLE.index, this.#available)
    return head
  }

  addNow(address: number, length: number, write: boolean): number {
    if (this.free === 0) return NOTHING
    const access = this.#access
    const head = this.#firstFree
    const at = this.descriptors + head * DESCRIPTOR.size
    const available = (this.#available + 1) & 0xffff
    const done =
      access.poke64(at, address % 2 ** 32, Math.floor(address / 2 ** 32)) &&
      access.poke64(at + DESCRIPTOR.length, length, write ? DESCRIPTOR_FLAG.write : 0) &&
      access.poke16(this.driver + AVAILABLE.ring + 2 * (this.#available % this.size), head) &&
      access.poke16(this.driver + AVAILABLE.index, available)
    if (!done) return NOT_AT_ONCE
    this.#firstFree = this.#next[head]!
    this.#chainLength[head] = 1
    this.free--
    this.#available = available
    return head
  }

  *#addChain(segments: readonly Segment[]): Software {
    for (const [i, segment] of segments.entries()) {
      const at = this.#firstFree
      const next = this.#next[at]!
      const last = i === segments.length - 1
      yield* this.#write(this.descriptors + at * DESCRIPTOR.size, segment, last ? -1 : next)
      this.#firstFree = next
    }
  }

  *#addIndirect(head: number, segments: readonly Segment[]): Software {
    const table = this.#tables + head * INDIRECT_ENTRIES * DESCRIPTOR.size
    for (const [i, segment] of segments.entries()) {
      const last = i === segments.length - 1
      yield* this.#write(table + i * DESCRIPTOR.size, segment, last ? -1 : i + 1)
    }
    const at = this.descriptors + head * DESCRIPTOR.size
    yield* this.#access.write64(at, table % 2 ** 32, Math.floor(table / 2 ** 32))
    yield* this.#access.write64(
      at + DESCRIPTOR.length,
      segments.length * DESCRIPTOR.size,
      DESCRIPTOR_FLAG.indirect,
    )
    this.#firstFree = this.#next[head]!
  }

  /** @param next -1 for the last of a chain. */
  *#write(at: number, { address, length, write }: Segment, next: number): Software {
    const flags = (write ? DESCRIPTOR_FLAG.write : 0) | (next < 0 ? 0 : DESCRIPTOR_FLAG.next)
    yield* this.#access.write64(at, address % 2 ** 32, Math.floor(address / 2 ** 32))
    yield* this.#access.write64(at + DESCRIPTOR.length, length, flags | (Math.max(next, 0) << 16))
  }

  *needsNotification(): Software<boolean> {
    const before = this.#notified
    this.#notified = this.#available
    if (this.#available === before) return false
    if (this.#options.eventIndex) {
      const event = yield* this.#access.read16(this.device + availableEvent(this.size))
      return passesEvent(event, this.#available, before)
    }
    return ((yield* this.#access.read16(this.device + USED.flags)) & NO_NOTIFY) === 0
  }

  *reap(): Software<UsedBuffer | undefined> {
    if (this.broken) return undefined
    let index = this.#access.peek16(this.device + USED.index)
    if (index < 0) index = yield* this.#access.read16(this.device + USED.index)
    if (index === this.#used) return undefined
    const at = this.device + USED.ring + USED.entry * (this.#used % this.size)
    let id = this.#access.peek32(at)
    if (id < 0) id = yield* this.#access.read32(at)
    let written = this.#access.peek32(at + 4)
    if (written < 0) written = yield* this.#access.read32(at + 4)
    return this.#release(id) ? { id, written } : undefined
  }

  reapNow(into: UsedBuffer): number {
    if (this.broken) return NOTHING
    const index = this.#access.peek16(this.device + USED.index)
    if (index < 0) return NOT_AT_ONCE
    if (index === this.#used) return NOTHING
    const at = this.device + USED.ring + USED.entry * (this.#used % this.size)
    const id = this.#access.peek32(at)
    const written = this.#access.peek32(at + 4)
    if (id < 0 || written < 0) return NOT_AT_ONCE
    if (!this.#release(id)) return NOTHING
    into.id = id
    into.written = written
    return id
  }

  /** False for a buffer that the device has not: such a ring is broken. */
  #release(head: number): boolean {
    this.#used = (this.#used + 1) & 0xffff
    const count = this.#chainLength[head] ?? 0
    if (count === 0) {
      this.broken = true
      return false
    }
    let last = head
    for (let i = 1; i < count; i++) last = this.#next[last]!
    this.#next[last] = this.#firstFree
    this.#firstFree = head
    this.#chainLength[head] = 0
    this.free += count
    return true
  }

  *interrupts(wanted: boolean): Software {
    if (this.#options.eventIndex) {
      // An index that was just passed comes again after 65,535 others.
      const event = wanted ? this.#used : (this.#used - 1) & 0xffff
      yield* this.#access.write16(this.driver + usedEvent(this.size), event)
    } else yield* this.#access.write16(this.driver + AVAILABLE.flags, wanted ? 0 : NO_INTERRUPT)
  }

  save(): SavedSplitRing {
    return {
      at: this.descriptors,
      size: this.size,
      available: this.#available,
      notified: this.#notified,
      used: this.#used,
      free: this.free,
      broken: this.broken,
      firstFree: this.#firstFree,
      next: this.#next.slice(),
      chains: this.#chainLength.slice(),
    }
  }

  load(saved: Saved): void {
    const { available, notified, used, free, broken, firstFree, next, chains } = saved as SavedSplitRing
    this.#available = available
    this.#notified = notified
    this.#used = used
    this.free = free
    this.broken = broken
    this.#firstFree = firstFree
    this.#next.set(next)
    this.#chainLength.set(chains)
  }
}
