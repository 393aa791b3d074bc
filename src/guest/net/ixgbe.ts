/** The guest's driver for a whole 82599 that was assigned to it: one queue, no pools. */
import { opened, type Saved } from '../../core/index.ts'
import { DESCRIPTOR_TYPE } from '../../devices/formats/nic/descriptors.ts'
import {
  AUTOC,
  CTRL,
  CTRL_EXT,
  DMATXCTL,
  EEC,
  EIAC,
  EIAM_EX,
  EICR,
  EIMC,
  EIMC_EX,
  EIMS,
  EIMS_EX,
  FCTRL,
  GPIE,
  IVAR,
  IVAR_MISC,
  RAH,
  RAL,
  RDRXCTL,
  RX_LOWER,
  RXCTRL,
  SECRXCTRL,
  SECRXSTAT,
  STATUS,
  TDBAL,
} from '../../devices/formats/nic/i82599-registers.ts'
import { inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import { AdvancedDriver, type QueuePair, type SavedAdvancedDriver } from './advanced-driver.ts'
import { BUFFER_SIZE } from './advanced-rings.ts'

const ALL = 0xffff_ffff
/** Messages: the one pair of queues, and other causes. */
const VECTOR = { queues: 0, other: 1 } as const
const VECTORS = 0b11
const NO_VLANS: ReadonlySet<number> = new Set()
const { BSIZEPACKET, DESCTYPE } = RX_LOWER.SRRCTL.bits
const QUEUES: QueuePair = {
  receive: RX_LOWER.RDBAL.offset,
  transmit: TDBAL.offset,
  buffers: RX_LOWER.SRRCTL.offset,
  layout: inField(BSIZEPACKET, BUFFER_SIZE / 1024) | inField(DESCTYPE, DESCRIPTOR_TYPE.oneBuffer),
  receiveControl: 0,
}

class IxgbeDriver extends AdvancedDriver {
  readonly name = 'ixgbe'

  constructor(context: DriverContext, options: DriverOptions) {
    super(context, options, QUEUES)
  }

  *start(context: DriverContext): Software {
    yield* this.#reset()
    const words = Uint32Array.of(yield* this.get(RAL), yield* this.get(RAH))
    this.mac.set(new Uint8Array(words.buffer, 0, 6))
    yield* this.setBits(AUTOC, AUTOC.bits.RESTART_AN)
    yield* this.setBits(CTRL_EXT, CTRL_EXT.bits.DRV_LOAD)
    // The transmitter is on before its queues are ("DMA Tx Control").
    yield* this.setBits(DMATXCTL, DMATXCTL.bits.TE)
    yield* this.set(FCTRL, FCTRL.bits.BAM | FCTRL.bits.DPF | FCTRL.bits.PMCF)
    yield* this.setBits(RDRXCTL, RDRXCTL.bits.CRCSTRIP)
    yield* this.startQueues(context)
    yield* this.#enableReceiver()
    yield* this.#routeInterrupts()
  }

  *#reset(): Software {
    yield* this.set(EIMC, ALL)
    yield* this.get(EICR)
    yield* this.setBits(CTRL, CTRL.bits.GIO_DIS)
    yield* this.until(STATUS, STATUS.bits.GIO, 0)
    yield* this.setBits(CTRL, CTRL.bits.RST)
    const done =
      (yield* this.until(CTRL, CTRL.bits.RST, 0)) &&
      (yield* this.until(EEC, EEC.bits.AUTO_RD, EEC.bits.AUTO_RD)) &&
      (yield* this.until(RDRXCTL, RDRXCTL.bits.DMAIDONE, RDRXCTL.bits.DMAIDONE))
    if (!done) throw this.unsupported('the card does not come out of its reset')
    yield* this.set(EIMC, ALL)
    yield* this.get(EICR)
  }

  /** While the security engine is stopped: frames that come then could stop the receiver for good (an erratum). */
  *#enableReceiver(): Software {
    yield* this.setBits(SECRXCTRL, SECRXCTRL.bits.RX_DIS)
    yield* this.until(SECRXSTAT, SECRXSTAT.bits.SECRX_RDY, SECRXSTAT.bits.SECRX_RDY)
    yield* this.setBits(RXCTRL, RXCTRL.bits.RXEN)
    yield* this.set(SECRXCTRL, (yield* this.get(SECRXCTRL)) & ~SECRXCTRL.bits.RX_DIS)
  }

  *#routeInterrupts(): Software {
    const { MSIX_MODE, PBA, OCD, EIAME } = GPIE.bits
    const queues = IVAR.bits.VALID | VECTOR.queues
    yield* this.set(GPIE, MSIX_MODE | PBA | OCD | EIAME)
    yield* this.set(IVAR, queues | (queues << 8))
    yield* this.set(IVAR_MISC, (IVAR.bits.VALID | VECTOR.other) << 8)
    yield* this.set(EIAC, VECTORS)
    yield* this.set(EIAM_EX, VECTORS)
    yield* this.set(EIMS, EICR.bits.LSC)
    yield* this.set(EIMS_EX, VECTORS)
  }

  *interrupt(index: number): Software {
    this.inbox.interrupts++
    if (index === VECTOR.other) yield* this.set(EICR, yield* this.get(EICR))
    else {
      yield* this.rings.reclaim()
      yield* this.receive(NO_VLANS)
    }
    // Masked when the message was sent, by EIAM.
    yield* this.set(EIMS_EX, 1 << index)
  }

  *stop(): Software {
    yield* this.set(EIMC, ALL)
    yield* this.set(EIMC_EX, ALL)
    yield* this.set(RXCTRL, 0)
    yield* this.set(DMATXCTL, 0)
  }
}

export const ixgbe: DriverEntry = {
  name: 'ixgbe',
  ids: [
    [0x8086, 0x10f7],
    [0x8086, 0x10f8],
    [0x8086, 0x10fb],
    [0x8086, 0x10fc],
    [0x8086, 0x1557],
  ],
  *start(context, options) {
    const driver = new IxgbeDriver(context, options)
    yield* driver.start(context)
    return driver
  },
  restore(context: DriverContext, saved: Saved) {
    const state = opened<SavedAdvancedDriver>(saved, 'the ixgbe driver of a guest', 1)
    const driver = new IxgbeDriver(context, { ringEntries: state.rings.entries })
    driver.load(state)
    return driver
  },
}
