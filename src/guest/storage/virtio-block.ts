/** The guest's driver of a virtio block device: VIRTIO 1.2, §5.2. */
import type { Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  BLOCK_CONFIG,
  BLOCK_FEATURE,
  BLOCK_HEADER,
  BLOCK_REQUEST,
  BLOCK_STATUS,
  SECTOR_SIZE,
  VIRTIO_TYPE,
  VIRTIO_VENDOR,
  virtioDeviceId,
} from '../../hypervisor/formats/virtio.ts'
import type { DriverContext, DriverEntry } from '../driver.ts'
import type { Segment } from '../virtio/ring.ts'
import { type VirtioOptions, VirtioTransport } from '../virtio/transport.ts'
import type { BlockDriver } from './block-driver.ts'

const BUFFER_SIZE = 64 * 1024
const PAGE = 4096
/** What the status byte says before the device has written it. */
const UNWRITTEN = 0xff

export class VirtioBlockDriver implements BlockDriver {
  readonly name = 'virtio_blk'
  readonly sectors: number
  readonly mostSectors = BUFFER_SIZE / SECTOR_SIZE
  readonly buffer: number
  readonly transport: VirtioTransport
  readonly #context: DriverContext
  /** Header and status of the request under way. */
  readonly #request: number
  /** Messages that came for the queue. */
  #interrupts = 0

  private constructor(
    context: DriverContext,
    transport: VirtioTransport,
    sectors: number,
    buffer: number,
    request: number,
  ) {
    this.#context = context
    this.transport = transport
    this.sectors = sectors
    this.buffer = buffer
    this.#request = request
  }

  static *start(context: DriverContext, options: VirtioOptions): Software<VirtioBlockDriver> {
    const { flush, blockSize, segmentMaximum } = BLOCK_FEATURE
    const transport = yield* VirtioTransport.start(context, [flush, blockSize, segmentMaximum], 1, options)
    const low = yield* transport.readConfiguration(BLOCK_CONFIG.capacity)
    const high = yield* transport.readConfiguration(BLOCK_CONFIG.capacity + 4)
    const buffer = yield* context.allocate(BUFFER_SIZE)
    const request = yield* context.allocate(PAGE)
    return new VirtioBlockDriver(context, transport, high * 2 ** 32 + low, buffer, request)
  }

  *transfer(write: boolean, sector: number, count: number, address = this.buffer): Software<boolean> {
    const data = { address, length: count * SECTOR_SIZE, write: !write }
    return yield* this.#execute(write ? BLOCK_REQUEST.write : BLOCK_REQUEST.read, sector, [data])
  }

  *flush(): Software<boolean> {
    return yield* this.#execute(BLOCK_REQUEST.flush, 0, [])
  }

  *#execute(type: number, sector: number, data: readonly Segment[]): Software<boolean> {
    const { access } = this.#context
    const header = this.#request
    const status = header + BLOCK_HEADER.size
    yield* access.write64(header, type, 0)
    yield* access.write64(header + BLOCK_HEADER.sector, sector % 2 ** 32, Math.floor(sector / 2 ** 32))
    yield* access.write8(status, UNWRITTEN)
    const [ring] = this.transport.rings
    yield* ring!.interrupts(true)
    yield* ring!.add([
      { address: header, length: BLOCK_HEADER.size, write: false },
      ...data,
      { address: status, length: 1, write: true },
    ])
    yield* this.transport.kick(0)
    // The host works while the guest is out: nothing is left to wait for, unless the device has given up.
    const used = yield* ring!.reap()
    return used !== undefined && (yield* access.read8(status)) === BLOCK_STATUS.ok
  }

  // biome-ignore lint/correctness/useYield: software that never waits is still software
  *interrupt(index: number): Software {
    if (index > 0) this.#interrupts++
  }

  /** Messages that came for the queue. */
  get interrupts(): number {
    return this.#interrupts
  }

  *stop(): Software {
    yield* this.transport.stop()
  }

  save(): Saved {
    return { version: 1, transport: this.transport.save(), interrupts: this.#interrupts }
  }
}

export const virtioBlock: DriverEntry = {
  name: 'virtio_blk',
  ids: [[VIRTIO_VENDOR, virtioDeviceId(VIRTIO_TYPE.block)]],
  start: VirtioBlockDriver.start,
}
