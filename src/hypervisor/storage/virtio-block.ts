/** VIRTIO 1.2, §5.2 "Block Device": requests of a guest served from a back end. */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  BLOCK_CONFIG,
  BLOCK_FEATURE,
  BLOCK_HEADER,
  BLOCK_IDENTITY_SIZE,
  BLOCK_REQUEST,
  BLOCK_SEGMENT_SIZE,
  BLOCK_STATUS,
  SECTOR_SIZE,
  VIRTIO_TYPE,
} from '../formats/virtio.ts'
import { type Chain, Pieces, type VirtioLink, type VirtioModel } from '../virtio/index.ts'
import { type BlockBackend, type DirectBackend, DiskCounters, type SavedDiskCounters } from './backend.ts'

const QUEUE_SIZE = 128
/** Segments of data in one request: the header and the status take two descriptors. */
const DATA_SEGMENTS = QUEUE_SIZE - 2
/** Data of one request that goes through the hypervisor's buffer at a time. */
const BUFFER = 64 * 1024
const RANGE_SECTORS = 0x40_0000
const RANGE_SEGMENTS = 16

export interface VirtioBlockOptions {
  readonly readOnly?: boolean
  /** At most 20 ASCII characters. */
  readonly identity?: string
}

export class VirtioBlock implements VirtioModel {
  readonly kind = 'virtio-blk'
  readonly type = VIRTIO_TYPE.block
  readonly classCode = 0x01_00_00
  readonly queueSizes = [QUEUE_SIZE]
  readonly features: readonly number[]
  readonly counters = new DiskCounters()
  readonly #backend: BlockBackend
  readonly #readOnly: boolean
  readonly #identity: string
  readonly #configuration: DataView
  readonly #buffer = new Uint8Array(BUFFER)
  readonly #header = new Uint8Array(BLOCK_HEADER.size)
  readonly #headerView = new DataView(this.#header.buffer)
  readonly #byte = new Uint8Array(1)
  readonly #pieces = new Pieces(QUEUE_SIZE)
  #link: VirtioLink | undefined

  constructor(
    backend: BlockBackend,
    { readOnly = false, identity = 'northbridge' }: VirtioBlockOptions = {},
  ) {
    this.#backend = backend
    this.#readOnly = readOnly
    this.#identity = identity
    const { segmentMaximum, blockSize, flush, discard, writeZeroes } = BLOCK_FEATURE
    this.features = [
      segmentMaximum,
      blockSize,
      flush,
      discard,
      writeZeroes,
      ...(readOnly ? [BLOCK_FEATURE.readOnly] : []),
    ]
    const view = new DataView(new ArrayBuffer(64))
    view.setUint32(BLOCK_CONFIG.capacity, backend.sectors % 2 ** 32, true)
    view.setUint32(BLOCK_CONFIG.capacity + 4, Math.floor(backend.sectors / 2 ** 32), true)
    view.setUint32(BLOCK_CONFIG.segmentMaximum, DATA_SEGMENTS, true)
    view.setUint32(BLOCK_CONFIG.blockSize, SECTOR_SIZE, true)
    view.setUint32(BLOCK_CONFIG.discardSectors, RANGE_SECTORS, true)
    view.setUint32(BLOCK_CONFIG.discardSegments, RANGE_SEGMENTS, true)
    view.setUint32(BLOCK_CONFIG.discardAlignment, 1, true)
    view.setUint32(BLOCK_CONFIG.zeroesSectors, RANGE_SECTORS, true)
    view.setUint32(BLOCK_CONFIG.zeroesSegments, RANGE_SEGMENTS, true)
    view.setUint8(BLOCK_CONFIG.zeroesMayUnmap, 1)
    this.#configuration = view
  }

  readConfiguration(offset: number): number {
    return offset < 64 ? this.#configuration.getUint32(offset, true) : 0
  }

  start(link: VirtioLink): void {
    this.#link = link
  }

  reset(): void {
    this.#link = undefined
  }

  /** Serves until nothing is available and the driver knows that it has to notify again. */
  *notified(number: number): Software {
    const queue = this.#link?.queues[number]
    if (queue === undefined) return
    do {
      queue.notifications(false)
      while (queue.take()) {
        const { chain } = queue
        const { id, descriptors } = chain
        queue.give(id, descriptors, yield* this.#serve(chain))
        this.#link!.complete(number)
      }
    } while (queue.notifications(true))
  }

  /** Returns how many bytes were written into the chain: the status is the last of its writable ones. */
  *#serve(chain: Chain): Software<number> {
    this.counters.commands++
    const { port } = this.#link!
    const room = chain.writableBytes - 1
    // Without a place for the status there is nothing that could be told.
    if (room < 0) {
      this.counters.errors++
      return 0
    }
    const whole =
      chain.readableBytes >= BLOCK_HEADER.size && chain.read(port, 0, this.#header, 0, BLOCK_HEADER.size)
    const status = whole ? yield* this.#request(chain, room) : BLOCK_STATUS.error
    if (status !== BLOCK_STATUS.ok) this.counters.errors++
    this.#byte[0] = status
    return chain.write(port, room, this.#byte, 0, 1) ? chain.writableBytes : 0
  }

  *#request(chain: Chain, room: number): Software<number> {
    const sector =
      this.#headerView.getUint32(BLOCK_HEADER.sector + 4, true) * 2 ** 32 +
      this.#headerView.getUint32(BLOCK_HEADER.sector, true)
    const data = chain.readableBytes - BLOCK_HEADER.size
    switch (this.#headerView.getUint32(BLOCK_HEADER.type, true)) {
      case BLOCK_REQUEST.read:
        return this.#inRange(sector, room) ? yield* this.#read(chain, sector, room) : BLOCK_STATUS.error
      case BLOCK_REQUEST.write:
        if (this.#readOnly || !this.#inRange(sector, data)) return BLOCK_STATUS.error
        return yield* this.#write(chain, sector, data)
      case BLOCK_REQUEST.flush:
        return (yield* this.#backend.flush()) ? BLOCK_STATUS.ok : BLOCK_STATUS.error
      case BLOCK_REQUEST.identity:
        return this.#identify(chain, room)
      case BLOCK_REQUEST.discard:
      case BLOCK_REQUEST.writeZeroes:
        if (this.#readOnly) return BLOCK_STATUS.error
        return yield* this.#zero(chain, data)
      default:
        return BLOCK_STATUS.unsupported
    }
  }

  /** Whole sectors inside the disk. */
  #inRange(sector: number, length: number): boolean {
    return length % SECTOR_SIZE === 0 && sector + length / SECTOR_SIZE <= this.#backend.sectors
  }

  *#read(chain: Chain, sector: number, length: number): Software<number> {
    const { port } = this.#link!
    const backend = this.#backend
    if (backend.kind === 'direct') return yield* this.#move(backend, false, chain, sector, length)
    for (let done = 0; done < length; done += BUFFER) {
      const part = Math.min(BUFFER, length - done)
      const read = yield* backend.read(sector + done / SECTOR_SIZE, this.#buffer, 0, part)
      if (!read || !chain.write(port, done, this.#buffer, 0, part)) return BLOCK_STATUS.error
      this.counters.copied(part)
    }
    return BLOCK_STATUS.ok
  }

  *#write(chain: Chain, sector: number, length: number): Software<number> {
    const { port } = this.#link!
    const backend = this.#backend
    if (backend.kind === 'direct') return yield* this.#move(backend, true, chain, sector, length)
    for (let done = 0; done < length; done += BUFFER) {
      const part = Math.min(BUFFER, length - done)
      if (!chain.read(port, BLOCK_HEADER.size + done, this.#buffer, 0, part)) return BLOCK_STATUS.error
      this.counters.copied(part)
      if (!(yield* backend.write(sector + done / SECTOR_SIZE, this.#buffer, 0, part))) {
        return BLOCK_STATUS.error
      }
    }
    return BLOCK_STATUS.ok
  }

  /** The medium reaches the guest's memory by itself. */
  *#move(
    backend: DirectBackend,
    write: boolean,
    chain: Chain,
    sector: number,
    length: number,
  ): Software<number> {
    const most = backend.largestTransfer
    for (let done = 0; done < length; done += most) {
      const part = Math.min(most, length - done)
      if (!chain.locate(!write, done + (write ? BLOCK_HEADER.size : 0), part, this.#pieces)) {
        return BLOCK_STATUS.error
      }
      const at = sector + done / SECTOR_SIZE
      if (!(yield* backend.transfer(write, at, part / SECTOR_SIZE, this.#pieces))) return BLOCK_STATUS.error
    }
    return BLOCK_STATUS.ok
  }

  #identify(chain: Chain, room: number): number {
    if (room < BLOCK_IDENTITY_SIZE) return BLOCK_STATUS.error
    for (let i = 0; i < BLOCK_IDENTITY_SIZE; i++) this.#buffer[i] = this.#identity.charCodeAt(i) || 0
    const written = chain.write(this.#link!.port, 0, this.#buffer, 0, BLOCK_IDENTITY_SIZE)
    return written ? BLOCK_STATUS.ok : BLOCK_STATUS.error
  }

  /** Discarded sectors read as zeros here, so both requests are one. All ranges are checked first. */
  *#zero(chain: Chain, length: number): Software<number> {
    const segments = length / BLOCK_SEGMENT_SIZE
    if (!Number.isInteger(segments) || segments < 1 || segments > RANGE_SEGMENTS) return BLOCK_STATUS.error
    const bytes = new Uint8Array(length)
    if (!chain.read(this.#link!.port, BLOCK_HEADER.size, bytes, 0, length)) return BLOCK_STATUS.error
    const view = new DataView(bytes.buffer)
    const ranges = Array.from({ length: segments }, (_, i) => ({
      sector:
        view.getUint32(i * BLOCK_SEGMENT_SIZE + 4, true) * 2 ** 32 +
        view.getUint32(i * BLOCK_SEGMENT_SIZE, true),
      count: view.getUint32(i * BLOCK_SEGMENT_SIZE + 8, true),
      flags: view.getUint32(i * BLOCK_SEGMENT_SIZE + 12, true),
    }))
    // Flags other than UNMAP are reserved.
    if (ranges.some(({ flags }) => flags > 1)) return BLOCK_STATUS.unsupported
    if (
      ranges.some(({ sector, count }) => count > RANGE_SECTORS || !this.#inRange(sector, count * SECTOR_SIZE))
    ) {
      return BLOCK_STATUS.error
    }
    for (const { sector, count } of ranges) {
      if (!(yield* this.#backend.discard(sector, count))) return BLOCK_STATUS.error
    }
    return BLOCK_STATUS.ok
  }

  save(): Saved {
    return { version: 1, counters: this.counters.save() }
  }

  load(saved: Saved, link: VirtioLink | undefined): void {
    const { counters } = opened<{ counters: SavedDiskCounters }>(saved, 'a virtio block device', 1)
    this.counters.load(counters)
    this.#link = link
  }
}
