/**
 * VIRTIO 1.2, §5.1 "Network Device": frames between a guest's rings and the switch. It offers no offloads and no mergeable
 * buffers: each frame has a buffer of its own.
 */
import { opened, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { Frame, HEADER_SIZE, SHORTEST_FRAME } from '../../net/formats/index.ts'
import type { DevicePort } from '../emulated-device.ts'
import { VIRTIO_TYPE } from '../formats/virtio.ts'
import { NET_CONFIG, NET_FEATURE, NET_HEADER, NET_QUEUE, NET_STATUS_LINK_UP } from '../formats/virtio-net.ts'
import type { Chain, VirtioLink, VirtioModel } from '../virtio/index.ts'
import { type DropCause, DropTally } from './drop-tally.ts'
import type { FrameExit, FrameJournal } from './network-device.ts'
import type { SwitchClient } from './switch-port.ts'

const QUEUE_SIZE = 256
const ETHERNET_CLASS = 0x02_0000

export class VirtioNet implements VirtioModel, SwitchClient {
  readonly kind = 'virtio-net'
  readonly type = VIRTIO_TYPE.network
  readonly classCode = ETHERNET_CLASS
  readonly features: readonly number[]
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE]
  readonly mac: Uint8Array
  /** Frames that ended here, or behind it where no switch counts them. */
  readonly drops = new DropTally()
  readonly #exit: FrameExit
  readonly #journal: FrameJournal
  readonly #configuration = new DataView(new ArrayBuffer(NET_CONFIG.size))
  /** Written before each frame: no offload was used, one buffer. */
  readonly #header = new Uint8Array(NET_HEADER.size)
  readonly #frame = new Frame()
  #link: VirtioLink | undefined

  /**
   * @param exit where its frames go.
   * @param standby whether it stands in for another device with its address.
   */
  constructor(mac: Uint8Array, exit: FrameExit, journal: FrameJournal, standby = false) {
    this.features = [NET_FEATURE.mac, NET_FEATURE.status, ...(standby ? [NET_FEATURE.standby] : [])]
    this.mac = mac
    this.#exit = exit
    this.#journal = journal
    for (const [i, byte] of mac.entries()) this.#configuration.setUint8(NET_CONFIG.mac + i, byte)
    this.#configuration.setUint16(NET_CONFIG.status, NET_STATUS_LINK_UP, true)
    this.#header[NET_HEADER.buffers] = 1
  }

  readConfiguration(offset: number): number {
    return offset < NET_CONFIG.size ? this.#configuration.getUint32(offset, true) : 0
  }

  start(link: VirtioLink): void {
    this.#link = link
    // Buffers are taken when frames come: there is nothing to be told of.
    link.queues[NET_QUEUE.receive]?.notifications(false)
  }

  reset(): void {
    this.#link = undefined
  }

  deliver(frame: Frame): DropCause | undefined {
    const link = this.#link
    const queue = link?.queues[NET_QUEUE.receive]
    if (link === undefined || queue === undefined) return 'receiverDisabled'
    if (!queue.take()) return 'noReceiveBuffer'
    const { chain } = queue
    const length = NET_HEADER.size + frame.length
    if (chain.writableBytes < length) {
      queue.untake()
      return 'noReceiveBuffer'
    }
    const { port } = link
    const written =
      chain.write(port, 0, this.#header, 0, NET_HEADER.size) &&
      chain.write(port, NET_HEADER.size, frame.bytes, 0, frame.length)
    queue.give(chain.id, chain.descriptors, written ? length : 0)
    if (written) this.#journal.copied(frame.length)
    if (this.#journal.following) {
      this.#journal.note(this.kind, written ? 'copied' : 'fault', { to: 'guest', length: frame.length })
    }
    link.complete(NET_QUEUE.receive)
    return written ? undefined : 'receiveFault'
  }

  // biome-ignore lint/correctness/useYield: other devices wait where this one does not
  *notified(number: number): Software {
    const link = this.#link
    const queue = link?.queues[number]
    if (link === undefined || queue === undefined || number !== NET_QUEUE.transmit) return
    do {
      queue.notifications(false)
      while (queue.take()) {
        this.#send(link)
        queue.give(queue.chain.id, queue.chain.descriptors, 0)
      }
      link.complete(number)
    } while (queue.notifications(true))
  }

  /** The frame of the chain that was taken. */
  #send({ port, queues }: VirtioLink): void {
    const { chain } = queues[NET_QUEUE.transmit]!
    const frame = this.#frame
    const length = chain.readableBytes - NET_HEADER.size
    const problem = this.#fetch(chain, port, length)
    if (problem !== undefined) {
      this.drops.count(problem)
      return
    }
    if (length < SHORTEST_FRAME) frame.bytes.fill(0, length, SHORTEST_FRAME)
    frame.length = Math.max(length, SHORTEST_FRAME)
    frame.damaged = false
    this.#journal.copied(length)
    if (this.#journal.following) this.#journal.note(this.kind, 'copied', { from: 'guest', length })
    this.#exit(frame)
  }

  #fetch(chain: Chain, port: DevicePort, length: number): DropCause | undefined {
    const { bytes } = this.#frame
    if (length < HEADER_SIZE) return 'tooShort'
    if (length > bytes.length) return 'tooLong'
    return chain.read(port, NET_HEADER.size, bytes, 0, length) ? undefined : 'sendFault'
  }

  save(): Saved {
    return { version: 1, drops: this.drops.save() }
  }

  load(saved: Saved, link: VirtioLink | undefined): void {
    this.drops.load(opened<{ drops: Float64Array }>(saved, 'a virtio network device', 1).drops)
    this.#link = link
  }
}
