/** The guest's driver for the emulated 82540EM, in the order in which Linux's e1000 touches it. */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import {
  E1000,
  E1000_CTRL,
  E1000_DESCRIPTOR,
  E1000_EERD,
  E1000_ID,
  E1000_INTERRUPT,
  E1000_RAH,
  E1000_RCTL,
  E1000_RX,
  E1000_TCTL,
  E1000_TX,
  MULTICAST_WORDS,
} from '../../hypervisor/formats/e1000.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { SavedRings } from './advanced-rings.ts'
import { FrameInbox, type NetworkCounters, type NetworkDriver, type SavedInbox } from './network-driver.ts'

const DEFAULT_ENTRIES = 32
const BUFFER = 2048
const { size: DESCRIPTOR } = E1000_DESCRIPTOR
const MAC_WORDS = 3
const { TXDW, LSC, RXDMT0, RXO, RXT0 } = E1000_INTERRUPT
const WANTED = TXDW | LSC | RXDMT0 | RXO | RXT0
const ALL = 0xffff_ffff
/** One descriptor for a frame, which is reported. */
const WHOLE_FRAME = (E1000_TX.EOP | E1000_TX.IFCS | E1000_TX.RS) << 24

type SavedDriver = SavedRings & {
  readonly version: 1
  readonly mac: Uint8Array
  readonly keepsFrames: boolean
  readonly inbox: SavedInbox
}

class E1000Driver implements NetworkDriver {
  readonly name = 'e1000'
  readonly kind = 'network'
  readonly mac = new Uint8Array(2 * MAC_WORDS)
  keepsFrames = true
  readonly #access: GuestAccess
  readonly #base: number
  readonly #entries: number
  readonly #inbox = new FrameInbox()
  #rxRing = 0
  #rxBuffers = 0
  #txRing = 0
  #txBuffers = 0
  /** Next descriptor to look at, to fill, and to take back. */
  #rxNext = 0
  #txNext = 0
  #txClean = 0
  /** The last descriptor did not end its frame. */
  #inside = false

  constructor({ device, access }: DriverContext, { ringEntries = DEFAULT_ENTRIES }: DriverOptions) {
    this.#access = access
    this.#base = device.bars[0]?.base ?? 0
    this.#entries = ringEntries
  }

  get counters(): NetworkCounters {
    return this.#inbox.counters
  }

  /** Probe and open. */
  *start(context: DriverContext): Software {
    yield* this.#set(E1000.IMC, ALL)
    yield* this.#set(E1000.CTRL, E1000_CTRL.RST)
    yield* this.#get(E1000.ICR)
    for (let word = 0; word < MAC_WORDS; word++) {
      const value = yield* this.#readEeprom(word)
      this.mac[2 * word] = value & 0xff
      this.mac[2 * word + 1] = value >>> 8
    }
    yield* this.#set(E1000.CTRL, E1000_CTRL.FD | E1000_CTRL.SLU)
    yield* this.#programAddress()
    yield* this.#startTransmit(context)
    yield* this.#startReceive(context)
    yield* this.#set(E1000.IMS, WANTED)
  }

  *#readEeprom(word: number): Software<number> {
    yield* this.#set(E1000.EERD, (word << E1000_EERD.ADDRESS_SHIFT) | E1000_EERD.START)
    return (yield* this.#get(E1000.EERD)) >>> E1000_EERD.DATA_SHIFT
  }

  *#programAddress(): Software {
    const view = new DataView(this.mac.buffer)
    yield* this.#set(E1000.RAL, view.getUint32(0, true))
    yield* this.#set(E1000.RAH, E1000_RAH.AV | view.getUint16(4, true))
    for (let i = 0; i < MULTICAST_WORDS; i++) yield* this.#set(E1000.MTA + 4 * i, 0)
  }

  *#startTransmit(context: DriverContext): Software {
    this.#txRing = yield* context.allocate(this.#entries * DESCRIPTOR)
    this.#txBuffers = yield* context.allocate(this.#entries * BUFFER)
    yield* this.#set(E1000.TDLEN, this.#entries * DESCRIPTOR)
    yield* this.#set(E1000.TDBAH, 0)
    yield* this.#set(E1000.TDBAL, this.#txRing)
    yield* this.#set(E1000.TDT, 0)
    yield* this.#set(E1000.TDH, 0)
    yield* this.#set(E1000.TCTL, E1000_TCTL.EN | E1000_TCTL.PSP)
  }

  *#startReceive(context: DriverContext): Software {
    this.#rxRing = yield* context.allocate(this.#entries * DESCRIPTOR)
    this.#rxBuffers = yield* context.allocate(this.#entries * BUFFER)
    for (let i = 0; i < this.#entries; i++) yield* this.#post(i)
    yield* this.#set(E1000.RDLEN, this.#entries * DESCRIPTOR)
    yield* this.#set(E1000.RDBAH, 0)
    yield* this.#set(E1000.RDBAL, this.#rxRing)
    yield* this.#set(E1000.RDH, 0)
    yield* this.#set(E1000.RDT, this.#entries - 1)
    yield* this.#set(E1000.RCTL, E1000_RCTL.EN | E1000_RCTL.BAM | E1000_RCTL.SECRC)
  }

  /** An empty buffer in a descriptor of the receive ring. */
  *#post(index: number): Software {
    const at = this.#rxRing + index * DESCRIPTOR
    yield* this.#access.write64(at, this.#rxBuffers + index * BUFFER, 0)
    yield* this.#access.write64(at + E1000_DESCRIPTOR.length, 0, 0)
  }

  *send(frame: Uint8Array): Software<boolean> {
    yield* this.#clean()
    const index = this.#txNext
    if ((index + 1) % this.#entries === this.#txClean || frame.length > BUFFER) {
      this.#inbox.refused++
      return false
    }
    yield* this.#access.writeBytes(this.#txBuffers + index * BUFFER, frame)
    yield* this.#describe(index, frame.length)
    yield* this.#set(E1000.TDT, this.#txNext)
    return true
  }

  /** Describes a filled buffer; false if something comes in between: {@link #describe} has to follow. */
  #describeNow(index: number, length: number): boolean {
    const at = this.#txRing + index * DESCRIPTOR
    const done =
      this.#access.poke64(at, this.#txBuffers + index * BUFFER, 0) &&
      this.#access.poke64(at + E1000_DESCRIPTOR.length, WHOLE_FRAME | length, 0)
    if (done) this.#described(index)
    return done
  }

  *#describe(index: number, length: number): Software {
    const at = this.#txRing + index * DESCRIPTOR
    yield* this.#access.write64(at, this.#txBuffers + index * BUFFER, 0)
    yield* this.#access.write64(at + E1000_DESCRIPTOR.length, WHOLE_FRAME | length, 0)
    this.#described(index)
  }

  #described(index: number): void {
    this.#txNext = (index + 1) % this.#entries
    this.#inbox.sent++
  }

  *resend(count: number): Software<number> {
    yield* this.#clean()
    let done = 0
    for (; done < count && (this.#txNext + 1) % this.#entries !== this.#txClean; done++) {
      const at = this.#txRing + this.#txNext * DESCRIPTOR + E1000_DESCRIPTOR.length
      let length = this.#access.peek16(at)
      if (length < 0) length = yield* this.#access.read16(at)
      if (!this.#describeNow(this.#txNext, length)) yield* this.#describe(this.#txNext, length)
    }
    yield* this.#set(E1000.TDT, this.#txNext)
    return done
  }

  /** Takes back what was sent. */
  *#clean(): Software {
    while (this.#txClean !== this.#txNext) {
      const index = this.#txClean
      const at = this.#txRing + index * DESCRIPTOR + E1000_TX.status
      let status = this.#access.peek8(at)
      if (status < 0) status = yield* this.#access.read8(at)
      if ((status & E1000_TX.DD) === 0) return
      // Not one more than it is now: the handler may have been here meanwhile.
      this.#txClean = (index + 1) % this.#entries
    }
  }

  *interrupt(): Software {
    this.#inbox.interrupts++
    const causes = yield* this.#get(E1000.ICR)
    if (causes === 0) return
    yield* this.#set(E1000.IMC, ALL)
    yield* this.#clean()
    yield* this.#poll()
    yield* this.#set(E1000.IMS, WANTED)
  }

  /** Takes frames out of the receive ring and gives their buffers back. */
  *#poll(): Software {
    const first = this.#rxNext
    for (let taken = 0; taken < this.#entries; taken++) {
      const index = this.#rxNext
      const at = this.#rxRing + index * DESCRIPTOR
      let status = this.#access.peek8(at + E1000_RX.status)
      if (status < 0) status = yield* this.#access.read8(at + E1000_RX.status)
      if ((status & E1000_RX.DD) === 0) break
      let length = this.#access.peek16(at + E1000_DESCRIPTOR.length)
      if (length < 0) length = yield* this.#access.read16(at + E1000_DESCRIPTOR.length)
      length = Math.min(length, BUFFER)
      const buffer = this.#rxBuffers + index * BUFFER
      const whole = (status & E1000_RX.EOP) !== 0
      // A frame of several buffers is not for a driver with the standard frame size: all of it is passed over.
      if (whole && !this.#inside) {
        this.#inbox.arrived(
          length,
          this.keepsFrames ? yield* this.#access.readBytes(buffer, length) : undefined,
        )
      }
      this.#inside = !whole
      if (!this.#access.poke64(at, buffer, 0)) yield* this.#access.write64(at, buffer, 0)
      if (!this.#access.poke64(at + E1000_DESCRIPTOR.length, 0, 0))
        yield* this.#access.write64(at + E1000_DESCRIPTOR.length, 0, 0)
      this.#rxNext = (index + 1) % this.#entries
    }
    if (this.#rxNext !== first)
      yield* this.#set(E1000.RDT, (this.#rxNext + this.#entries - 1) % this.#entries)
  }

  takeFrames(): readonly Uint8Array[] {
    return this.#inbox.take()
  }

  *stop(): Software {
    yield* this.#set(E1000.IMC, ALL)
    yield* this.#set(E1000.RCTL, 0)
    yield* this.#set(E1000.TCTL, 0)
  }

  #get(offset: number): Software<number> {
    return this.#access.read32(this.#base + offset)
  }

  #set(offset: number, value: number): Software {
    return this.#access.write32(this.#base + offset, value)
  }

  save(): SavedDriver {
    return {
      version: 1,
      entries: this.#entries,
      mac: this.mac.slice(),
      keepsFrames: this.keepsFrames,
      rings: [this.#rxRing, this.#rxBuffers, this.#txRing, this.#txBuffers],
      next: [this.#rxNext, this.#txNext, this.#txClean],
      inside: this.#inside,
      inbox: this.#inbox.save(),
    }
  }

  static restore(context: DriverContext, saved: Saved): E1000Driver {
    const state = opened<SavedDriver>(saved, 'the e1000 driver of a guest', 1)
    const driver = new E1000Driver(context, { ringEntries: state.entries })
    driver.mac.set(state.mac)
    driver.keepsFrames = state.keepsFrames
    ;[driver.#rxRing, driver.#rxBuffers, driver.#txRing, driver.#txBuffers] = state.rings
    ;[driver.#rxNext, driver.#txNext, driver.#txClean] = state.next
    driver.#inside = state.inside
    driver.#inbox.load(state.inbox)
    return driver
  }
}

export const e1000: DriverEntry = {
  name: 'e1000',
  ids: [[E1000_ID.vendorId, E1000_ID.deviceId]],
  *start(context, options) {
    const driver = new E1000Driver(context, options)
    yield* driver.start(context)
    return driver
  },
  restore: E1000Driver.restore,
}
