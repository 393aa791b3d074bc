/** Rings of advanced descriptors in guest memory, as the drivers of both controllers and of their virtual functions use them. */
import {
  DESCRIPTOR_SIZE,
  RX_LENGTH,
  RX_STATUS,
  TX_COMMAND,
  TX_DATA,
  TX_DONE,
  TX_TYPE,
} from '../../devices/formats/nic/descriptors.ts'
import { inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import { Frame, insertTag } from '../../net/formats/index.ts'
import type { DriverContext } from '../driver.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { FrameInbox } from './network-driver.ts'

export const DEFAULT_ENTRIES = 32
export const BUFFER_SIZE = 2048
const STATUS_AT = 8
const LENGTH_AT = 12
/** One descriptor for a frame, which is reported. */
const WHOLE_FRAME =
  TX_COMMAND.EOP | TX_COMMAND.IFCS | TX_COMMAND.RS | TX_COMMAND.DEXT | inField(TX_DATA.DTYP, TX_TYPE.data)

export type SavedRings = {
  readonly entries: number
  /** Addresses of rings and buffers, receiving first. */
  readonly rings: readonly [number, number, number, number]
  readonly next: readonly [rx: number, tx: number, clean: number]
  readonly inside: boolean
}

export class AdvancedRings {
  readonly entries: number
  readonly #access: GuestAccess
  readonly #inbox: FrameInbox
  rxRing = 0
  txRing = 0
  #rxBuffers = 0
  #txBuffers = 0
  /** Next descriptor to look at, to fill, and to take back. */
  #rxNext = 0
  #txNext = 0
  #txClean = 0
  /** The last descriptor did not end its frame. */
  #inside = false

  constructor(access: GuestAccess, entries: number, inbox: FrameInbox) {
    this.#access = access
    this.entries = entries
    this.#inbox = inbox
  }

  /** Bytes of a ring. */
  get size(): number {
    return this.entries * DESCRIPTOR_SIZE
  }

  *allocate(context: DriverContext): Software {
    this.rxRing = yield* context.allocate(this.size)
    this.#rxBuffers = yield* context.allocate(this.entries * BUFFER_SIZE)
    this.txRing = yield* context.allocate(this.size)
    this.#txBuffers = yield* context.allocate(this.entries * BUFFER_SIZE)
  }

  /** Gives every receive buffer but one away; returns the tail. */
  *fill(): Software<number> {
    for (let i = 0; i < this.entries; i++) yield* this.#post(i)
    return this.entries - 1
  }

  *#post(index: number): Software {
    const at = this.rxRing + index * DESCRIPTOR_SIZE
    yield* this.#access.write64(at, this.#rxBuffers + index * BUFFER_SIZE, 0)
    yield* this.#access.write64(at + STATUS_AT, 0, 0)
  }

  /** Puts a frame into the transmit ring. Returns the new tail; -1 if the ring is full. */
  *put(frame: Uint8Array): Software<number> {
    yield* this.reclaim()
    const index = this.#txNext
    if ((index + 1) % this.entries === this.#txClean || frame.length > BUFFER_SIZE) {
      this.#inbox.refused++
      return -1
    }
    yield* this.#access.writeBytes(this.#txBuffers + index * BUFFER_SIZE, frame)
    yield* this.#describe(index, frame.length)
    return this.#txNext
  }

  /** Describes a filled buffer; false if something comes in between: {@link #describe} has to follow. */
  #describeNow(index: number, length: number): boolean {
    const at = this.txRing + index * DESCRIPTOR_SIZE
    const payload = inField(TX_DATA.PAYLEN, length)
    const done =
      this.#access.poke64(at, this.#txBuffers + index * BUFFER_SIZE, 0) &&
      this.#access.poke64(at + STATUS_AT, WHOLE_FRAME | length, payload)
    if (done) this.#described(index)
    return done
  }

  *#describe(index: number, length: number): Software {
    const at = this.txRing + index * DESCRIPTOR_SIZE
    yield* this.#access.write64(at, this.#txBuffers + index * BUFFER_SIZE, 0)
    yield* this.#access.write64(at + STATUS_AT, WHOLE_FRAME | length, inField(TX_DATA.PAYLEN, length))
    this.#described(index)
  }

  #described(index: number): void {
    this.#txNext = (index + 1) % this.entries
    this.#inbox.sent++
  }

  /** Describes buffers that are filled already once more. Returns how many. */
  *putAgain(count: number): Software<number> {
    yield* this.reclaim()
    let done = 0
    for (; done < count && (this.#txNext + 1) % this.entries !== this.#txClean; done++) {
      const at = this.txRing + this.#txNext * DESCRIPTOR_SIZE + STATUS_AT
      let word = this.#access.peek32(at)
      if (word < 0) word = yield* this.#access.read32(at)
      const length = word & TX_DATA.DTALEN
      if (!this.#describeNow(this.#txNext, length)) yield* this.#describe(this.#txNext, length)
    }
    return done
  }

  get txTail(): number {
    return this.#txNext
  }

  /** Takes back what was sent. */
  *reclaim(): Software {
    while (this.#txClean !== this.#txNext) {
      const index = this.#txClean
      const at = this.txRing + index * DESCRIPTOR_SIZE + LENGTH_AT
      let word = this.#access.peek32(at)
      if (word < 0) word = yield* this.#access.read32(at)
      if ((word & TX_DONE) === 0) return
      // Not one more than it is now: the handler may have been here meanwhile.
      this.#txClean = (index + 1) % this.entries
    }
  }

  /**
   * Takes out the frames that have arrived. Returns the new tail; -1 if there was none.
   *
   * @param vlans those whose tag is put back where the function took it off; the tag of a port VLAN stays off.
   */
  *poll(keep: boolean, vlans: ReadonlySet<number>): Software<number> {
    const first = this.#rxNext
    for (let taken = 0; taken < this.entries; taken++) {
      const at = this.rxRing + this.#rxNext * DESCRIPTOR_SIZE
      let status = this.#access.peek32(at + STATUS_AT)
      if (status < 0) status = yield* this.#access.read32(at + STATUS_AT)
      if ((status & RX_STATUS.DD) === 0) break
      const whole = (status & RX_STATUS.EOP) !== 0
      // A frame of several buffers is not for a driver with the standard frame size: all of it is passed over.
      if (whole && !this.#inside) {
        let word = this.#access.peek32(at + LENGTH_AT)
        if (word < 0) word = yield* this.#access.read32(at + LENGTH_AT)
        if (keep) yield* this.#take(this.#rxNext, status, word, vlans)
        else this.#inbox.arrived(word & RX_LENGTH.PKT_LEN, undefined)
      }
      this.#inside = !whole
      const buffer = this.#rxBuffers + this.#rxNext * BUFFER_SIZE
      if (!this.#access.poke64(at, buffer, 0)) yield* this.#access.write64(at, buffer, 0)
      if (!this.#access.poke64(at + STATUS_AT, 0, 0)) yield* this.#access.write64(at + STATUS_AT, 0, 0)
      this.#rxNext = (this.#rxNext + 1) % this.entries
    }
    return this.#rxNext === first ? -1 : (this.#rxNext + this.entries - 1) % this.entries
  }

  /** @param word length and tag of its descriptor */
  *#take(index: number, status: number, word: number, vlans: ReadonlySet<number>): Software {
    const length = Math.min(word & RX_LENGTH.PKT_LEN, BUFFER_SIZE)
    const bytes = yield* this.#access.readBytes(this.#rxBuffers + index * BUFFER_SIZE, length)
    const tag = word >>> 16
    if ((status & RX_STATUS.VP) === 0 || !vlans.has(tag & 0xfff)) return this.#inbox.arrived(length, bytes)
    const frame = new Frame(length + 4)
    frame.set(bytes)
    insertTag(frame, tag)
    this.#inbox.arrived(frame.length, frame.toBytes())
  }

  save(): SavedRings {
    return {
      entries: this.entries,
      rings: [this.rxRing, this.#rxBuffers, this.txRing, this.#txBuffers],
      next: [this.#rxNext, this.#txNext, this.#txClean],
      inside: this.#inside,
    }
  }

  load({ rings, next, inside }: SavedRings): void {
    this.#inside = inside
    ;[this.rxRing, this.#rxBuffers, this.txRing, this.#txBuffers] = rings
    ;[this.#rxNext, this.#txNext, this.#txClean] = next
  }
}
