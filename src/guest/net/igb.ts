/** The guest's driver for a whole 82576 that was assigned to it: one queue, no pools. */
import { NorthbridgeError, type Saved } from '../../core/index.ts'
import { DESCRIPTOR_TYPE } from '../../devices/formats/nic/descriptors.ts'
import {
  CTRL,
  CTRL_EXT,
  EECD,
  EIAC,
  EIAM,
  EIMC,
  EIMS,
  GPIE,
  ICR,
  ICR_BIT,
  IMC,
  IMS,
  IVAR,
  IVAR_MISC,
  RAH,
  RAL,
  RCTL,
  RDBAH,
  RDBAL,
  RDH,
  RDLEN,
  RDT,
  RXDCTL,
  SRRCTL,
  STATUS,
  TCTL,
  TDBAH,
  TDBAL,
  TDH,
  TDLEN,
  TDT,
  TXDCTL,
} from '../../devices/formats/nic/i82576-registers.ts'
import { inField, type NicRegister } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import type { GuestAccess } from '../guest-access.ts'
import { AdvancedRings, BUFFER_SIZE, DEFAULT_ENTRIES } from './advanced-rings.ts'
import { FrameInbox, type NetworkCounters, type NetworkDriver } from './network-driver.ts'

const ALL = 0xffff_ffff
const LOOKS = 200
/** Messages: other causes, and the one pair of queues. */
const VECTOR = { other: 0, queues: 1 } as const
const VECTORS = 0b11
const NO_VLANS: ReadonlySet<number> = new Set()

class IgbDriver implements NetworkDriver {
  readonly name = 'igb'
  readonly kind = 'network'
  readonly mac = new Uint8Array(6)
  keepsFrames = true
  readonly #access: GuestAccess
  readonly #base: number
  readonly #rings: AdvancedRings
  readonly #inbox = new FrameInbox()

  constructor({ device, access }: DriverContext, { ringEntries = DEFAULT_ENTRIES }: DriverOptions) {
    this.#access = access
    this.#base = device.bars[0]?.base ?? 0
    this.#rings = new AdvancedRings(access, ringEntries, this.#inbox)
  }

  get counters(): NetworkCounters {
    return this.#inbox.counters
  }

  /** Probe and open. Throws `unsupported` if the card does not come out of its reset. */
  *start(context: DriverContext): Software {
    yield* this.#reset()
    const words = Uint32Array.of(yield* this.#get(RAL), yield* this.#get(RAH))
    this.mac.set(new Uint8Array(words.buffer, 0, 6))
    yield* this.#set(CTRL, (yield* this.#get(CTRL)) | CTRL.bits.SLU)
    yield* this.#set(CTRL_EXT, (yield* this.#get(CTRL_EXT)) | CTRL_EXT.bits.DRV_LOAD)
    yield* this.#rings.allocate(context)
    yield* this.#startTransmit()
    yield* this.#startReceive()
    yield* this.#routeInterrupts()
  }

  *#reset(): Software {
    yield* this.#set(CTRL, (yield* this.#get(CTRL)) | CTRL.bits.GIO_MASTER_DISABLE)
    yield* this.#until(STATUS, STATUS.bits.GIO_MASTER_ENABLE, 0)
    yield* this.#set(IMC, ALL)
    yield* this.#set(CTRL, (yield* this.#get(CTRL)) | CTRL.bits.RST)
    if (!(yield* this.#until(EECD, EECD.bits.AUTO_RD, EECD.bits.AUTO_RD))) {
      throw new NorthbridgeError('unsupported', 'igb: the card does not come out of its reset')
    }
    yield* this.#set(EIMC, ALL)
    yield* this.#get(ICR)
  }

  *#until(register: NicRegister, mask: number, value: number): Software<boolean> {
    for (let look = 0; look < LOOKS; look++) {
      if (((yield* this.#get(register)) & mask) === value) return true
      yield
    }
    return false
  }

  *#startTransmit(): Software {
    yield* this.#set(TDLEN, this.#rings.size)
    yield* this.#set(TDBAL, this.#rings.txRing)
    yield* this.#set(TDBAH, 0)
    yield* this.#set(TDH, 0)
    yield* this.#set(TDT, 0)
    yield* this.#enable(TXDCTL, TXDCTL.bits.ENABLE)
    yield* this.#set(TCTL, TCTL.bits.EN | TCTL.bits.PSP)
  }

  *#startReceive(): Software {
    const { BSIZEPACKET, DESCTYPE } = SRRCTL.bits
    yield* this.#set(RDLEN, this.#rings.size)
    yield* this.#set(RDBAL, this.#rings.rxRing)
    yield* this.#set(RDBAH, 0)
    yield* this.#set(RDH, 0)
    yield* this.#set(RDT, 0)
    const layout = inField(BSIZEPACKET, BUFFER_SIZE / 1024) | inField(DESCTYPE, DESCRIPTOR_TYPE.oneBuffer)
    yield* this.#set(SRRCTL, layout)
    yield* this.#enable(RXDCTL, RXDCTL.bits.ENABLE)
    yield* this.#set(RDT, yield* this.#rings.fill())
    yield* this.#set(RCTL, RCTL.bits.RXEN | RCTL.bits.BAM | RCTL.bits.SECRC)
  }

  *#enable(register: NicRegister, bit: number): Software {
    yield* this.#set(register, bit)
    if (!(yield* this.#until(register, bit, bit))) {
      throw new NorthbridgeError('unsupported', `igb: ${register.name} does not become enabled`)
    }
  }

  *#routeInterrupts(): Software {
    const { MULTIPLE_MSIX, PBA, EIAME, NSICR } = GPIE.bits
    const queues = IVAR.bits.VALID | VECTOR.queues
    yield* this.#set(GPIE, MULTIPLE_MSIX | PBA | EIAME | NSICR)
    yield* this.#set(IVAR, queues | (queues << 8))
    yield* this.#set(IVAR_MISC, (IVAR.bits.VALID | VECTOR.other) << 8)
    yield* this.#set(EIAC, VECTORS)
    yield* this.#set(EIAM, VECTORS)
    yield* this.#set(IMS, ICR_BIT.LSC)
    yield* this.#set(EIMS, VECTORS)
  }

  *send(frame: Uint8Array): Software<boolean> {
    const tail = yield* this.#rings.put(frame)
    if (tail < 0) return false
    yield* this.#set(TDT, tail)
    return true
  }

  *resend(count: number): Software<number> {
    const done = yield* this.#rings.putAgain(count)
    yield* this.#set(TDT, this.#rings.txTail)
    return done
  }

  *interrupt(index: number): Software {
    this.#inbox.interrupts++
    if (index === VECTOR.other) yield* this.#get(ICR)
    else {
      yield* this.#rings.reclaim()
      const tail = yield* this.#rings.poll(this.keepsFrames, NO_VLANS)
      if (tail >= 0) yield* this.#set(RDT, tail)
    }
    // Masked when the message was sent ("Extended Interrupt Auto Mask").
    yield* this.#set(EIMS, 1 << index)
  }

  takeFrames(): readonly Uint8Array[] {
    return this.#inbox.take()
  }

  *stop(): Software {
    yield* this.#set(EIMC, ALL)
    yield* this.#set(RCTL, 0)
    yield* this.#set(TCTL, 0)
  }

  *#get({ offset }: NicRegister): Software<number> {
    return yield* this.#access.read32(this.#base + offset)
  }

  *#set({ offset }: NicRegister, value: number): Software {
    yield* this.#access.write32(this.#base + offset, value)
  }

  save(): Saved {
    return { version: 1, mac: this.mac.slice(), rings: this.#rings.save(), inbox: this.#inbox.save() }
  }
}

export const igb: DriverEntry = {
  name: 'igb',
  ids: [
    [0x8086, 0x10c9],
    [0x8086, 0x10e6],
    [0x8086, 0x10e7],
    [0x8086, 0x1526],
  ],
  *start(context, options) {
    const driver = new IgbDriver(context, options)
    yield* driver.start(context)
    return driver
  },
}
