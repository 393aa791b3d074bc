/** The guest's driver of a virtio network device: VIRTIO 1.2, §5.1. */
import { NorthbridgeError, opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { VIRTIO_TYPE, VIRTIO_VENDOR, virtioDeviceId } from '../../hypervisor/formats/virtio.ts'
import { NET_CONFIG, NET_FEATURE, NET_HEADER, NET_QUEUE } from '../../hypervisor/formats/virtio-net.ts'
import type { DriverContext, DriverEntry } from '../driver.ts'
import type { DriverRing } from '../virtio/ring.ts'
import { type VirtioOptions, VirtioTransport } from '../virtio/transport.ts'
import { FrameInbox, type NetworkCounters, type NetworkDriver, type SavedInbox } from './network-driver.ts'

const BUFFER = 2048
/** Longest frame that fits into a buffer behind its header. */
const LONGEST = BUFFER - NET_HEADER.size

type SavedDriver = {
  readonly version: 1
  readonly mac: Uint8Array
  readonly keepsFrames: boolean
  readonly transport: Saved
  readonly buffers: readonly [receive: number, transmit: number]
  /** Pairs of a ring's id and the number of its buffer, in the order in which they were made available. */
  readonly receive: readonly (readonly [number, number])[]
  readonly transmit: readonly (readonly [number, number])[]
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
  readonly #rxBuffers: number
  readonly #txBuffers: number
  /** By id of the ring: number of its buffer. */
  readonly #rxOf = new Map<number, number>()
  readonly #txOf = new Map<number, number>()
  /** Buffers that hold nothing, and what the others hold. */
  #txFree: number[]
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
    this.#txFree = Array.from({ length: this.#transmit.size }, (_, i) => i)
    this.#txLengths = new Uint16Array(this.#transmit.size)
  }

  static *start(context: DriverContext, options: VirtioOptions): Software<VirtioNetDriver> {
    const { mac, status } = NET_FEATURE
    const transport = yield* VirtioTransport.start(context, [mac, status], 2, options)
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

  *#post(buffer: number): Software {
    const segment = { address: this.#rxBuffers + buffer * BUFFER, length: BUFFER, write: true }
    this.#rxOf.set(yield* this.#receive.add([segment]), buffer)
  }

  *send(frame: Uint8Array): Software<boolean> {
    yield* this.#reclaim()
    const buffer = this.#txFree[0]
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
    this.#txOf.set(yield* this.#transmit.add([{ address, length, write: false }]), buffer)
    this.#txFree = this.#txFree.filter(free => free !== buffer)
    this.#inbox.sent++
  }

  *resend(count: number): Software<number> {
    yield* this.#reclaim()
    let done = 0
    for (const buffer of [...this.#txFree]) {
      if (done === count || this.#txLengths[buffer] === 0) break
      yield* this.#queue(buffer)
      done++
    }
    yield* this.#transport.kick(NET_QUEUE.transmit)
    return done
  }

  *#reclaim(): Software {
    for (;;) {
      const used = yield* this.#transmit.reap()
      if (used === undefined) return
      const buffer = this.#txOf.get(used.id)
      this.#txOf.delete(used.id)
      // The buffer that was filled last is taken first again.
      if (buffer !== undefined) this.#txFree = [buffer, ...this.#txFree]
    }
  }

  *interrupt(index: number): Software {
    if (index !== NET_QUEUE.receive + 1) return
    this.#inbox.interrupts++
    let refilled = false
    for (let taken = 0; taken < this.#receive.size; taken++) {
      const used = yield* this.#receive.reap()
      if (used === undefined) break
      const buffer = this.#rxOf.get(used.id)
      if (buffer === undefined) continue
      this.#rxOf.delete(used.id)
      yield* this.#take(buffer, used.written - NET_HEADER.size)
      yield* this.#post(buffer)
      refilled = true
    }
    yield* this.#receive.interrupts(true)
    if (refilled) yield* this.#transport.kick(NET_QUEUE.receive)
  }

  *#take(buffer: number, length: number): Software {
    if (length <= 0 || length > LONGEST) return
    const at = this.#rxBuffers + buffer * BUFFER + NET_HEADER.size
    this.#inbox.arrived(
      length,
      this.keepsFrames ? yield* this.#context.access.readBytes(at, length) : undefined,
    )
  }

  takeFrames(): readonly Uint8Array[] {
    return this.#inbox.take()
  }

  *stop(): Software {
    yield* this.#transport.stop()
  }

  save(): SavedDriver {
    return {
      version: 1,
      mac: this.mac.slice(),
      keepsFrames: this.keepsFrames,
      transport: this.#transport.save(),
      buffers: [this.#rxBuffers, this.#txBuffers],
      receive: [...this.#rxOf],
      transmit: [...this.#txOf],
      free: [...this.#txFree],
      lengths: this.#txLengths.slice(),
      inbox: this.#inbox.save(),
    }
  }

  static restore(context: DriverContext, saved: Saved): VirtioNetDriver {
    const state = opened<SavedDriver>(saved, 'the virtio_net driver of a guest', 1)
    const transport = VirtioTransport.restore(context, state.transport)
    const driver = new VirtioNetDriver(context, transport, state.mac.slice(), ...state.buffers)
    driver.keepsFrames = state.keepsFrames
    for (const [id, buffer] of state.receive) driver.#rxOf.set(id, buffer)
    for (const [id, buffer] of state.transmit) driver.#txOf.set(id, buffer)
    driver.#txFree = [...state.free]
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
