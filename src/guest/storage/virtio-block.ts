/** The guest's driver of a virtio block device: VIRTIO 1.2, §5.2. */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  BLOCK_CONFIG,
  BLOCK_FEATURE,
  BLOCK_HEADER,
  BLOCK_REQUEST,
  BLOCK_STATUS,
  SECTOR_SIZE,
  VIRTIO_FEATURE,
  VIRTIO_TYPE,
  VIRTIO_VENDOR,
  virtioDeviceId,
} from '../../hypervisor/formats/virtio.ts'
import type { DriverContext, DriverEntry } from '../driver.ts'
import type { DriverRing, Segment } from '../virtio/ring.ts'
import { type VirtioOptions, VirtioTransport } from '../virtio/transport.ts'
import type { BlockCommand } from './block-driver.ts'
import { BUFFER_SIZE, QueuedDriver, type SavedQueuedDriver } from './queued-driver.ts'

const TWO_32 = 2 ** 32
/** Header and status of a command, one behind the other, by tag. */
const REQUEST_SIZE = 32
/** Descriptors of a command that is not in a table of its own: header, data, status. */
const CHAIN = 3
/** What the status byte says before the device has written it. */
const UNWRITTEN = 0xff
const NO_TAG = 0xffff

type SavedDriver = SavedQueuedDriver & {
  readonly transport: Saved
  readonly sectors: number
  readonly requests: number
  readonly tagOf: Uint16Array
}

/** What is known once the device is up. */
interface Place {
  readonly sectors: number
  readonly buffer: number
  readonly requests: number
}

export class VirtioBlockDriver extends QueuedDriver {
  readonly name = 'virtio_blk'
  readonly transport: VirtioTransport
  readonly #context: DriverContext
  readonly #place: Place
  /** By id of the ring. */
  readonly #tagOf: Uint16Array

  private constructor(context: DriverContext, transport: VirtioTransport, place: Place) {
    super(depthOf(transport), place.buffer)
    this.#context = context
    this.transport = transport
    this.#place = place
    this.#tagOf = new Uint16Array(this.#ring.size).fill(NO_TAG)
  }

  static *start(context: DriverContext, options: VirtioOptions): Software<VirtioBlockDriver> {
    const { flush, blockSize, segmentMaximum } = BLOCK_FEATURE
    const transport = yield* VirtioTransport.start(context, [flush, blockSize, segmentMaximum], 1, options)
    const low = yield* transport.readConfiguration(BLOCK_CONFIG.capacity)
    const high = yield* transport.readConfiguration(BLOCK_CONFIG.capacity + 4)
    const buffer = yield* context.allocate(BUFFER_SIZE)
    const requests = yield* context.allocate(depthOf(transport) * REQUEST_SIZE)
    const driver = new VirtioBlockDriver(context, transport, {
      sectors: high * TWO_32 + low,
      buffer,
      requests,
    })
    yield* driver.#ring.interrupts(true)
    return driver
  }

  get sectors(): number {
    return this.#place.sectors
  }

  get #ring(): DriverRing {
    return this.transport.rings[0]!
  }

  protected *describe(tag: number, { kind, sector, count, address }: BlockCommand): Software {
    const { access } = this.#context
    const header = this.#place.requests + tag * REQUEST_SIZE
    const status = header + BLOCK_HEADER.size
    yield* access.write64(header, BLOCK_REQUEST[kind], 0)
    yield* access.write64(header + BLOCK_HEADER.sector, sector % TWO_32, Math.floor(sector / TWO_32))
    yield* access.write8(status, UNWRITTEN)
    const data: Segment = { address, length: count * SECTOR_SIZE, write: kind === 'read' }
    const id = yield* this.#ring.add([
      { address: header, length: BLOCK_HEADER.size, write: false },
      ...(kind === 'flush' ? [] : [data]),
      { address: status, length: 1, write: true },
    ])
    this.#tagOf[id] = tag
  }

  *commit(): Software {
    const before = this.transport.notifications
    yield* this.transport.kick(0)
    this.doorbells += this.transport.notifications - before
  }

  *reap(): Software {
    let taken = 0
    for (;;) {
      const used = yield* this.#ring.reap()
      if (used === undefined) break
      taken++
      const tag = this.#tagOf[used.id] ?? NO_TAG
      this.#tagOf[used.id] = NO_TAG
      if (tag === NO_TAG) continue
      const at = this.#place.requests + tag * REQUEST_SIZE + BLOCK_HEADER.size
      let status = this.#context.access.peek8(at)
      if (status < 0) status = yield* this.#context.access.read8(at)
      this.tags.end(tag, status === BLOCK_STATUS.ok)
    }
    if (taken > 0) yield* this.#ring.interrupts(true)
  }

  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *interrupt(index: number): Software {
    if (index > 0) this.interrupts++
  }

  *stop(): Software {
    yield* this.transport.stop()
  }

  override save(): SavedDriver {
    const { sectors, requests } = this.#place
    return {
      ...super.save(),
      transport: this.transport.save(),
      sectors,
      requests,
      tagOf: this.#tagOf.slice(),
    }
  }

  static restore(context: DriverContext, saved: Saved): VirtioBlockDriver {
    const state = opened<SavedDriver>(saved, 'the virtio_blk driver of a guest', 1)
    const { sectors, buffer, requests } = state
    const transport = VirtioTransport.restore(context, state.transport)
    const driver = new VirtioBlockDriver(context, transport, { sectors, buffer, requests })
    driver.#tagOf.set(state.tagOf)
    driver.load(state)
    return driver
  }
}

/** As many commands as fit the ring: one descriptor each where chains have tables of their own. */
const depthOf = (transport: VirtioTransport): number => {
  const { size } = transport.rings[0]!
  return transport.hasFeature(VIRTIO_FEATURE.indirectDescriptors) ? size : Math.floor(size / CHAIN)
}

export const virtioBlock: DriverEntry = {
  name: 'virtio_blk',
  ids: [[VIRTIO_VENDOR, virtioDeviceId(VIRTIO_TYPE.block)]],
  start: VirtioBlockDriver.start,
  restore: VirtioBlockDriver.restore,
}
