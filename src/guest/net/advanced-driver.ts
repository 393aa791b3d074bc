/** What the drivers of the 82576, of the 82599 and of their virtual functions have in common: one pair of queues. */
import { NorthbridgeError } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverOptions } from '../driver.ts'
import type { GuestAccess } from '../guest-access.ts'
import { AdvancedRings, DEFAULT_ENTRIES, type SavedRings } from './advanced-rings.ts'
import { FrameInbox, type NetworkCounters, type NetworkDriver, type SavedInbox } from './network-driver.ts'

/** Offsets of a queue's registers from its first, alike in both chips and both directions. */
const QUEUE = {
  address: 0x00,
  addressUpper: 0x04,
  length: 0x08,
  head: 0x10,
  tail: 0x18,
  control: 0x28,
} as const
/** `RXDCTL.ENABLE`, `TXDCTL.ENABLE` of both chips. */
const ENABLE = 1 << 25
const LOOKS = 200

/** Where a pair of queues has its registers, and what is written there. */
export interface QueuePair {
  /** Offsets of RDBAL, TDBAL and SRRCTL. */
  readonly receive: number
  readonly transmit: number
  readonly buffers: number
  /** Value of SRRCTL. */
  readonly layout: number
  /** Bits of RXDCTL beside ENABLE. */
  readonly receiveControl: number
}

/** A register, or its offset. */
type Register = number | { readonly offset: number }

export type SavedAdvancedDriver = {
  readonly version: 1
  readonly mac: Uint8Array
  readonly keepsFrames: boolean
  readonly rings: SavedRings
  readonly inbox: SavedInbox
}

export abstract class AdvancedDriver implements NetworkDriver {
  abstract readonly name: string
  readonly kind = 'network'
  readonly mac = new Uint8Array(6)
  keepsFrames = true
  protected readonly inbox = new FrameInbox()
  protected readonly rings: AdvancedRings
  protected readonly access: GuestAccess
  /** Guest-physical address of the registers. */
  protected readonly base: number
  readonly #pair: QueuePair

  constructor(
    { device, access }: DriverContext,
    { ringEntries = DEFAULT_ENTRIES }: DriverOptions,
    pair: QueuePair,
  ) {
    this.access = access
    this.base = device.bars[0]?.base ?? 0
    this.rings = new AdvancedRings(access, ringEntries, this.inbox)
    this.#pair = pair
  }

  get counters(): NetworkCounters {
    return this.inbox.counters
  }

  /** Probe and open. Throws `unsupported` if the function is not what the driver expects. */
  abstract start(context: DriverContext, options: DriverOptions): Software
  abstract interrupt(index: number): Software
  abstract stop(): Software

  /** Each queue disabled, told of its ring, enabled; the transmitter first. */
  protected *startQueues(context: DriverContext): Software {
    const { rings } = this
    const { receive, transmit, buffers, layout, receiveControl } = this.#pair
    yield* rings.allocate(context)
    yield* this.#place(transmit, rings.txRing)
    yield* this.#enable(transmit, ENABLE)
    yield* this.#place(receive, rings.rxRing)
    yield* this.set(buffers, layout)
    yield* this.#enable(receive, ENABLE | receiveControl)
    yield* this.set(receive + QUEUE.tail, yield* rings.fill())
  }

  *#place(queue: number, ring: number): Software {
    yield* this.set(queue + QUEUE.control, 0)
    yield* this.set(queue + QUEUE.address, ring)
    yield* this.set(queue + QUEUE.addressUpper, 0)
    yield* this.set(queue + QUEUE.length, this.rings.size)
    yield* this.set(queue + QUEUE.head, 0)
    yield* this.set(queue + QUEUE.tail, 0)
  }

  *#enable(queue: number, control: number): Software {
    const at = queue + QUEUE.control
    yield* this.set(at, control)
    if (!(yield* this.until(at, ENABLE, ENABLE))) {
      throw this.unsupported(`the queue at 0x${queue.toString(16)} does not become enabled`)
    }
  }

  protected *stopQueues(): Software {
    yield* this.set(this.#pair.receive + QUEUE.control, 0)
    yield* this.set(this.#pair.transmit + QUEUE.control, 0)
  }

  *send(frame: Uint8Array): Software<boolean> {
    const tail = yield* this.rings.put(frame)
    if (tail < 0) return false
    yield* this.set(this.#pair.transmit + QUEUE.tail, tail)
    return true
  }

  *resend(count: number): Software<number> {
    const done = yield* this.rings.putAgain(count)
    yield* this.set(this.#pair.transmit + QUEUE.tail, this.rings.txTail)
    return done
  }

  /** Takes received frames, and gives their buffers back. `vlans` as {@link AdvancedRings.poll} wants them. */
  protected *receive(vlans: ReadonlySet<number>): Software {
    const tail = yield* this.rings.poll(this.keepsFrames, vlans)
    if (tail >= 0) yield* this.set(this.#pair.receive + QUEUE.tail, tail)
  }

  takeFrames(): readonly Uint8Array[] {
    return this.inbox.take()
  }

  protected get(register: Register): Software<number> {
    return this.access.read32(this.base + offsetOf(register))
  }

  protected set(register: Register, value: number): Software {
    return this.access.write32(this.base + offsetOf(register), value)
  }

  /** Sets bits of a register. */
  protected *setBits(register: Register, bits: number): Software {
    yield* this.set(register, (yield* this.get(register)) | bits)
  }

  /** Looks at a register until its bits under a mask have a value; false if they do not come to it. */
  protected *until(register: Register, mask: number, value: number): Software<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      if (((yield* this.get(register)) & mask) === value) return true
      yield
    }
    return false
  }

  protected unsupported(why: string): NorthbridgeError {
    return new NorthbridgeError('unsupported', `${this.name}: ${why}`)
  }

  save(): SavedAdvancedDriver {
    return {
      version: 1,
      mac: this.mac.slice(),
      keepsFrames: this.keepsFrames,
      rings: this.rings.save(),
      inbox: this.inbox.save(),
    }
  }

  /** Takes over what {@link save} returned; the constructor was given its ring entries. */
  load({ mac, keepsFrames, rings, inbox }: SavedAdvancedDriver): void {
    this.mac.set(mac)
    this.keepsFrames = keepsFrames
    this.rings.load(rings)
    this.inbox.load(inbox)
  }
}

const offsetOf = (register: Register): number => (typeof register === 'number' ? register : register.offset)
