/** The guest's driver for a virtual function of the 82576, in the order in which Linux's igbvf touches it. */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import { DESCRIPTOR_TYPE } from '../../devices/formats/nic/descriptors.ts'
import { RXDCTL, SRRCTL, TXDCTL } from '../../devices/formats/nic/i82576-registers.ts'
import { I82576_VF, I82576_VF_RX, I82576_VF_TX } from '../../devices/formats/nic/i82576-vf.ts'
import { MESSAGE_FIELD, VF_MAILBOX, VF_MESSAGE } from '../../devices/formats/nic/mailbox-messages.ts'
import { inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import type { GuestAccess } from '../guest-access.ts'
import { AdvancedRings, BUFFER_SIZE, DEFAULT_ENTRIES } from './advanced-rings.ts'
import { FrameInbox, type NetworkCounters, type NetworkDriver } from './network-driver.ts'
import { VfMailbox } from './vf-mailbox.ts'

const RESET = 1 << 26
const STANDARD_FRAME = 1522
/** Messages of the function: transmit queue, receive queue, mailbox. */
const VECTOR = { transmit: 0, receive: 1, mailbox: 2 } as const
const ALL_VECTORS = 0b111
const VALID = 0x80
const LOOKS = 10

class IgbvfDriver implements NetworkDriver {
  readonly name = 'igbvf'
  readonly kind = 'network'
  readonly mac = new Uint8Array(6)
  keepsFrames = true
  readonly #access: GuestAccess
  readonly #base: number
  readonly #mailbox: VfMailbox
  readonly #rings: AdvancedRings
  readonly #inbox = new FrameInbox()
  readonly #vlans = new Set<number>()

  constructor({ device, access }: DriverContext, { ringEntries = DEFAULT_ENTRIES }: DriverOptions) {
    this.#access = access
    this.#base = device.bars[0]?.base ?? 0
    this.#mailbox = new VfMailbox(access, {
      register: this.#base + I82576_VF.V2PMAILBOX,
      buffer: this.#base + I82576_VF.VMBMEM,
    })
    this.#rings = new AdvancedRings(access, ringEntries, this.#inbox)
  }

  get counters(): NetworkCounters {
    return this.#inbox.counters
  }

  /** Probe and open. Throws `unsupported` if the physical function's driver does not answer. */
  *start(context: DriverContext, options: DriverOptions): Software {
    yield* this.#reset(options.mac)
    yield* this.#mailbox.request([VF_MESSAGE.setLongPackets, STANDARD_FRAME])
    yield* this.#rings.allocate(context)
    yield* this.#startTransmit()
    yield* this.#startReceive()
    yield* this.#routeInterrupts()
  }

  *#reset(wanted: Uint8Array | undefined): Software {
    yield* this.#set(I82576_VF.CTRL, RESET)
    if (!(yield* this.#mailbox.waitFor(VF_MAILBOX.RSTD))) throw silent()
    const answer = yield* this.#mailbox.ask([VF_MESSAGE.reset], 3)
    if (answer === undefined) throw silent()
    if (answer[0]! & MESSAGE_FIELD.ACK) {
      this.mac.set(new Uint8Array(answer.buffer, 4, 6))
      return
    }
    // The administrator has given it no address: it takes its own and says which.
    if (wanted === undefined) {
      throw new NorthbridgeError('unsupported', 'igbvf: the virtual function was given no MAC address')
    }
    this.mac.set(wanted)
    const words = new Uint32Array(2)
    new Uint8Array(words.buffer).set(wanted)
    if (!(yield* this.#mailbox.request([VF_MESSAGE.setMac, words[0]!, words[1]!]))) {
      throw new NorthbridgeError('unsupported', 'igbvf: the MAC address is refused')
    }
  }

  *#startTransmit(): Software {
    yield* this.#set(I82576_VF_TX.TDLEN, this.#rings.size)
    yield* this.#set(I82576_VF_TX.TDBAL, this.#rings.txRing)
    yield* this.#set(I82576_VF_TX.TDBAH, 0)
    yield* this.#set(I82576_VF_TX.TDH, 0)
    yield* this.#set(I82576_VF_TX.TDT, 0)
    yield* this.#enable(I82576_VF_TX.TXDCTL, TXDCTL.bits.ENABLE)
  }

  *#startReceive(): Software {
    const layout =
      inField(SRRCTL.bits.BSIZEPACKET, BUFFER_SIZE / 1024) |
      inField(SRRCTL.bits.DESCTYPE, DESCRIPTOR_TYPE.oneBuffer) |
      SRRCTL.bits.DROP_EN
    yield* this.#set(I82576_VF_RX.RXDCTL, 0)
    yield* this.#set(I82576_VF_RX.SRRCTL, layout)
    yield* this.#set(I82576_VF_RX.RDBAL, this.#rings.rxRing)
    yield* this.#set(I82576_VF_RX.RDBAH, 0)
    yield* this.#set(I82576_VF_RX.RDLEN, this.#rings.size)
    yield* this.#set(I82576_VF_RX.RDH, 0)
    yield* this.#set(I82576_VF_RX.RDT, 0)
    yield* this.#enable(I82576_VF_RX.RXDCTL, RXDCTL.bits.ENABLE)
    yield* this.#set(I82576_VF_RX.RDT, yield* this.#rings.fill())
  }

  *#enable(offset: number, bit: number): Software {
    yield* this.#set(offset, bit)
    for (let look = 0; look < LOOKS; look++) {
      if ((yield* this.#get(offset)) & bit) return
      yield
    }
    throw new NorthbridgeError(
      'unsupported',
      `igbvf: the queue at 0x${offset.toString(16)} does not become enabled`,
    )
  }

  *#routeInterrupts(): Software {
    const queues = VALID | VECTOR.receive | ((VALID | VECTOR.transmit) << 8)
    yield* this.#set(I82576_VF.IVAR, queues)
    yield* this.#set(I82576_VF.IVAR_MISC, VALID | VECTOR.mailbox)
    yield* this.#set(I82576_VF.EIAC, ALL_VECTORS)
    yield* this.#set(I82576_VF.EIAM, ALL_VECTORS)
    yield* this.#set(I82576_VF.EIMS, ALL_VECTORS)
  }

  /** Asks to hear a VLAN: frames of it come with their tag. */
  *addVlan(vlan: number): Software<boolean> {
    const granted = yield* this.#mailbox.request([VF_MESSAGE.setVlan | (1 << MESSAGE_FIELD.INFO_SHIFT), vlan])
    if (granted) this.#vlans.add(vlan)
    return granted
  }

  *request(message: readonly number[]): Software<boolean> {
    return yield* this.#mailbox.request(message)
  }

  *send(frame: Uint8Array): Software<boolean> {
    const tail = yield* this.#rings.put(frame)
    if (tail < 0) return false
    yield* this.#set(I82576_VF_TX.TDT, tail)
    return true
  }

  *resend(count: number): Software<number> {
    const done = yield* this.#rings.putAgain(count)
    yield* this.#set(I82576_VF_TX.TDT, this.#rings.txTail)
    return done
  }

  *interrupt(index: number): Software {
    this.#inbox.interrupts++
    if (index === VECTOR.transmit) yield* this.#rings.reclaim()
    if (index === VECTOR.receive) {
      const tail = yield* this.#rings.poll(this.keepsFrames, this.#vlans)
      if (tail >= 0) yield* this.#set(I82576_VF_RX.RDT, tail)
    }
    // Masked when the message was sent ("Extended Interrupt Auto Mask").
    yield* this.#set(I82576_VF.EIMS, 1 << index)
  }

  takeFrames(): readonly Uint8Array[] {
    return this.#inbox.take()
  }

  *stop(): Software {
    yield* this.#set(I82576_VF.EIMC, ALL_VECTORS)
    yield* this.#set(I82576_VF_RX.RXDCTL, 0)
    yield* this.#set(I82576_VF_TX.TXDCTL, 0)
  }

  *#get(offset: number): Software<number> {
    return yield* this.#access.read32(this.#base + offset)
  }

  *#set(offset: number, value: number): Software {
    yield* this.#access.write32(this.#base + offset, value)
  }

  save(): Saved {
    return {
      version: 1,
      mac: this.mac.slice(),
      rings: this.#rings.save(),
      vlans: [...this.#vlans].sort((a, b) => a - b),
      inbox: this.#inbox.save(),
    }
  }
}

const silent = (): NorthbridgeError =>
  new NorthbridgeError('unsupported', 'igbvf: the driver of the physical function does not answer')

export const igbvf: DriverEntry = {
  name: 'igbvf',
  ids: [
    [0x8086, 0x10ca],
    [0x8086, 0x152d],
  ],
  *start(context, options) {
    const driver = new IgbvfDriver(context, options)
    yield* driver.start(context, options)
    return driver
  },
}
