/** The receive and the transmit queue of a pool that the host serves. Queue numbers are the pool's. */
import { NorthbridgeError, type Saved } from '../../../core/index.ts'
import { DESCRIPTOR_TYPE } from '../../../devices/formats/nic/descriptors.ts'
import {
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RXDCTL,
  SRRCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TXDCTL,
} from '../../../devices/formats/nic/i82576-registers.ts'
import { inField } from '../../../devices/formats/nic/register.ts'
import type { Software } from '../../../engine/index.ts'
import type { Frame } from '../../../net/formats/index.ts'
import type { DeviceAccess } from '../../device-access.ts'
import type { AdapterPool } from '../adapter.ts'
import { BUFFER_SIZE, ReceiveRing, TransmitRing } from '../rings.ts'
import type { IgbRegisters } from './registers.ts'

const DEFAULT_ENTRIES = 64
const TWO_32 = 2 ** 32
/** Looks at an enable bit before it is given up, and nanoseconds between them. */
const POLL = { times: 10, interval: 1_000_000 } as const
const PREFETCH = 8
const WRITE_BACK = 4

export class IgbQueuePair implements AdapterPool {
  receiver: ((frame: Frame) => void) | undefined = undefined
  /** Of a virtual machine: what is sorted into the pool. */
  filter: { readonly mac: Uint8Array; readonly vlan: number } | undefined = undefined
  sent = 0
  received = 0
  refused = 0
  interrupts = 0
  #pool = -1
  readonly #registers: IgbRegisters
  readonly #receive: ReceiveRing
  readonly #transmit: TransmitRing

  private constructor(registers: IgbRegisters, receive: ReceiveRing, transmit: TransmitRing) {
    this.#registers = registers
    this.#receive = receive
    this.#transmit = transmit
  }

  /** Throws `outOfMemory`, `outOfResources`, having kept nothing. */
  static *make(
    access: DeviceAccess,
    registers: IgbRegisters,
    entries = DEFAULT_ENTRIES,
  ): Software<IgbQueuePair> {
    const receive = yield* ReceiveRing.make(access, entries)
    try {
      return new IgbQueuePair(registers, receive, yield* TransmitRing.make(access, entries))
    } catch (error) {
      yield* receive.free()
      throw error
    }
  }

  get pool(): number {
    return this.#pool
  }

  /** Throws `unsupported` if the hardware does not enable a queue. */
  *start(pool: number): Software {
    this.#pool = pool
    const registers = this.#registers
    const receive = this.#receive
    registers.write(RXDCTL, 0, pool)
    registers.write(RDBAL, receive.address % TWO_32, pool)
    registers.write(RDBAH, Math.floor(receive.address / TWO_32), pool)
    registers.write(RDLEN, receive.size, pool)
    registers.write(RDH, 0, pool)
    registers.write(RDT, 0, pool)
    const { BSIZEPACKET, DESCTYPE, DROP_EN } = SRRCTL.bits
    const layout = inField(BSIZEPACKET, BUFFER_SIZE / 1024) | inField(DESCTYPE, DESCRIPTOR_TYPE.oneBuffer)
    // A pool without descriptors must not hold up the others.
    registers.write(SRRCTL, layout | DROP_EN, pool)
    yield* this.#enable(RXDCTL, pool)
    registers.write(RDT, receive.fill(), pool)
    yield* this.#startTransmit(pool)
  }

  *#startTransmit(pool: number): Software {
    const registers = this.#registers
    const transmit = this.#transmit
    transmit.restart()
    registers.write(TXDCTL, 0, pool)
    registers.write(TDLEN, transmit.size, pool)
    registers.write(TDBAL, transmit.address % TWO_32, pool)
    registers.write(TDBAH, Math.floor(transmit.address / TWO_32), pool)
    registers.write(TDH, 0, pool)
    registers.write(TDT, 0, pool)
    yield* this.#enable(TXDCTL, pool)
  }

  *#enable(register: typeof RXDCTL | typeof TXDCTL, queue: number): Software {
    const { ENABLE, PTHRESH, HTHRESH, WTHRESH } = register.bits
    const thresholds = inField(PTHRESH, PREFETCH) | inField(HTHRESH, PREFETCH) | inField(WTHRESH, WRITE_BACK)
    this.#registers.write(register, ENABLE | thresholds, queue)
    if (!(yield* this.#registers.poll(register, ENABLE, ENABLE, { ...POLL, index: queue }))) {
      throw new NorthbridgeError('unsupported', `igb: ${register.name}(${queue}) does not become enabled`)
    }
  }

  stop(): void {
    this.#registers.clear(RXDCTL, RXDCTL.bits.ENABLE, this.#pool)
    this.#registers.clear(TXDCTL, TXDCTL.bits.ENABLE, this.#pool)
  }

  *free(): Software {
    yield* this.#receive.free()
    yield* this.#transmit.free()
  }

  /** Takes out what has arrived and gives the buffers back; takes back what was sent. */
  poll(each: (frame: Frame) => void): void {
    this.interrupts++
    this.#transmit.reclaim()
    const tail = this.#receive.poll(frame => {
      this.received++
      each(frame)
    })
    if (tail >= 0) this.#registers.write(RDT, tail, this.#pool)
  }

  send(frame: Frame): boolean {
    const tail = this.#transmit.put(frame)
    if (tail < 0) {
      this.refused++
      return false
    }
    this.sent++
    this.#registers.write(TDT, tail, this.#pool)
    return true
  }

  save(): Saved {
    const { filter, sent, received, refused, interrupts } = this
    return {
      pool: this.#pool,
      filter: filter === undefined ? null : { mac: filter.mac, vlan: filter.vlan },
      counters: { sent, received, refused, interrupts },
      receive: this.#receive.save(),
      transmit: this.#transmit.save(),
    }
  }
}
