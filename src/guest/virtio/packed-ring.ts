/** VIRTIO 1.2, §2.8 "Packed Virtqueues", the driver's side. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { EVENT, EVENT_FLAG, EVENT_WRAP, PACKED, PACKED_FLAG } from '../../hypervisor/formats/virtio.ts'
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

const INDIRECT_ENTRIES = 16
/** An event suppression structure. */
const EVENT_SIZE = 4

type SavedPackedRing = SavedRing & {
  readonly next: readonly [index: number, wrap: number]
  readonly used: readonly [index: number, wrap: number]
  readonly added: number
  readonly free: number
  readonly broken: boolean
  readonly ids: readonly number[]
  readonly chains: Uint16Array
}

export class PackedRing implements DriverRing {
  readonly size: number
  readonly descriptors: number
  readonly driver: number
  readonly device: number
  readonly #access: GuestAccess
  readonly #options: RingOptions
  readonly #tables: number
  /** Ids that are free, as a stack, and the descriptors that each buffer in use takes. */
  #ids: number[]
  readonly #chainLength: Uint16Array
  free: number
  broken = false
  #next = 0
  #wrap = 1
  #used = 0
  #usedWrap = 1
  /** Descriptors made available since the last decision on a notification. */
  #added = 0

  static bytes({ size, indirect }: RingOptions): number {
    return PACKED.size * size + 2 * EVENT_SIZE + 8 + (indirect ? size * INDIRECT_ENTRIES * PACKED.size : 0)
  }

  /** @param memory zeroed, aligned to a page. */
  constructor(access: GuestAccess, memory: number, options: RingOptions) {
    const { size } = options
    this.#access = access
    this.#options = options
    this.size = size
    this.descriptors = memory
    this.driver = memory + PACKED.size * size
    this.device = this.driver + EVENT_SIZE
    this.#tables = this.driver + 2 * EVENT_SIZE + 8
    this.#ids = Array.from({ length: size }, (_, i) => size - 1 - i)
    this.#chainLength = new Uint16Array(size)
    this.free = size
  }

  *add(segments: readonly Segment[]): Software<number> {
    const inTable = this.#options.indirect && segments.length > 1 && segments.length <= INDIRECT_ENTRIES
    const needed = inTable ? 1 : segments.length
    if (needed > this.free || needed === 0) return -1
    const id = this.#ids.pop()!
    const list = inTable ? [yield* this.#table(id, segments)] : segments
    const first = this.#next
    let firstFlags = 0
    for (const [i, segment] of list.entries()) {
      const at = this.descriptors + this.#next * PACKED.size
      const more = i < list.length - 1 ? PACKED_FLAG.next : 0
      const kind = inTable ? PACKED_FLAG.indirect : segment.write ? PACKED_FLAG.write : 0
      const flags = kind | more | (this.#wrap === 1 ? PACKED_FLAG.available : PACKED_FLAG.used)
      yield* this.#access.write64(at, segment.address % 2 ** 32, Math.floor(segment.address / 2 ** 32))
      yield* this.#access.write32(at + PACKED.length, segment.length)
      if (!this.#access.poke16(at + PACKED.id, id)) yield* this.#access.write16(at + PACKED.id, id)
      // The device may begin when it sees the first descriptor: its flags are written last.
      if (i === 0) firstFlags = flags
      else yield* this.#access.write16(at + PACKED.flags, flags)
      this.#advance()
    }
    const head = this.descriptors + first * PACKED.size + PACKED.flags
    if (!this.#access.poke16(head, firstFlags)) yield* this.#access.write16(head, firstFlags)
    this.#chainLength[id] = needed
    this.free -= needed
    this.#added += needed
    return id
  }

  addNow(address: number, length: number, write: boolean): number {
    if (this.free === 0) return NOTHING
    const access = this.#access
    const id = this.#ids[this.#ids.length - 1]!
    const at = this.descriptors + this.#next * PACKED.size
    const turn = this.#wrap === 1 ? PACKED_FLAG.available : PACKED_FLAG.used
    const done =
      access.poke64(at, address % 2 ** 32, Math.floor(address / 2 ** 32)) &&
      access.poke32(at + PACKED.length, length) &&
      access.poke16(at + PACKED.id, id) &&
      access.poke16(at + PACKED.flags, (write ? PACKED_FLAG.write : 0) | turn)
    if (!done) return NOT_AT_ONCE
    this.#ids.pop()
    this.#advance()
    this.#chainLength[id] = 1
    this.free--
    this.#added++
    return id
  }

  *#table(id: number, segments: readonly Segment[]): Software<Segment> {
    const table = this.#tables + id * INDIRECT_ENTRIES * PACKED.size
    for (const [i, { address, length, write }] of segments.entries()) {
      const at = table + i * PACKED.size
      yield* this.#access.write64(at, address % 2 ** 32, Math.floor(address / 2 ** 32))
      yield* this.#access.write64(at + PACKED.length, length, (write ? PACKED_FLAG.write : 0) << 16)
    }
    return { address: table, length: segments.length * PACKED.size, write: false }
  }

  #advance(): void {
    this.#next++
    if (this.#next < this.size) return
    this.#next = 0
    this.#wrap ^= 1
  }

  *needsNotification(): Software<boolean> {
    const added = this.#added
    this.#added = 0
    if (added === 0) return false
    const flags = yield* this.#access.read16(this.device + EVENT.flags)
    if (flags !== EVENT_FLAG.descriptor || !this.#options.eventIndex) return flags !== EVENT_FLAG.disable
    const event = yield* this.#access.read16(this.device + EVENT.offset)
    const offset = event & (EVENT_WRAP - 1)
    const sameWrap = ((event & EVENT_WRAP) !== 0) === (this.#wrap === 1)
    const back = this.#next - offset + (sameWrap ? 0 : this.size)
    return back > 0 && back <= added
  }

  *reap(): Software<UsedBuffer | undefined> {
    if (this.broken) return undefined
    const at = this.descriptors + this.#used * PACKED.size
    let flags = this.#access.peek16(at + PACKED.flags)
    if (flags < 0) flags = yield* this.#access.read16(at + PACKED.flags)
    const available = (flags & PACKED_FLAG.available) !== 0
    const used = (flags & PACKED_FLAG.used) !== 0
    if (available !== used || used !== (this.#usedWrap === 1)) return undefined
    let written = this.#access.peek32(at + PACKED.length)
    if (written < 0) written = yield* this.#access.read32(at + PACKED.length)
    let id = this.#access.peek16(at + PACKED.id)
    if (id < 0) id = yield* this.#access.read16(at + PACKED.id)
    return this.#release(id) ? { id, written } : undefined
  }

  reapNow(into: UsedBuffer): number {
    if (this.broken) return NOTHING
    const at = this.descriptors + this.#used * PACKED.size
    const flags = this.#access.peek16(at + PACKED.flags)
    if (flags < 0) return NOT_AT_ONCE
    const available = (flags & PACKED_FLAG.available) !== 0
    const used = (flags & PACKED_FLAG.used) !== 0
    if (available !== used || used !== (this.#usedWrap === 1)) return NOTHING
    const written = this.#access.peek32(at + PACKED.length)
    const id = this.#access.peek16(at + PACKED.id)
    if (written < 0 || id < 0) return NOT_AT_ONCE
    if (!this.#release(id)) return NOTHING
    into.id = id
    into.written = written
    return id
  }

  /** False for a buffer that the device has not: such a ring is broken. */
  #release(id: number): boolean {
    const count = this.#chainLength[id] ?? 0
    if (count === 0) {
      this.broken = true
      return false
    }
    this.#chainLength[id] = 0
    this.#ids.push(id)
    this.free += count
    this.#used += count
    if (this.#used >= this.size) {
      this.#used -= this.size
      this.#usedWrap ^= 1
    }
    return true
  }

  *interrupts(wanted: boolean): Software {
    if (wanted && this.#options.eventIndex) {
      yield* this.#access.write16(
        this.driver + EVENT.offset,
        this.#used | (this.#usedWrap === 1 ? EVENT_WRAP : 0),
      )
      yield* this.#access.write16(this.driver + EVENT.flags, EVENT_FLAG.descriptor)
    } else {
      yield* this.#access.write16(this.driver + EVENT.flags, wanted ? EVENT_FLAG.enable : EVENT_FLAG.disable)
    }
  }

  save(): SavedPackedRing {
    return {
      at: this.descriptors,
      size: this.size,
      next: [this.#next, this.#wrap],
      used: [this.#used, this.#usedWrap],
      added: this.#added,
      free: this.free,
      broken: this.broken,
      ids: [...this.#ids],
      chains: this.#chainLength.slice(),
    }
  }

  load(saved: Saved): void {
    const { next, used, added, free, broken, ids, chains } = saved as SavedPackedRing
    ;[this.#next, this.#wrap] = next
    ;[this.#used, this.#usedWrap] = used
    this.#added = added
    this.free = free
    this.broken = broken
    this.#ids = [...ids]
    this.#chainLength.set(chains)
  }
}
