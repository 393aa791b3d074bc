/** VIRTIO 1.2, §2.8 "Packed Virtqueues", the device's side. */
import { opened, type Saved } from '../../core/index.ts'
import type { DevicePort } from '../emulated-device.ts'
import { EVENT, EVENT_FLAG, EVENT_WRAP, PACKED, PACKED_FLAG } from '../formats/virtio.ts'
import { Chain } from './chain.ts'
import { type DeviceQueue, type QueueAreas, RingMemory } from './device-queue.ts'

type SavedPackedQueue = {
  readonly version: 1
  readonly next: readonly [index: number, wrap: number]
  readonly used: readonly [index: number, wrap: number]
  readonly held: readonly [address: number, flags: number]
  readonly given: number
  readonly broken: string | null
}

export class PackedQueue implements DeviceQueue {
  readonly size: number
  readonly chain: Chain
  broken: string | undefined = undefined
  readonly #areas: QueueAreas
  readonly #memory: RingMemory
  /** Where the next available descriptor will be, and the wrap counter that goes with it. */
  #next = 0
  #wrap = 1
  /** Where the next used descriptor goes. */
  #used = 0
  #usedWrap = 1
  /** Of used descriptors that the driver must not see yet: the first, whose flags are written last; -1 for none. */
  #heldAt = -1
  #heldFlags = 0
  /** Descriptors given since the last decision on an interrupt. */
  #given = 0

  constructor(areas: QueueAreas, port: DevicePort) {
    this.size = areas.size
    this.chain = new Chain(areas.size)
    this.#areas = areas
    this.#memory = new RingMemory(port)
  }

  #break(reason: string): false {
    this.broken = reason
    return false
  }

  /** "Driver and Device Ring Wrap Counters": available if the two bits differ and AVAIL is the counter. */
  #isAvailable(flags: number): boolean {
    const available = (flags & PACKED_FLAG.available) !== 0
    const used = (flags & PACKED_FLAG.used) !== 0
    return available !== used && available === (this.#wrap === 1)
  }

  take(): boolean {
    if (this.broken !== undefined) return false
    const memory = this.#memory
    const { descriptors } = this.#areas
    if (!memory.readDescriptor(descriptors + this.#next * PACKED.size)) {
      return this.#break('the ring is not in memory')
    }
    if (!this.#isAvailable(memory.fourth)) return false
    this.chain.begin(0)
    let at = this.#next
    for (let count = 1; count <= this.size; count++) {
      const flags = memory.fourth
      const id = memory.third
      if (!this.#addDescriptor(flags, count)) return false
      if ((flags & PACKED_FLAG.next) === 0) {
        // "Buffer ID" counts in the last descriptor of a chain.
        this.chain.id = id
        this.chain.descriptors = count
        this.#advance(count)
        return true
      }
      at = at + 1 === this.size ? 0 : at + 1
      if (!memory.readDescriptor(descriptors + at * PACKED.size))
        return this.#break('the ring is not in memory')
    }
    return this.#break('a chain never ends')
  }

  #addDescriptor(flags: number, count: number): boolean {
    const memory = this.#memory
    if ((flags & PACKED_FLAG.indirect) === 0) {
      const added = this.chain.add(memory.address, memory.length, flags)
      return added || this.#break('a chain is too long, or readable behind writable')
    }
    const entries = memory.length / PACKED.size
    const allowed = this.#areas.indirect && count === 1 && (flags & PACKED_FLAG.next) === 0
    if (!allowed || !Number.isInteger(entries) || entries === 0 || entries > this.size) {
      return this.#break('an indirect descriptor is malformed')
    }
    // "Indirect Flag": entries in order, of whose flags only WRITE counts.
    const table = memory.address
    for (let i = 0; i < entries; i++) {
      if (!memory.readDescriptor(table + i * PACKED.size)) return this.#break('a descriptor is not in memory')
      if (!this.chain.add(memory.address, memory.length, memory.fourth)) {
        return this.#break('a chain is too long, or readable behind writable')
      }
    }
    return true
  }

  #advance(count: number): void {
    this.#next += count
    if (this.#next < this.size) return
    this.#next -= this.size
    this.#wrap ^= 1
  }

  untake(): void {
    this.#next -= this.chain.descriptors
    if (this.#next >= 0) return
    this.#next += this.size
    this.#wrap ^= 1
  }

  give(id: number, descriptors: number, written: number): void {
    const at = this.#areas.descriptors + this.#used * PACKED.size
    const both = this.#usedWrap === 1 ? PACKED_FLAG.available | PACKED_FLAG.used : 0
    const flags = both | (written > 0 ? PACKED_FLAG.write : 0)
    if (!this.#memory.writePackedUsed(at, id, written)) this.#break('the ring is not in memory')
    if (this.#heldAt < 0) {
      this.#heldAt = at
      this.#heldFlags = flags
    } else this.#memory.write16(at + PACKED.flags, flags)
    this.#used += descriptors
    this.#given += descriptors
    if (this.#used < this.size) return
    this.#used -= this.size
    this.#usedWrap ^= 1
  }

  publish(): boolean {
    if (this.broken !== undefined || this.#heldAt < 0) return false
    this.#memory.write16(this.#heldAt + PACKED.flags, this.#heldFlags)
    this.#heldAt = -1
    const given = this.#given
    this.#given = 0
    const { driver, eventIndex } = this.#areas
    const flags = this.#memory.read16(driver + EVENT.flags)
    if (flags === EVENT_FLAG.disable) return false
    if (flags !== EVENT_FLAG.descriptor || !eventIndex) return true
    return this.#passes(this.#memory.read16(driver + EVENT.offset), given)
  }

  /** Whether the descriptors used last include the one that the driver waits for. */
  #passes(event: number, given: number): boolean {
    const offset = event & (EVENT_WRAP - 1)
    const sameWrap = ((event & EVENT_WRAP) !== 0) === (this.#usedWrap === 1)
    // Distance back from the place that is written next.
    const back = this.#used - offset + (sameWrap ? 0 : this.size)
    return back > 0 && back <= given
  }

  notifications(wanted: boolean): boolean {
    const { device, eventIndex } = this.#areas
    if (wanted && eventIndex) {
      this.#memory.write16(device + EVENT.offset, this.#next | (this.#wrap === 1 ? EVENT_WRAP : 0))
      this.#memory.write16(device + EVENT.flags, EVENT_FLAG.descriptor)
    } else this.#memory.write16(device + EVENT.flags, wanted ? EVENT_FLAG.enable : EVENT_FLAG.disable)
    if (!wanted || this.broken !== undefined) return false
    const read = this.#memory.readDescriptor(this.#areas.descriptors + this.#next * PACKED.size)
    return read && this.#isAvailable(this.#memory.fourth)
  }

  save(): SavedPackedQueue {
    return {
      version: 1,
      next: [this.#next, this.#wrap],
      used: [this.#used, this.#usedWrap],
      held: [this.#heldAt, this.#heldFlags],
      given: this.#given,
      broken: this.broken ?? null,
    }
  }

  load(saved: Saved): void {
    const { next, used, held, given, broken } = opened<SavedPackedQueue>(saved, 'a packed virtqueue', 1)
    ;[this.#next, this.#wrap] = next
    ;[this.#used, this.#usedWrap] = used
    ;[this.#heldAt, this.#heldFlags] = held
    this.#given = given
    this.broken = broken ?? undefined
  }
}
