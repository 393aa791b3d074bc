/** The guest's driver for a whole 82576 that was assigned to it: one queue, no pools. */
import { opened, type Saved } from '../../core/index.ts'
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
  RDBAL,
  SRRCTL,
  STATUS,
  TCTL,
  TDBAL,
} from '../../devices/formats/nic/i82576-registers.ts'
import { inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import { AdvancedDriver, type QueuePair, type SavedAdvancedDriver } from './advanced-driver.ts'
import { BUFFER_SIZE } from './advanced-rings.ts'

const ALL = 0xffff_ffff
/** Messages: other causes, and the one pair of queues. */
const VECTOR = { other: 0, queues: 1 } as const
const VECTORS = 0b11
const NO_VLANS: ReadonlySet<number> = new Set()
const QUEUES: QueuePair = {
  receive: RDBAL.offset,
  transmit: TDBAL.offset,
  buffers: SRRCTL.offset,
  layout:
    inField(SRRCTL.bits.BSIZEPACKET, BUFFER_SIZE / 1024) |
    inField(SRRCTL.bits.DESCTYPE, DESCRIPTOR_TYPE.oneBuffer),
  receiveControl: 0,
}

class IgbDriver extends AdvancedDriver {
  readonly name = 'igb'

  constructor(context: DriverContext, options: DriverOptions) {
    super(context, options, QUEUES)
  }

  *start(context: DriverContext): Software {
    yield* this.#reset()
    const words = Uint32Array.of(yield* this.get(RAL), yield* this.get(RAH))
    this.mac.set(new Uint8Array(words.buffer, 0, 6))
    yield* this.setBits(CTRL, CTRL.bits.SLU)
    yield* this.setBits(CTRL_EXT, CTRL_EXT.bits.DRV_LOAD)
    yield* this.startQueues(context)
    yield* this.set(TCTL, TCTL.bits.EN | TCTL.bits.PSP)
    yield* this.set(RCTL, RCTL.bits.RXEN | RCTL.bits.BAM | RCTL.bits.SECRC)
    yield* this.#routeInterrupts()
  }

  *#reset(): Software {
    yield* this.setBits(CTRL, CTRL.bits.GIO_MASTER_DISABLE)
    yield* this.until(STATUS, STATUS.bits.GIO_MASTER_ENABLE, 0)
    yield* this.set(IMC, ALL)
    yield* this.setBits(CTRL, CTRL.bits.RST)
    if (!(yield* this.until(EECD, EECD.bits.AUTO_RD, EECD.bits.AUTO_RD))) {
      throw this.unsupported('the card does not come out of its reset')
    }
    yield* this.set(EIMC, ALL)
    yield* this.get(ICR)
  }

  *#routeInterrupts(): Software {
    const { MULTIPLE_MSIX, PBA, EIAME, NSICR } = GPIE.bits
    const queues = IVAR.bits.VALID | VECTOR.queues
    yield* this.set(GPIE, MULTIPLE_MSIX | PBA | EIAME | NSICR)
    yield* this.set(IVAR, queues | (queues << 8))
    yield* this.set(IVAR_MISC, (IVAR.bits.VALID | VECTOR.other) << 8)
    yield* this.set(EIAC, VECTORS)
    yield* this.set(EIAM, VECTORS)
    yield* this.set(IMS, ICR_BIT.LSC)
    yield* this.set(EIMS, VECTORS)
  }

  *interrupt(index: number): Software {
    this.inbox.interrupts++
    if (index === VECTOR.other) yield* this.get(ICR)
    else {
      yield* this.rings.reclaim()
      yield* this.receive(NO_VLANS)
    }
    // Masked when the message was sent ("Extended Interrupt Auto Mask").
    yield* this.set(EIMS, 1 << index)
  }

  *stop(): Software {
    yield* this.set(EIMC, ALL)
    yield* this.set(RCTL, 0)
    yield* this.set(TCTL, 0)
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
  restore(context: DriverContext, saved: Saved) {
    const state = opened<SavedAdvancedDriver>(saved, 'the igb driver of a guest', 1)
    const driver = new IgbDriver(context, { ringEntries: state.rings.entries })
    driver.load(state)
    return driver
  },
}
