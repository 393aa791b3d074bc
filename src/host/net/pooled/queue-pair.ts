/** The receive and the transmit queue of a pool that the host serves. */
import { NorthbridgeError } from '../../../core/index.ts'
import { DESCRIPTOR_TYPE, ESWITCH_PORT } from '../../../devices/formats/nic/descriptors.ts'
import { inField, type NicRegister } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import type { Frame } from '../../../net/formats/index.ts'
import type { DeviceAccess } from '../../device-access.ts'
import type { AdapterPool } from '../adapter.ts'
import {
  BUFFER_SIZE,
  ReceiveRing,
  type SavedReceiveRing,
  type SavedTransmitRing,
  TransmitRing,
} from '../rings.ts'
import type { PooledPort, ReceiveQueue, TransmitQueue } from './port.ts'

const DEFAULT_ENTRIES = 64
/** Number of a pool that there is not. */
const CLOSED = -1
const TWO_32 = 2 ** 32
/** Looks at an enable bit before it is given up, and nanoseconds between them. */
const POLL = { times: 10, interval: 1_000_000 } as const

export type SavedQueuePair = {
  readonly pool: number
  readonly filter: { readonly mac: Uint8Array; readonly vlan: number } | null
  /** Sent, received, refused, interrupts. */
  readonly counters: readonly [number, number, number, number]
  readonly receive: SavedReceiveRing
  readonly transmit: SavedTransmitRing
}

export class QueuePair implements AdapterPool {
  receiver: ((frame: Frame) => void) | undefined = undefined
  /** Hears of frames of a virtual function that the host is to switch. */
  functionReceiver: ((vf: number, frame: Frame) => void) | undefined = undefined
  /** Of a virtual machine: what is sorted into the pool. */
  filter: { readonly mac: Uint8Array; readonly vlan: number } | undefined = undefined
  sent = 0
  received = 0
  refused = 0
  interrupts = 0
  #pool: number
  #rx: ReceiveQueue
  #tx: TransmitQueue
  readonly #port: PooledPort
  readonly #receive: ReceiveRing
  readonly #transmit: TransmitRing

  private constructor(port: PooledPort, pool: number, receive: ReceiveRing, transmit: TransmitRing) {
    this.#port = port
    this.#pool = pool
    this.#rx = port.receiveQueue(pool)
    this.#tx = port.transmitQueue(pool)
    this.#receive = receive
    this.#transmit = transmit
  }

  /** Throws `outOfMemory`, `outOfResources`, having kept nothing. */
  static *make(
    access: DeviceAccess,
    port: PooledPort,
    pool: number,
    entries = DEFAULT_ENTRIES,
  ): Software<QueuePair> {
    const receive = yield* ReceiveRing.make(access, entries)
    try {
      return new QueuePair(port, pool, receive, yield* TransmitRing.make(access, entries))
    } catch (error) {
      yield* receive.free()
      throw error
    }
  }

  /** Queues that the adapter is serving. */
  static restore(access: DeviceAccess, port: PooledPort, saved: SavedQueuePair): QueuePair {
    const { pool, filter } = saved
    const receive = ReceiveRing.restore(access, saved.receive)
    const pair = new QueuePair(port, pool, receive, TransmitRing.restore(access, saved.transmit))
    if (filter !== null) pair.filter = { mac: filter.mac.slice(), vlan: filter.vlan }
    ;[pair.sent, pair.received, pair.refused, pair.interrupts] = saved.counters
    return pair
  }

  get pool(): number {
    return this.#pool
  }

  get vlan(): number {
    return this.filter?.vlan ?? 0
  }

  /** The queues are those of another pool from now on; they have to be started there. */
  moveTo(pool: number): void {
    this.#pool = pool
    this.#rx = this.#port.receiveQueue(pool)
    this.#tx = this.#port.transmitQueue(pool)
  }

  /** Throws `unsupported` if the hardware does not enable a queue. */
  *start(): Software {
    const { registers } = this.#port
    const { index, RDBAL, RDBAH, RDLEN, RDH, RDT, SRRCTL, RXDCTL, control } = this.#rx
    const receive = this.#receive
    registers.write(RXDCTL, 0, index)
    registers.write(RDBAL, receive.address % TWO_32, index)
    registers.write(RDBAH, Math.floor(receive.address / TWO_32), index)
    registers.write(RDLEN, receive.size, index)
    registers.write(RDH, 0, index)
    registers.write(RDT, 0, index)
    const { BSIZEPACKET, DESCTYPE, DROP_EN } = SRRCTL.bits
    const layout = inField(BSIZEPACKET, BUFFER_SIZE / 1024) | inField(DESCTYPE, DESCRIPTOR_TYPE.oneBuffer)
    // A pool without descriptors must not hold up the others.
    registers.write(SRRCTL, layout | DROP_EN, index)
    yield* this.#enable(RXDCTL, control, index)
    registers.write(RDT, receive.fill(), index)
    yield* this.#startTransmit()
  }

  *#startTransmit(): Software {
    const { registers } = this.#port
    const { index, TDBAL, TDBAH, TDLEN, TDH, TDT, TXDCTL, control } = this.#tx
    const transmit = this.#transmit
    transmit.restart()
    registers.write(TXDCTL, 0, index)
    registers.write(TDLEN, transmit.size, index)
    registers.write(TDBAL, transmit.address % TWO_32, index)
    registers.write(TDBAH, Math.floor(transmit.address / TWO_32), index)
    registers.write(TDH, 0, index)
    registers.write(TDT, 0, index)
    yield* this.#enable(TXDCTL, control, index)
  }

  *#enable(register: NicRegister<'ENABLE'>, control: number, index: number): Software {
    const { registers, driver } = this.#port
    const { ENABLE } = register.bits
    registers.write(register, control, index)
    if (!(yield* registers.poll(register, ENABLE, ENABLE, { ...POLL, index }))) {
      throw new NorthbridgeError(
        'unsupported',
        `${driver}: ${register.name}(${index}) does not become enabled`,
      )
    }
  }

  stop(): void {
    const { registers } = this.#port
    registers.clear(this.#rx.RXDCTL, this.#rx.RXDCTL.bits.ENABLE, this.#rx.index)
    registers.clear(this.#tx.TXDCTL, this.#tx.TXDCTL.bits.ENABLE, this.#tx.index)
  }

  *free(): Software {
    this.#pool = CLOSED
    yield* this.#receive.free()
    yield* this.#transmit.free()
  }

  readonly #each = (frame: Frame, source: number): void => {
    this.received++
    const { none, wire, firstFunction } = ESWITCH_PORT
    if (source === none || source === wire) this.receiver?.(frame)
    else this.functionReceiver?.(source - firstFunction, frame)
  }

  /** Takes out what has arrived and gives the buffers back; takes back what was sent. */
  poll(): void {
    this.#transmit.reclaim()
    // Its port VLAN is what a virtual machine must not see.
    const tagged = (this.filter?.vlan ?? 0) === 0
    const tail = this.#receive.poll(this.#each, tagged)
    if (tail >= 0) this.#port.registers.write(this.#rx.RDT, tail, this.#rx.index)
  }

  /** @param destination `ESWITCH_PORT` */
  send(frame: Frame, destination: number = ESWITCH_PORT.none): boolean {
    const tail = this.#pool === CLOSED ? -1 : this.#transmit.put(frame, destination)
    if (tail < 0) {
      this.refused++
      return false
    }
    this.sent++
    this.#port.registers.write(this.#tx.TDT, tail, this.#tx.index)
    return true
  }

  save(): SavedQueuePair {
    const { filter } = this
    return {
      pool: this.#pool,
      filter: filter === undefined ? null : { mac: filter.mac.slice(), vlan: filter.vlan },
      counters: [this.sent, this.received, this.refused, this.interrupts],
      receive: this.#receive.save(),
      transmit: this.#transmit.save(),
    }
  }
}
