/** Rings of advanced descriptors in guest memory, as igbvf and ixgbevf use them. */
import type { Saved } from '../../core/index.ts'
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

  *#describe(index: number, length: number): Software {
    const at = this.txRing + index * DESCRIPTOR_SIZE
    const command = TX_COMMAND.EOP | TX_COMMAND.IFCS | TX_COMMAND.RS | TX_COMMAND.DEXT
    const type = inField(TX_DATA.DTYP, TX_TYPE.data)
    yield* this.#access.write64(at, this.#txBuffers + index * BUFFER_SIZE, 0)
    yield* this.#access.write64(at + STATUS_AT, command | type | length, inField(TX_DATA.PAYLEN, length))
    this.#txNext = (index + 1) % this.entries
    this.#inbox.sent++
  }

  /** Describes buffers that are filled already once more. Returns how many. */
  *putAgain(count: number): Software<number> {
    yield* this.reclaim()
    let done = 0
    for (; done < count && (this.#txNext + 1) % this.entries !== this.#txClean; done++) {
      const at = this.txRing + this.#txNext * DESCRIPTOR_SIZE + STATUS_AT
      yield* this.#describe(this.#txNext, (yield* this.#access.read32(at)) & TX_DATA.DTALEN)
    }
    return done
  }

  get txTail(): number {
    return this.#txNext
  }

  *reclaim(): Software {
    while (this.#txClean !== this.#txNext) {
      const at = this.txRing + this.#txClean * DESCRIPTOR_SIZE + LENGTH_AT
      if (((yield* this.#access.read32(at)) & TX_DONE) === 0) return
      this.#txClean = (this.#txClean + 1) % this.entries
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
      const status = yield* this.#access.read32(at + STATUS_AT)
      if ((status & RX_STATUS.DD) === 0) break
      if (status & RX_STATUS.EOP) yield* this.#take(this.#rxNext, status, keep, vlans)
      yield* this.#post(this.#rxNext)
      this.#rxNext = (this.#rxNext + 1) % this.entries
    }
    return this.#rxNext === first ? -1 : (this.#rxNext + this.entries - 1) % this.entries
  }

  *#take(index: number, status: number, keep: boolean, vlans: ReadonlySet<number>): Software {
    const word = yield* this.#access.read32(this.rxRing + index * DESCRIPTOR_SIZE + LENGTH_AT)
    const length = word & RX_LENGTH.PKT_LEN
    if (!keep) return this.#inbox.arrived(length, undefined)
    const bytes = yield* this.#access.readBytes(this.#rxBuffers + index * BUFFER_SIZE, length)
    const tag = word >>> 16
    if ((status & RX_STATUS.VP) === 0 || !vlans.has(tag & 0xfff)) return this.#inbox.arrived(length, bytes)
    const frame = new Frame(length + 4)
    frame.set(bytes)
    insertTag(frame, tag)
    this.#inbox.arrived(frame.length, frame.toBytes())
  }

  save(): Saved {
    return {
      rings: [this.rxRing, this.#rxBuffers, this.txRing, this.#txBuffers],
      next: [this.#rxNext, this.#txNext, this.#txClean],
    }
  }
}
