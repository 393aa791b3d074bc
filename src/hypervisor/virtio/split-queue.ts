/** VIRTIO 1.2, §2.7 "Split Virtqueues", the device's side. */
import { opened, type Saved } from '../../core/index.ts'
import type { DevicePort } from '../emulated-device.ts'
import {
  AVAILABLE,
  availableEvent,
  DESCRIPTOR,
  DESCRIPTOR_FLAG,
  NO_INTERRUPT,
  NO_NOTIFY,
  passesEvent,
  USED,
  usedEvent,
} from '../formats/virtio.ts'
import { Chain } from './chain.ts'
import { type DeviceQueue, type QueueAreas, RingMemory } from './device-queue.ts'

type SavedSplitQueue = {
  readonly version: 1
  readonly available: number
  readonly used: number
  readonly published: number
  readonly broken: string | null
}

export class SplitQueue implements DeviceQueue {
  readonly size: number
  readonly chain: Chain
  broken: string | undefined = undefined
  readonly #areas: QueueAreas
  readonly #memory: RingMemory
  /** Free-running, 16 bits: next available entry to look at, next used entry to write, used entries shown. */
  #available = 0
  #used = 0
  #published = 0

  constructor(areas: QueueAreas, port: DevicePort) {
    this.size = areas.size
    this.chain = new Chain(areas.size)
    this.#areas = areas
    this.#memory = new RingMemory(port)
  }

  /** Entries available and not taken; -1 once broken. */
  #waiting(): number {
    const index = this.#memory.read16(this.#areas.driver + AVAILABLE.index)
    const waiting = (index - this.#available) & 0xffff
    if (index >= 0 && waiting <= this.size) return waiting
    this.#break(
      index < 0 ? 'the available ring is not in memory' : 'the available index runs ahead of the ring',
    )
    return -1
  }

  #break(reason: string): false {
    this.broken = reason
    return false
  }

  take(): boolean {
    if (this.broken !== undefined || this.#waiting() <= 0) return false
    const { driver, descriptors } = this.#areas
    const head = this.#memory.read16(driver + AVAILABLE.ring + 2 * (this.#available % this.size))
    if (head >= this.size || head < 0) return this.#break('an available entry names no descriptor')
    this.chain.begin(head)
    if (!this.#walk(descriptors, this.size, head, true)) return false
    this.#available = (this.#available + 1) & 0xffff
    return true
  }

  untake(): void {
    this.#available = (this.#available - 1) & 0xffff
  }

  /** Follows `next` from descriptor `at` of a table of `count`. */
  #walk(table: number, count: number, at: number, mayBeIndirect: boolean): boolean {
    const memory = this.#memory
    for (let steps = 0; steps < count; steps++) {
      if (at >= count) return this.#break('a descriptor leads out of its table')
      if (!memory.readDescriptor(table + at * DESCRIPTOR.size)) {
        return this.#break('a descriptor is not in memory')
      }
      const flags = memory.third
      const next = memory.fourth
      if ((flags & DESCRIPTOR_FLAG.indirect) !== 0) {
        // "Indirect Descriptors": one level, at the end of a chain.
        const length = memory.length
        const allowed = mayBeIndirect && this.#areas.indirect && (flags & DESCRIPTOR_FLAG.next) === 0
        const entries = length / DESCRIPTOR.size
        if (!allowed || !Number.isInteger(entries) || entries === 0 || entries > this.size) {
          return this.#break('an indirect descriptor is malformed')
        }
        return this.#walk(memory.address, entries, 0, false)
      }
      if (!this.chain.add(memory.address, memory.length, flags)) {
        return this.#break('a chain is too long, or readable behind writable')
      }
      if ((flags & DESCRIPTOR_FLAG.next) === 0) return true
      at = next
    }
    return this.#break('a chain never ends')
  }

  give(id: number, _descriptors: number, written: number): void {
    const at = this.#areas.device + USED.ring + USED.entry * (this.#used % this.size)
    if (!this.#memory.writeUsed(at, id, written)) this.#break('the used ring is not in memory')
    this.#used = (this.#used + 1) & 0xffff
  }

  publish(): boolean {
    if (this.broken !== undefined || this.#used === this.#published) return false
    const { driver, device, eventIndex } = this.#areas
    const before = this.#published
    this.#published = this.#used
    if (!this.#memory.write16(device + USED.index, this.#used)) {
      this.#break('the used ring is not in memory')
      return false
    }
    if (!eventIndex) return (this.#memory.read16(driver + AVAILABLE.flags) & NO_INTERRUPT) === 0
    return passesEvent(this.#memory.read16(driver + usedEvent(this.size)), this.#used, before)
  }

  notifications(wanted: boolean): boolean {
    const { device, eventIndex } = this.#areas
    if (!eventIndex) this.#memory.write16(device + USED.flags, wanted ? 0 : NO_NOTIFY)
    else if (wanted) this.#memory.write16(device + availableEvent(this.size), this.#available)
    return wanted && this.broken === undefined && this.#waiting() > 0
  }

  save(): SavedSplitQueue {
    return {
      version: 1,
      available: this.#available,
      used: this.#used,
      published: this.#published,
      broken: this.broken ?? null,
    }
  }

  load(saved: Saved): void {
    const state = opened<SavedSplitQueue>(saved, 'a split virtqueue', 1)
    this.#available = state.available
    this.#used = state.used
    this.#published = state.published
    this.broken = state.broken ?? undefined
  }
}
