/** The guest's driver of a memory balloon: VIRTIO 1.2, §5.5. */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { VIRTIO_TYPE, VIRTIO_VENDOR, virtioDeviceId } from '../../hypervisor/formats/virtio.ts'
import {
  BALLOON_CONFIG,
  BALLOON_ENTRY,
  BALLOON_FEATURE,
  BALLOON_QUEUE,
} from '../../hypervisor/formats/virtio-balloon.ts'
import type { DriverContext, DriverEntry, DriverOptions, GuestDriver } from '../driver.ts'
import { pageBehind } from '../free-memory.ts'
import { VirtioTransport } from '../virtio/transport.ts'

/** Page numbers of one buffer. */
const MOST_ENTRIES = 256
/** Small: a buffer is done with as soon as the device was told of it. */
const RING_ENTRIES = 8

type SavedDriver = {
  readonly version: 1
  readonly transport: Saved
  readonly buffer: number
  readonly total: number
  readonly given: number
}

export class VirtioBalloonDriver implements GuestDriver {
  readonly name = 'virtio_balloon'
  readonly #context: DriverContext
  readonly #transport: VirtioTransport
  readonly #buffer: number
  /** Pages of the guest's memory. */
  readonly #total: number
  /** Pages in the balloon: the last ones of the guest's memory. */
  #given = 0

  private constructor(context: DriverContext, transport: VirtioTransport, buffer: number, total: number) {
    this.#context = context
    this.#transport = transport
    this.#buffer = buffer
    this.#total = total
  }

  static *start(context: DriverContext, options: DriverOptions): Software<VirtioBalloonDriver> {
    const { mustTellHost, deflateOnOutOfMemory } = BALLOON_FEATURE
    const transport = yield* VirtioTransport.start(context, [mustTellHost, deflateOnOutOfMemory], 2, {
      ...options,
      ringEntries: options.ringEntries ?? RING_ENTRIES,
    })
    const buffer = yield* context.allocate(MOST_ENTRIES * BALLOON_ENTRY)
    const total = yield* context.freeMemory.pages()
    const driver = new VirtioBalloonDriver(context, transport, buffer, total)
    // Buffers are taken back where they were given: no interrupt is needed for them.
    for (const ring of transport.rings) yield* ring.interrupts(false)
    yield* driver.#adjust()
    return driver
  }

  get given(): number {
    return this.#given
  }

  /** The host wants another size. */
  *interrupt(index: number): Software {
    if (index === 0) yield* this.#adjust()
  }

  *#adjust(): Software {
    const wanted = yield* this.#transport.readConfiguration(BALLOON_CONFIG.wanted)
    const most = this.#total - this.#context.freeMemory.used
    yield* this.#resize(Math.max(0, Math.min(wanted, most)))
  }

  /** "Deflate on out of memory": programs need what lies below the page behind so many pages. */
  *makeRoom(pages: number): Software {
    if (this.#total - this.#given < pages) yield* this.#resize(Math.max(0, this.#total - pages))
  }

  *#resize(pages: number): Software {
    while (this.#given !== pages) {
      const inflates = pages > this.#given
      const count = Math.min(Math.abs(pages - this.#given), MOST_ENTRIES)
      // What was given last comes back first.
      const first = inflates ? this.#given : this.#given - count
      // MUST_TELL_HOST: a page is used again only behind this.
      if (!(yield* this.#tell(inflates ? BALLOON_QUEUE.inflate : BALLOON_QUEUE.deflate, first, count))) break
      this.#given += inflates ? count : -count
    }
    yield* this.#transport.writeConfiguration(BALLOON_CONFIG.actual, this.#given)
  }

  /** Pages `first` and on, counted from the end of memory. False: the device has not taken them. */
  *#tell(queue: number, first: number, count: number): Software<boolean> {
    const { access } = this.#context
    for (let i = 0; i < count; i++) {
      const page = pageBehind(this.#total - 1 - first - i)
      const at = this.#buffer + i * BALLOON_ENTRY
      if (!access.poke32(at, page)) yield* access.write32(at, page)
    }
    const ring = this.#transport.rings[queue]!
    yield* ring.add([{ address: this.#buffer, length: count * BALLOON_ENTRY, write: false }])
    yield* this.#transport.kick(queue)
    return (yield* ring.reap()) !== undefined
  }

  *stop(): Software {
    yield* this.#transport.stop()
  }

  save(): SavedDriver {
    return {
      version: 1,
      transport: this.#transport.save(),
      buffer: this.#buffer,
      total: this.#total,
      given: this.#given,
    }
  }

  static restore(context: DriverContext, saved: Saved): VirtioBalloonDriver {
    const state = opened<SavedDriver>(saved, 'the virtio_balloon driver of a guest', 1)
    const transport = VirtioTransport.restore(context, state.transport)
    const driver = new VirtioBalloonDriver(context, transport, state.buffer, state.total)
    driver.#given = state.given
    return driver
  }
}

export const virtioBalloon: DriverEntry = {
  name: 'virtio_balloon',
  ids: [[VIRTIO_VENDOR, virtioDeviceId(VIRTIO_TYPE.balloon)]],
  automatic: true,
  start: VirtioBalloonDriver.start,
  restore: VirtioBalloonDriver.restore,
}
