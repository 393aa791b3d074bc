/** Descriptor rings of the emulated adapter: "Receive Descriptor Queue Structure" and "Transmit Descriptor Ring". */
import { crc32 } from 'node:zlib'
import {
  checksumOf,
  FCS_SIZE,
  Frame,
  FrameHeaders,
  HEADER_SIZE,
  isBroadcast,
  isGroupAddress,
  SHORTEST_FRAME,
  sumBytes,
  write16,
} from '../../../net/formats/index.ts'
import type { DevicePort } from '../../emulated-device.ts'
import {
  E1000,
  E1000_DESCRIPTOR,
  E1000_INTERRUPT,
  E1000_RCTL,
  E1000_RX,
  E1000_TCTL,
  E1000_TX,
} from '../../formats/e1000.ts'
import { type DropCause, DropTally } from '../drop-tally.ts'
import type { FrameExit, FrameJournal } from '../network-device.ts'
import { accepts, vlanAccepted } from './receive-filter.ts'

const { size: DESCRIPTOR } = E1000_DESCRIPTOR
/** Longest frame without LPE: 1,518 bytes with FCS, 1,522 with a tag. */
const LONGEST = 1518
const TAG = 4
/** By RCTL.BSIZE, in bytes; BSEX multiplies all but the first by 16. */
const BUFFER_SIZES = [2048, 1024, 512, 256] as const
const EXTENDED_FACTOR = 16

export type SavedRings = {
  /** What has been gathered of a frame. */
  readonly sending: Uint8Array
  readonly checksum: readonly [start: number, offset: number]
  readonly problem: DropCause | null
  readonly drops: Float64Array
}

export interface RingEnvironment {
  readonly exit: FrameExit
  readonly journal: FrameJournal
  /** Sets interrupt causes. */
  readonly raise: (causes: number) => void
}

export class E1000Rings {
  port: DevicePort | undefined = undefined
  /** Frames that the guest handed over and that went nowhere. */
  readonly drops = new DropTally()
  readonly #words: Uint32Array
  readonly #environment: RingEnvironment
  readonly #descriptor = new Uint8Array(DESCRIPTOR)
  readonly #view = new DataView(this.#descriptor.buffer)
  readonly #headers = new FrameHeaders()
  /** The frame that descriptors make up until one says that it is the last. */
  readonly #sending = new Frame()
  readonly #short = new Frame(SHORTEST_FRAME)
  readonly #fcs = new Uint8Array(FCS_SIZE)
  readonly #fcsView = new DataView(this.#fcs.buffer)
  /** Where the frame being made wants a checksum: from its first descriptor. */
  #checksumStart = 0
  #checksumOffset = -1
  /** Why the frame being made will not leave. */
  #problem: DropCause | null = null

  constructor(words: Uint32Array, environment: RingEnvironment) {
    this.#words = words
    this.#environment = environment
  }

  reset(): void {
    this.#sending.length = 0
    this.#checksumOffset = -1
    this.#problem = null
  }

  #register(offset: number): number {
    return this.#words[offset >>> 2]!
  }

  #count(offset: number, by = 1): void {
    // "All counters stick at FFFFFFFFh."
    const at = offset >>> 2
    this.#words[at] = Math.min(0xffff_ffff, this.#words[at]! + by)
  }

  /** 64-bit octet counters. */
  #countOctets(offset: number, by: number): void {
    const low = this.#register(offset) + by
    this.#words[offset >>> 2] = low
    if (low > 0xffff_ffff) this.#words[(offset >>> 2) + 1]!++
  }

  /** A frame arrives. Returns why it was dropped, if it was. */
  receive(frame: Frame): DropCause | undefined {
    const control = this.#register(E1000.RCTL)
    if ((control & E1000_RCTL.EN) === 0) return 'receiverDisabled'
    const headers = this.#headers
    headers.parse(frame.bytes, frame.length)
    const { destinationLow, destinationHigh, tagged } = headers
    const length = frame.length + FCS_SIZE
    const tooLong = length > LONGEST + (tagged ? TAG : 0) && (control & E1000_RCTL.LPE) === 0
    const wanted = accepts(this.#words, destinationLow, destinationHigh)
    if (tooLong || !wanted || (tagged && !vlanAccepted(this.#words, headers.vlan))) return 'filtered'
    const cause = this.#store(frame, control)
    this.#count(E1000.TPR)
    if (cause === undefined) this.#received(destinationLow, destinationHigh, length)
    else if (cause === 'noReceiveBuffer') {
      this.#count(E1000.MPC)
      this.#environment.raise(E1000_INTERRUPT.RXO)
    }
    return cause
  }

  #received(low: number, high: number, length: number): void {
    this.#count(E1000.GPRC)
    this.#countOctets(E1000.GORCL, length)
    if (isBroadcast(low, high)) this.#count(E1000.BPRC)
    else if (isGroupAddress(low)) this.#count(E1000.MPRC)
    this.#environment.raise(E1000_INTERRUPT.RXT0)
  }

  /** Spreads a frame over as many buffers as it needs; none is used unless there are enough. */
  #store(frame: Frame, control: number): DropCause | undefined {
    const entries = this.#register(E1000.RDLEN) >>> 4
    const select = (control >>> E1000_RCTL.BSIZE_SHIFT) & 3
    const factor = control & E1000_RCTL.BSEX && select !== 0 ? EXTENDED_FACTOR : 1
    const room = BUFFER_SIZES[select]! * factor
    const keepsFcs = (control & E1000_RCTL.SECRC) === 0
    const total = Math.max(frame.length, SHORTEST_FRAME) + (keepsFcs ? FCS_SIZE : 0)
    let head = this.#register(E1000.RDH)
    const tail = this.#register(E1000.RDT)
    // A head beyond the ring belongs to no descriptor: the card waits for a driver that sets it right.
    if (entries === 0 || head >= entries || tail >= entries) return 'noReceiveBuffer'
    const free = (tail - head + entries) % entries
    if (free < Math.ceil(total / room)) return 'noReceiveBuffer'
    const whole = this.#padded(frame)
    if (keepsFcs) this.#fcsView.setUint32(0, crc32(whole.bytes.subarray(0, whole.length)), true)
    for (let done = 0; done < total; ) {
      const piece = Math.min(room, total - done)
      if (!this.#storePiece(head, whole, done, piece, done + piece === total)) return 'receiveFault'
      done += piece
      head = (head + 1) % entries
      this.#words[E1000.RDH >>> 2] = head
    }
    return undefined
  }

  /** The frame as the line carries it: no shorter than the minimum. */
  #padded(frame: Frame): Frame {
    if (frame.length >= SHORTEST_FRAME) return frame
    const padded = this.#short
    padded.bytes.fill(0)
    padded.bytes.set(frame.bytes.subarray(0, frame.length))
    padded.length = SHORTEST_FRAME
    return padded
  }

  /** One buffer. False if it lies outside of the guest's memory. */
  #storePiece(index: number, frame: Frame, from: number, length: number, last: boolean): boolean {
    const { port } = this
    const { journal } = this.#environment
    const at = this.#base(E1000.RDBAL) + index * DESCRIPTOR
    if (port === undefined || !port.read(at, this.#descriptor, 0, DESCRIPTOR)) return false
    const address = this.#address()
    const inBody = Math.max(0, Math.min(length, frame.length - from))
    if (inBody > 0 && !port.write(address, frame.bytes, from, inBody)) return false
    const fcsFrom = Math.max(0, from - frame.length)
    if (length > inBody && !port.write(address + inBody, this.#fcs, fcsFrom, length - inBody)) return false
    journal.copied(length)
    this.#view.setUint16(E1000_DESCRIPTOR.length, length, true)
    this.#view.setUint16(E1000_RX.checksum, 0, true)
    this.#descriptor[E1000_RX.status] = E1000_RX.DD | (last ? E1000_RX.EOP : 0)
    this.#descriptor[E1000_RX.errors] = 0
    this.#view.setUint16(E1000_RX.special, 0, true)
    if (journal.following)
      journal.note('e1000', 'copied', { to: 'guest', descriptor: index, address, length })
    return port.write(at, this.#descriptor, 0, DESCRIPTOR)
  }

  #base(offset: number): number {
    return this.#register(offset + 4) * 2 ** 32 + ((this.#register(offset) & ~15) >>> 0)
  }

  #address(): number {
    return this.#view.getUint32(4, true) * 2 ** 32 + this.#view.getUint32(0, true)
  }

  /** The tail moved: sends what lies before it. */
  transmit(): void {
    if ((this.#register(E1000.TCTL) & E1000_TCTL.EN) === 0) return
    const entries = this.#register(E1000.TDLEN) >>> 4
    let head = this.#register(E1000.TDH)
    const tail = this.#register(E1000.TDT)
    if (entries === 0 || head >= entries || tail >= entries) return
    let causes = 0
    while (head !== tail) {
      causes |= this.#send(head)
      head = (head + 1) % entries
      this.#words[E1000.TDH >>> 2] = head
    }
    if (causes !== 0) this.#environment.raise(causes)
  }

  /** Serves one descriptor; returns interrupt causes. One that cannot be read, or of another format, sends nothing. */
  #send(index: number): number {
    const { port } = this
    const { journal } = this.#environment
    const at = this.#base(E1000.TDBAL) + index * DESCRIPTOR
    if (port === undefined || !port.read(at, this.#descriptor, 0, DESCRIPTOR)) {
      this.drops.count('sendFault')
      return 0
    }
    const command = this.#descriptor[E1000_TX.command]!
    if ((command & E1000_TX.DEXT) === 0) this.#gather(index, command)
    if ((command & E1000_TX.EOP) !== 0) this.#finish()
    if ((command & E1000_TX.RS) === 0) return 0
    this.#descriptor[E1000_TX.status]! |= E1000_TX.DD
    port.write(at + E1000_TX.status, this.#descriptor, E1000_TX.status, 1)
    if (journal.following) journal.note('e1000', 'writtenBack', { ring: 'transmit', descriptor: index })
    return E1000_INTERRUPT.TXDW
  }

  #gather(index: number, command: number): void {
    const { journal } = this.#environment
    const frame = this.#sending
    const length = this.#view.getUint16(E1000_DESCRIPTOR.length, true)
    const address = this.#address()
    if (length === 0 || this.#problem !== null) return
    if (frame.length + length > frame.bytes.length) this.#problem = 'tooLong'
    else if (!this.port!.read(address, frame.bytes, frame.length, length)) this.#problem = 'sendFault'
    if (this.#problem !== null) return
    if (command & E1000_TX.IC) {
      this.#checksumStart = this.#descriptor[E1000_TX.checksumStart]!
      this.#checksumOffset = this.#descriptor[E1000_TX.checksumOffset]!
    }
    frame.length += length
    journal.copied(length)
    if (journal.following)
      journal.note('e1000', 'copied', { from: 'guest', descriptor: index, address, length })
  }

  /** The last descriptor of a frame was read: it leaves. */
  #finish(): void {
    const frame = this.#sending
    if (this.#problem === null && frame.length < HEADER_SIZE) this.#problem = 'tooShort'
    if (this.#problem === null) this.#leave(frame)
    else this.drops.count(this.#problem)
    this.reset()
  }

  #leave(frame: Frame): void {
    const start = this.#checksumStart
    const offset = this.#checksumOffset
    if (offset >= 0 && start < frame.length && offset + 2 <= frame.length) {
      write16(frame.bytes, offset, checksumOf(sumBytes(frame.bytes, start, frame.length)))
    }
    if (frame.length < SHORTEST_FRAME) frame.bytes.fill(0, frame.length, SHORTEST_FRAME)
    frame.length = Math.max(frame.length, SHORTEST_FRAME)
    frame.damaged = false
    this.#count(E1000.GPTC)
    this.#count(E1000.TPT)
    this.#countOctets(E1000.GOTCL, frame.length + FCS_SIZE)
    this.#environment.exit(frame)
  }

  save(): SavedRings {
    return {
      sending: this.#sending.toBytes(),
      checksum: [this.#checksumStart, this.#checksumOffset],
      problem: this.#problem,
      drops: this.drops.save(),
    }
  }

  load({ sending, checksum, problem, drops }: SavedRings): void {
    this.#problem = problem
    this.drops.load(drops)
    this.#sending.set(sending)
    ;[this.#checksumStart, this.#checksumOffset] = checksum
  }
}
