/** Rings of advanced descriptors in memory that driver and adapter share; the layouts are those of the 82576 and 82599. */
import { PAGE_SIZE, type PageNumber, pageOf } from '../../core/index.ts'
import {
  DESCRIPTOR_SIZE,
  RX_INFO,
  RX_LENGTH,
  RX_STATUS,
  TX_COMMAND,
  TX_DATA,
  TX_DONE,
  TX_TYPE,
} from '../../devices/formats/nic/descriptors.ts'
import { fieldOf, inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import { Frame, insertTag } from '../../net/formats/index.ts'
import type { DeviceAccess } from '../device-access.ts'
import type { DmaBuffer } from '../types.ts'

/** Bytes of a buffer: a frame of the standard size fits into one. */
export const BUFFER_SIZE = 2048
const BUFFERS_PER_PAGE = PAGE_SIZE / BUFFER_SIZE
/** Pages below 4 GiB. */
const LOW_PAGES = 2 ** 32 / PAGE_SIZE

type SavedRing = {
  /** Where the adapter finds them. */
  readonly descriptors: number
  readonly buffers: number
  readonly entries: number
}

export type SavedReceiveRing = SavedRing & { readonly next: number; readonly partial: Uint8Array }
export type SavedTransmitRing = SavedRing & { readonly next: number; readonly clean: number }

/** @param source `ESWITCH_PORT`; nothing from an adapter that switches by itself */
export type FrameTaker = (frame: Frame, source: number) => void

abstract class Ring {
  readonly entries: number
  protected readonly access: DeviceAccess
  protected readonly descriptors: DmaBuffer
  protected readonly buffers: DmaBuffer
  readonly #firstBufferPage: PageNumber

  constructor(access: DeviceAccess, entries: number, descriptors: DmaBuffer, buffers: DmaBuffer) {
    this.access = access
    this.entries = entries
    this.descriptors = descriptors
    this.buffers = buffers
    this.#firstBufferPage = pageOf(buffers.address)
  }

  /** Where the adapter finds the ring. */
  get address(): number {
    return this.descriptors.address
  }

  /** Bytes of the ring. */
  get size(): number {
    return this.entries * DESCRIPTOR_SIZE
  }

  protected saved(): SavedRing {
    return { descriptors: this.descriptors.address, buffers: this.buffers.address, entries: this.entries }
  }

  *free(): Software {
    yield* this.access.free(this.descriptors)
    yield* this.access.free(this.buffers)
  }

  /** Low and high dword of a buffer's address: the address itself would be a number on the heap. */
  protected bufferLow(index: number): number {
    const offset = (index % BUFFERS_PER_PAGE) * BUFFER_SIZE
    return Math.imul(this.#bufferPage(index) % LOW_PAGES, PAGE_SIZE) | offset
  }

  protected bufferHigh(index: number): number {
    return Math.floor(this.#bufferPage(index) / LOW_PAGES)
  }

  #bufferPage(index: number): number {
    return this.#firstBufferPage + Math.floor(index / BUFFERS_PER_PAGE)
  }

  protected readWord(index: number, word: number): number {
    return this.access.readDword(this.descriptors, index * DESCRIPTOR_SIZE + 4 * word)
  }

  protected writeWords(index: number, low: number, high: number, third: number, fourth: number): void {
    const at = index * DESCRIPTOR_SIZE
    this.access.writeDword(this.descriptors, at, low)
    this.access.writeDword(this.descriptors, at + 4, high)
    this.access.writeDword(this.descriptors, at + 8, third)
    this.access.writeDword(this.descriptors, at + 12, fourth)
  }
}

const memoryAt = (access: DeviceAccess, { descriptors, buffers }: SavedRing): [DmaBuffer, DmaBuffer] => [
  access.buffer(descriptors),
  access.buffer(buffers),
]

/** Memory for a ring and its buffers. Throws `outOfMemory`, `outOfResources`, having kept nothing. */
function* memoryFor(access: DeviceAccess, entries: number): Software<readonly [DmaBuffer, DmaBuffer]> {
  const descriptors = yield* access.allocate(Math.ceil((entries * DESCRIPTOR_SIZE) / PAGE_SIZE))
  try {
    return [descriptors, yield* access.allocate(entries / BUFFERS_PER_PAGE)]
  } catch (error) {
    yield* access.free(descriptors)
    throw error
  }
}

export class ReceiveRing extends Ring {
  /** Next descriptor that the adapter will have written. */
  #next = 0
  /** The frame that is taken out; what came before its end of packet. */
  readonly #frame = new Frame()

  static *make(access: DeviceAccess, entries: number): Software<ReceiveRing> {
    return new ReceiveRing(access, entries, ...(yield* memoryFor(access, entries)))
  }

  /** A ring that an adapter is working on. */
  static restore(access: DeviceAccess, saved: SavedReceiveRing): ReceiveRing {
    const ring = new ReceiveRing(access, saved.entries, ...memoryAt(access, saved))
    ring.#next = saved.next
    ring.#frame.set(saved.partial)
    return ring
  }

  /** Gives every buffer but one to the adapter; returns the tail. */
  fill(): number {
    this.#next = 0
    this.#frame.length = 0
    for (let index = 0; index < this.entries; index++) this.#post(index)
    return this.entries - 1
  }

  #post(index: number): void {
    this.writeWords(index, this.bufferLow(index), this.bufferHigh(index), 0, 0)
  }

  /**
   * Takes out every frame that has arrived. Returns the new tail; -1 if there was none.
   *
   * @param tagged whether tags that the adapter took off go back into their frames
   */
  poll(each: FrameTaker, tagged: boolean): number {
    const first = this.#next
    for (let taken = 0; taken < this.entries; taken++) {
      const status = this.readWord(this.#next, 2)
      if ((status & RX_STATUS.DD) === 0) break
      this.#take(this.#next, status, each, tagged)
      this.#post(this.#next)
      this.#next = (this.#next + 1) % this.entries
    }
    return this.#next === first ? -1 : (this.#next + this.entries - 1) % this.entries
  }

  #take(index: number, status: number, each: FrameTaker, tagged: boolean): void {
    const frame = this.#frame
    const lengths = this.readWord(index, 3)
    const room = Math.min(fieldOf(lengths, RX_LENGTH.PKT_LEN), frame.bytes.length - frame.length)
    this.access.read(this.buffers, index * BUFFER_SIZE, frame.bytes, frame.length, room)
    frame.length += room
    if ((status & RX_STATUS.EOP) === 0) return
    frame.damaged = false
    if (tagged && (status & RX_STATUS.VP) !== 0) insertTag(frame, fieldOf(lengths, RX_LENGTH.VLAN))
    each(frame, fieldOf(this.readWord(index, 0), RX_INFO.SOURCE))
    frame.length = 0
  }

  save(): SavedReceiveRing {
    return { ...this.saved(), next: this.#next, partial: this.#frame.toBytes() }
  }
}

export class TransmitRing extends Ring {
  /** Next descriptor to fill, and to take back. */
  #next = 0
  #clean = 0

  static *make(access: DeviceAccess, entries: number): Software<TransmitRing> {
    return new TransmitRing(access, entries, ...(yield* memoryFor(access, entries)))
  }

  static restore(access: DeviceAccess, saved: SavedTransmitRing): TransmitRing {
    const ring = new TransmitRing(access, saved.entries, ...memoryAt(access, saved))
    ring.#next = saved.next
    ring.#clean = saved.clean
    return ring
  }

  restart(): void {
    this.#next = 0
    this.#clean = 0
  }

  /**
   * Puts a frame into the ring. Returns the new tail; -1 if the ring is full or the frame too long for a buffer.
   *
   * @param destination `ESWITCH_PORT`
   */
  put(frame: Frame, destination: number): number {
    this.reclaim()
    const index = this.#next
    if ((index + 1) % this.entries === this.#clean || frame.length > BUFFER_SIZE) return -1
    this.access.write(this.buffers, index * BUFFER_SIZE, frame.bytes, 0, frame.length)
    const command = TX_COMMAND.EOP | TX_COMMAND.IFCS | TX_COMMAND.RS | TX_COMMAND.DEXT
    this.writeWords(
      index,
      this.bufferLow(index),
      this.bufferHigh(index),
      command | inField(TX_DATA.DTYP, TX_TYPE.data) | frame.length,
      inField(TX_DATA.PAYLEN, frame.length) | inField(TX_DATA.DESTINATION, destination),
    )
    this.#next = (index + 1) % this.entries
    return this.#next
  }

  /** Takes back the descriptors that the adapter is done with. */
  reclaim(): void {
    while (this.#clean !== this.#next && (this.readWord(this.#clean, 3) & TX_DONE) !== 0) {
      this.#clean = (this.#clean + 1) % this.entries
    }
  }

  save(): SavedTransmitRing {
    return { ...this.saved(), next: this.#next, clean: this.#clean }
  }
}
