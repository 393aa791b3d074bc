/** The guest's driver for a virtual function of the 82576, in the order in which Linux's igbvf touches it. */
import { opened, type Saved } from '../../core/index.ts'
import { DESCRIPTOR_TYPE } from '../../devices/formats/nic/descriptors.ts'
import { SRRCTL } from '../../devices/formats/nic/i82576-registers.ts'
import { I82576_VF, I82576_VF_RX, I82576_VF_TX } from '../../devices/formats/nic/i82576-vf.ts'
import { VF_MESSAGE } from '../../devices/formats/nic/mailbox-messages.ts'
import { inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import type { QueuePair } from './advanced-driver.ts'
import { BUFFER_SIZE } from './advanced-rings.ts'
import { type SavedVfDriver, VfDriver } from './vf-driver.ts'

/** With a tag and the check sequence. */
const STANDARD_FRAME = 1522
/** Messages of the function: transmit queue, receive queue, mailbox. */
const VECTOR = { transmit: 0, receive: 1, mailbox: 2 } as const
const ALL_VECTORS = 0b111
const VALID = 0x80
const MAILBOX = { register: I82576_VF.V2PMAILBOX, buffer: I82576_VF.VMBMEM } as const
const QUEUES: QueuePair = {
  receive: I82576_VF_RX.RDBAL,
  transmit: I82576_VF_TX.TDBAL,
  buffers: I82576_VF_RX.SRRCTL,
  layout:
    inField(SRRCTL.bits.BSIZEPACKET, BUFFER_SIZE / 1024) |
    inField(SRRCTL.bits.DESCTYPE, DESCRIPTOR_TYPE.oneBuffer) |
    SRRCTL.bits.DROP_EN,
  receiveControl: 0,
}

class IgbvfDriver extends VfDriver {
  readonly name = 'igbvf'

  constructor(context: DriverContext, options: DriverOptions) {
    super(context, options, QUEUES, MAILBOX)
  }

  *start(context: DriverContext, { mac }: DriverOptions): Software {
    yield* this.resetFunction(mac)
    yield* this.request([VF_MESSAGE.setLongPackets, STANDARD_FRAME])
    yield* this.startQueues(context)
    const queues = VALID | VECTOR.receive | ((VALID | VECTOR.transmit) << 8)
    yield* this.set(I82576_VF.IVAR, queues)
    yield* this.set(I82576_VF.IVAR_MISC, VALID | VECTOR.mailbox)
    yield* this.set(I82576_VF.EIAC, ALL_VECTORS)
    yield* this.set(I82576_VF.EIAM, ALL_VECTORS)
    yield* this.set(I82576_VF.EIMS, ALL_VECTORS)
  }

  *interrupt(index: number): Software {
    this.inbox.interrupts++
    if (index === VECTOR.transmit) yield* this.rings.reclaim()
    if (index === VECTOR.receive) yield* this.receive(this.vlans)
    // Masked when the message was sent ("Extended Interrupt Auto Mask").
    yield* this.set(I82576_VF.EIMS, 1 << index)
  }

  *stop(): Software {
    yield* this.set(I82576_VF.EIMC, ALL_VECTORS)
    yield* this.stopQueues()
  }
}

export const igbvf: DriverEntry = {
  name: 'igbvf',
  ids: [
    [0x8086, 0x10ca],
    [0x8086, 0x152d],
    // A virtual function of the synthetic e-switch is one of an 82576, but for its ids.
    [0x1b36, 0xe501],
  ],
  *start(context, options) {
    const driver = new IgbvfDriver(context, options)
    yield* driver.start(context, options)
    return driver
  },
  restore(context: DriverContext, saved: Saved) {
    const state = opened<SavedVfDriver>(saved, 'the igbvf driver of a guest', 1)
    const driver = new IgbvfDriver(context, { ringEntries: state.rings.entries })
    driver.load(state)
    return driver
  },
}
