/** The guest's driver of a virtio network device: VIRTIO 1.2, §5.1. */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { VIRTIO_TYPE, VIRTIO_VENDOR, virtioDeviceId } from '../../hypervisor/formats/virtio.ts'
import { NET_CONFIG, NET_FEATURE, NET_HEADER, NET_QUEUE } from '../../hypervisor/formats/virtio-net.ts'
import type { DriverContext, DriverEntry } from '../driver.ts'
import { type DriverRing, NOT_AT_ONCE, type UsedBuffer } from '../virtio/ring.ts'
import { type VirtioOptions, VirtioTransport } from '../virtio/transport.ts'
import { FrameInbox, type NetworkCounters, type NetworkDriver, type SavedInbox } from './network-driver.ts'

const BUFFER = 2048
/** Longest frame that fits into a buffer behind its header. */
const LONGEST = BUFFER - NET_HEADER.size

type SavedDriver = {
  readonly version: 2
  readonly mac: Uint8Array
  readonly keepsFrames: boolean
  readonly transport: Saved
  readonly buffers: readonly [receive: number, transmit: number]
  /** By id of the ring: number of the buffer and one more; 0 for an id that is free. */
  readonly receive: Uint16Array
  readonly transmit: Uint16Array
  readonly free: readonly number[]
  readonly lengths: Uint16Array
  readonly inbox: SavedInbox
}

class VirtioNetDriver implements NetworkDriver {
  readonly name = 'virtio_net'
  readonly kind = 'network'
  readonly mac: Uint8Array
  keepsFrames = true
  readonly #context: DriverContext
  readonly #transport: VirtioTransport
  readonly #inbox = new FrameInbox()
  /** What was taken from a ring last. */
  readonly #used: UsedBuffer = { id: 0, written: 0 }
  readonly #rxBuffers: number
  readonly #txBuffers: number
  /** By id of the ring: number of its buffer and one more; 0 for an id that is free. */
  readonly #rxOf: Uint16Array
  readonly #txOf: Uint16Array
  /** Buffers that are free, the one that was filled last on top, and the lengths of the frames in all. */
  readonly #txFree: number[]
  readonly #txLengths: Uint16Array

  private constructor(
    context: DriverContext,
    transport: VirtioTransport,
    mac: Uint8Array,
    rx: number,
    tx: number,
  ) {
    this.#context = context
    this.#transport = transport
    this.mac = mac
    this.#rxBuffers = rx
    this.#txBuffers = tx
    this.#rxOf = new Uint16Array(this.#receive.size)
    this.#txOf = new Uint16Array(this.#transmit.size)
    this.#txFree = Array.from({ length: this.#transmit.size }, (_, i) => this.#transmit.size - 1 - i)
    this.#txLengths = new Uint16Array(this.#transmit.size)
  }

  static *start(context: DriverContext, options: VirtioOptions): Software<VirtioNetDriver> {
    const { mac, status, standby } = NET_FEATURE
    const transport = yield* VirtioTransport.start(context, [mac, status, standby], 2, options)
    const words = new Uint32Array(2)
    words[0] = yield* transport.readConfiguration(NET_CONFIG.mac)
    words[1] = yield* transport.readConfiguration(NET_CONFIG.mac + 4)
    const [receive, transmit] = transport.rings
    if (receive === undefined || transmit === undefined) {
      throw new NorthbridgeError('unsupported', 'the virtio device has no queues')
    }
    const rx = yield* context.allocate(receive.size * BUFFER)
    const tx = yield* context.allocate(transmit.size * BUFFER)
    const address = new Uint8Array(words.buffer.slice(0, 6))
    const driver = new VirtioNetDriver(context, transport, address, rx, tx)
    for (let buffer = 0; buffer < receive.size; buffer++) yield* driver.#post(buffer)
    // Sent buffers are taken back when the next frame is sent: no interrupt is needed for them.
    yield* transmit.interrupts(false)
    yield* receive.interrupts(true)
    yield* transport.kick(NET_QUEUE.receive)
    return driver
  }

  get #receive(): DriverRing {
    return this.#transport.rings[NET_QUEUE.receive]!
  }

  get #transmit(): DriverRing {
    return this.#transport.rings[NET_QUEUE.transmit]!
  }

  get counters(): NetworkCounters {
    return this.#inbox.counters
  }

  get standby(): boolean {
    return this.#transport.hasFeature(NET_FEATURE.standby)
  }

  *#post(buffer: number): Software {
    const address = this.#rxBuffers + buffer * BUFFER
    this.#rxOf[yield* this.#receive.add([{ address, length: BUFFER, write: true }])] = buffer + 1
  }

  *send(frame: Uint8Array): Software<boolean> {
    yield* this.#reclaim()
    const buffer = this.#txFree.at(-1)
    if (buffer === undefined || frame.length > LONGEST) {
      this.#inbox.refused++
      return false
    }
    yield* this.#context.access.writeBytes(this.#txBuffers + buffer * BUFFER + NET_HEADER.size, frame)
    this.#txLengths[buffer] = frame.length
    yield* this.#queue(buffer)
    yield* this.#transport.kick(NET_QUEUE.transmit)
    return true
  }

  /** Makes a filled buffer available. */
  *#queue(buffer: number): Software {
    const address = this.#txBuffers + buffer * BUFFER
    const length = NET_HEADER.size + this.#txLengths[buffer]!
    let id = this.#transmit.addNow(address, length, false)
    if (id === NOT_AT_ONCE) id = yield* this.#transmit.add([{ address, length, write: false }])
    this.#txOf[id] = buffer + 1
    this.#txFree.splice(this.#txFree.lastIndexOf(buffer), 1)
    this.#inbox.sent++
  }

  *resend(count: number): Software<number> {
    yield* this.#reclaim()
    let done = 0
    for (;;) {
      const buffer = this.#txFree.at(-1)
      if (buffer === undefined || done === count || this.#txLengths[buffer] === 0) break
      yield* this.#queue(buffer)
      done++
    }
    yield* this.#transport.kick(NET_QUEUE.transmit)
    return done
  }

  *#reclaim(): Software {
    for (;;) {
      const ring = this.#transmit
      const now = ring.reapNow(this.#used)
      if (now === NOT_AT_ONCE ? !(yield* this.#reap(ring)) : now < 0) return
      const { id } = this.#used
      const buffer = this.#txOf[id]! - 1
      this.#txOf[id] = 0
      if (buffer >= 0) this.#txFree.push(buffer)
    }
  }

  /** Takes a buffer that came back into `#used`, where that is not done at once; false if there is none. */
  *#reap(ring: DriverRing): Software<boolean> {
    const used = yield* ring.reap()
    if (used !== undefined) Object.assign(this.#used, used)
    return used !== undefined
  }

  *interrupt(index: number): Software {
    if (index !== NET_QUEUE.receive + 1) return
    this.#inbox.interrupts++
    let refilled = false
    for (let taken = 0; taken < this.#receive.size; taken++) {
      const ring = this.#receive
      const now = ring.reapNow(this.#used)
      if (now === NOT_AT_ONCE ? !(yield* this.#reap(ring)) : now < 0) break
      const { id, written } = this.#used
      const buffer = this.#rxOf[id]! - 1
      if (buffer < 0) continue
      this.#rxOf[id] = 0
      const length = written - NET_HEADER.size
      if (this.keepsFrames) yield* this.#take(buffer, length)
      else if (length > 0 && length <= LONGEST) this.#inbox.arrived(length, undefined)
      const again = ring.addNow(this.#rxBuffers + buffer * BUFFER, BUFFER, true)
      if (again === NOT_AT_ONCE) yield* this.#post(buffer)
      else this.#rxOf[again] = buffer + 1
      refilled = true
    }
    yield* this.#receive.interrupts(true)
    if (refilled) yield* this.#transport.kick(NET_QUEUE.receive)
  }

  *#take(buffer: number, length: number): Software {
    if (length <= 0 || length > LONGEST) return
    const at = this.#rxBuffers + buffer * BUFFER + NET_HEADER.size
    this.#inbox.arrived(length, yield* this.#context.access.readBytes(at, length))
  }

  takeFrames(): readonly Uint8Array[] {
    return this.#inbox.take()
  }

  *stop(): Software {
    yield* this.#transport.stop()
  }

  save(): SavedDriver {
    return {
      version: 2,
      mac: this.mac.slice(),
      keepsFrames: this.keepsFrames,
      transport: this.#transport.save(),
      buffers: [this.#rxBuffers, this.#txBuffers],
      receive: this.#rxOf.slice(),
      transmit: this.#txOf.slice(),
      free: [...this.#txFree],
      lengths: this.#txLengths.slice(),
      inbox: this.#inbox.save(),
    }
  }

  static restore(context: DriverContext, saved: Saved): VirtioNetDriver {
    const state = opened<SavedDriver>(saved, 'the virtio_net driver of a guest', 2)
    const transport = VirtioTransport.restore(context, state.transport)
    const driver = new VirtioNetDriver(context, transport, state.mac.slice(), ...state.buffers)
    driver.keepsFrames = state.keepsFrames
    driver.#rxOf.set(state.receive)
    driver.#txOf.set(state.transmit)
    driver.#txFree.splice(0, Number.POSITIVE_INFINITY, ...state.free)
    driver.#txLengths.set(state.lengths)
    driver.#inbox.load(state.inbox)
    return driver
  }
}

export const virtioNet: DriverEntry = {
  name: 'virtio_net',
  ids: [[VIRTIO_VENDOR, virtioDeviceId(VIRTIO_TYPE.network)]],
  start: VirtioNetDriver.start,
  restore: VirtioNetDriver.restore,
}
