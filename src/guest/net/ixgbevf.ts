/** The guest's driver for a virtual function of the 82599, in the order in which Linux's ixgbevf touches it. */
import { opened, type Saved } from '../../core/index.ts'
import { DESCRIPTOR_TYPE } from '../../devices/formats/nic/descriptors.ts'
import { PSRTYPE, RX_LOWER } from '../../devices/formats/nic/i82599-registers.ts'
import { I82599_VF, I82599_VF_RX, I82599_VF_TX } from '../../devices/formats/nic/i82599-vf.ts'
import { API_VERSION, VF_MESSAGE, XCAST_MODE } from '../../devices/formats/nic/mailbox-messages.ts'
import { inField } from '../../devices/formats/nic/register.ts'
import type { Software } from '../../engine/index.ts'
import type { DriverContext, DriverEntry, DriverOptions } from '../driver.ts'
import type { QueuePair } from './advanced-driver.ts'
import { BUFFER_SIZE } from './advanced-rings.ts'
import { type SavedVfDriver, VfDriver } from './vf-driver.ts'

/** With the check sequence; a tag is not counted. */
const STANDARD_FRAME = 1518
/** Versions of the mailbox's language, the newest first; a physical function's driver that knows none speaks 1.0. */
const VERSIONS = [
  API_VERSION['1.5'],
  API_VERSION['1.4'],
  API_VERSION['1.3'],
  API_VERSION['1.2'],
  API_VERSION['1.1'],
  API_VERSION['1.0'],
] as const
/** Messages of the function: its queues, and the mailbox. */
const VECTOR = { queues: 0, mailbox: 1 } as const
const ALL_VECTORS = 0b11
const VALID = 0x80
const MAILBOX = { register: I82599_VF.VFMAILBOX, buffer: I82599_VF.VFMBMEM } as const
const { BSIZEPACKET, DESCTYPE, DROP_EN } = RX_LOWER.SRRCTL.bits
const QUEUES: QueuePair = {
  receive: I82599_VF_RX.VFRDBAL,
  transmit: I82599_VF_TX.VFTDBAL,
  buffers: I82599_VF_RX.VFSRRCTL,
  layout: inField(BSIZEPACKET, BUFFER_SIZE / 1024) | inField(DESCTYPE, DESCRIPTOR_TYPE.oneBuffer) | DROP_EN,
  receiveControl: RX_LOWER.RXDCTL.bits.VME,
}

type SavedDriver = SavedVfDriver & { readonly api: number }

class IxgbevfDriver extends VfDriver {
  readonly name = 'ixgbevf'
  /** Version of the mailbox's language. */
  #api: number = API_VERSION['1.0']

  constructor(context: DriverContext, options: DriverOptions) {
    super(context, options, QUEUES, MAILBOX)
  }

  get api(): number {
    return this.#api
  }

  *start(context: DriverContext, { mac }: DriverOptions): Software {
    yield* this.resetFunction(mac)
    yield* this.#negotiate()
    if (this.#api >= API_VERSION['1.1']) yield* this.#checkQueues()
    if (this.#api >= API_VERSION['1.2']) {
      yield* this.request([VF_MESSAGE.updateXcast, XCAST_MODE.multicast])
    }
    const { TCP, UDP, IPV4, IPV6, L2 } = PSRTYPE.bits
    yield* this.set(I82599_VF.VFPSRTYPE, TCP | UDP | IPV4 | IPV6 | L2)
    if (!(yield* this.request([VF_MESSAGE.setLongPackets, STANDARD_FRAME]))) {
      throw this.unsupported('frames of the standard size are refused')
    }
    yield* this.startQueues(context)
    yield* this.#routeInterrupts()
  }

  /** The newest version that both sides know. */
  *#negotiate(): Software {
    for (const version of VERSIONS) {
      if (!(yield* this.request([VF_MESSAGE.negotiate, version]))) continue
      this.#api = version
      return
    }
  }

  /** The answer tells of transmit queues, receive queues, hidden tags, the default queue. */
  *#checkQueues(): Software {
    const answer = yield* this.mailbox.ask([VF_MESSAGE.getQueues], 5)
    const [, transmit = 0, receive = 0] = answer ?? []
    if (transmit < 1 || receive < 1) throw this.unsupported('it is given no queues')
  }

  *#routeInterrupts(): Software {
    const queues = VALID | VECTOR.queues
    yield* this.set(I82599_VF.VTIVAR, queues | (queues << 8))
    yield* this.set(I82599_VF.VTIVAR_MISC, VALID | VECTOR.mailbox)
    yield* this.get(I82599_VF.VTEICR)
    yield* this.set(I82599_VF.VTEIAM, ALL_VECTORS)
    yield* this.set(I82599_VF.VTEIAC, ALL_VECTORS)
    yield* this.set(I82599_VF.VTEIMS, ALL_VECTORS)
  }

  *interrupt(index: number): Software {
    this.inbox.interrupts++
    if (index === VECTOR.queues) {
      yield* this.rings.reclaim()
      yield* this.receive(this.vlans)
    }
    // Masked when the message was sent, by VTEIAM.
    yield* this.set(I82599_VF.VTEIMS, 1 << index)
  }

  *stop(): Software {
    yield* this.set(I82599_VF.VTEIMC, ALL_VECTORS)
    yield* this.stopQueues()
  }

  override save(): SavedDriver {
    return { ...super.save(), api: this.#api }
  }

  override load(saved: SavedDriver): void {
    super.load(saved)
    this.#api = saved.api
  }
}

export const ixgbevf: DriverEntry = {
  name: 'ixgbevf',
  ids: [[0x8086, 0x10ed]],
  *start(context, options) {
    const driver = new IxgbevfDriver(context, options)
    yield* driver.start(context, options)
    return driver
  },
  restore(context: DriverContext, saved: Saved) {
    const state = opened<SavedDriver>(saved, 'the ixgbevf driver of a guest', 1)
    const driver = new IxgbevfDriver(context, { ringEntries: state.rings.entries })
    driver.load(state)
    return driver
  },
}
