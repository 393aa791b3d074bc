/** VIRTIO 1.2, §5.5 "Traditional Memory Balloon Device": a guest gives pages back that it does not use. */
import { opened, type PageNumber, type Saved } from '../../core/index.ts'
import type { Software } from '../../engine/index.ts'
import { VIRTIO_TYPE } from '../formats/virtio.ts'
import { BALLOON_CONFIG, BALLOON_ENTRY, BALLOON_FEATURE, BALLOON_QUEUE } from '../formats/virtio-balloon.ts'
import type { VirtioLink, VirtioModel } from '../virtio/index.ts'

const QUEUE_SIZE = 128
/** Page numbers of one buffer that are looked at; a driver sends no more than 256. */
const MOST_ENTRIES = 1024

/** What becomes of the pages. Numbers come from the guest: they may be anything. */
export interface BalloonHost {
  inflate(page: PageNumber): void
  deflate(page: PageNumber): void
}

export class VirtioBalloon implements VirtioModel {
  readonly kind = 'virtio-balloon'
  readonly type = VIRTIO_TYPE.balloon
  /** "Unassigned class", as QEMU has it. */
  readonly classCode = 0x00_ff_00
  readonly features = [BALLOON_FEATURE.mustTellHost, BALLOON_FEATURE.deflateOnOutOfMemory]
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE]
  readonly #host: BalloonHost
  readonly #bytes = new Uint8Array(MOST_ENTRIES * BALLOON_ENTRY)
  readonly #view = new DataView(this.#bytes.buffer)
  #wanted = 0
  #actual = 0
  #link: VirtioLink | undefined

  constructor(host: BalloonHost) {
    this.#host = host
  }

  /** Pages that the guest is to give. */
  get wanted(): number {
    return this.#wanted
  }

  /** Pages that it says it has given. */
  get actual(): number {
    return this.#actual
  }

  /** Whether a driver listens. */
  get driven(): boolean {
    return this.#link !== undefined
  }

  /** Asks for another size; the driver is told by an interrupt. */
  want(pages: number): void {
    this.#wanted = pages
    this.#link?.configurationChanged()
  }

  readConfiguration(offset: number): number {
    if (offset === BALLOON_CONFIG.wanted) return this.#wanted
    return offset === BALLOON_CONFIG.actual ? this.#actual : 0
  }

  writeConfiguration(offset: number, value: number, lanes: number): void {
    if (offset === BALLOON_CONFIG.actual) this.#actual = ((this.#actual & ~lanes) | (value & lanes)) >>> 0
  }

  start(link: VirtioLink): void {
    this.#link = link
  }

  /** The driver is gone, and what it gave stays given: a page is the guest's again when it is used. */
  reset(): void {
    this.#link = undefined
    this.#actual = 0
  }

  // biome-ignore lint/correctness/useYield: other devices wait where this one does not
  *notified(number: number): Software {
    const link = this.#link
    const queue = link?.queues[number]
    if (link === undefined || queue === undefined) return
    do {
      queue.notifications(false)
      while (queue.take()) {
        this.#serve(link, number)
        queue.give(queue.chain.id, queue.chain.descriptors, 0)
      }
      link.complete(number)
    } while (queue.notifications(true))
  }

  #serve({ port, queues }: VirtioLink, number: number): void {
    const { chain } = queues[number]!
    const length = Math.min(chain.readableBytes - (chain.readableBytes % BALLOON_ENTRY), this.#bytes.length)
    if (length === 0 || !chain.read(port, 0, this.#bytes, 0, length)) return
    for (let at = 0; at < length; at += BALLOON_ENTRY) {
      const page = this.#view.getUint32(at, true)
      if (number === BALLOON_QUEUE.inflate) this.#host.inflate(page)
      else this.#host.deflate(page)
    }
  }

  save(): Saved {
    return { version: 1, wanted: this.#wanted, actual: this.#actual }
  }

  load(saved: Saved, link: VirtioLink | undefined): void {
    const { wanted, actual } = opened<{ wanted: number; actual: number }>(saved, 'a virtio balloon', 1)
    this.#wanted = wanted
    this.#actual = actual
    this.#link = link
  }
}
