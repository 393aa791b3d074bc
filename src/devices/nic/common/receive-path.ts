/**
 * The way of a frame from the wire, or from another pool, into memory: filters, pools, queues, buffers. Each frame is
 * stored, waits in the packet buffer, or is dropped with a cause that is counted.
 */
import { copyBytes } from '../../../core/index.ts'
import {
  Classifier,
  FCS_SIZE,
  type FilterTables,
  Frame,
  FrameHeaders,
  frameCheckSequence,
  PoolSet,
  read16,
  SHORTEST_FRAME,
  TAG_SIZE,
  VERDICT,
} from '../../../net/index.ts'
import { ESWITCH_PORT, PACKET_TYPE, RX_LEGACY_ERROR, RX_STATUS } from '../../formats/nic/descriptors.ts'
import type { ReceiveChip } from './chip.ts'
import { examine, packetChecksum } from './frame-report.ts'
import type { NicDma } from './nic-dma.ts'
import { DROP, DROP_CAUSES, type DropCounts, type NicObserver } from './nic-model.ts'
import { PacketBuffer } from './packet-buffer.ts'
import type { QueueFilters } from './queue-filters.ts'
import { BufferLayout, ReceiveReport, type ReceiveRing, STORED } from './receive-ring.ts'
import type { ReceiveSideScaling } from './rss.ts'

/** "MAC Control" frames to this address with this EtherType pause the transmitter (IEEE 802.3 Annex 31B). */
const PAUSE_LOW = 0x00c2_8001
const PAUSE_HIGH = 0x0100
const MAC_CONTROL = 0x8808

/** What is kept of a frame besides its bytes while it waits. */
const FLAG = { loopback: 1, exact: 2, damaged: 4, replicated: 8 } as const
/** Above the flags: the source of a frame that a pool is to switch, `ESWITCH_PORT`. */
const SOURCE_SHIFT = 4

/** Cause of a drop for each verdict of the filters. */
export const VERDICT_DROPS: Readonly<Record<number, number>> = {
  [VERDICT.address]: DROP.addressFilter,
  [VERDICT.vlanTable]: DROP.vlanFilter,
  [VERDICT.noPool]: DROP.noPool,
  [VERDICT.poolDisabled]: DROP.poolDisabled,
  [VERDICT.ownPool]: DROP.ownPool,
}

export interface ReceiveParts {
  readonly chip: ReceiveChip
  readonly tables: FilterTables
  readonly rings: readonly ReceiveRing[]
  readonly rss: ReceiveSideScaling
  readonly queueFilters: QueueFilters
  readonly dma: NicDma
  readonly drops: DropCounts
  /** Bytes of the packet buffer. */
  readonly bufferSize: number
}

export class ReceivePath {
  observer: NicObserver | undefined = undefined
  readonly classifier: Classifier
  readonly buffer: PacketBuffer
  readonly #parts: ReceiveParts
  readonly #headers = new FrameHeaders()
  readonly #report = new ReceiveReport()
  readonly #layout = new BufferLayout()
  readonly #left = new PoolSet()
  /** A frame that waited, and a frame as it is stored if that is not how it came. */
  readonly #waiting = new Frame()
  readonly #stored = new Frame()
  #draining = false
  /** Number of the EtherType filter that the frame matches, -1 for none. */
  #etherType = -1

  constructor(parts: ReceiveParts) {
    this.#parts = parts
    this.classifier = new Classifier(parts.tables)
    this.buffer = new PacketBuffer(parts.bufferSize)
  }

  /** A frame has come from the wire. */
  fromWire(frame: Frame): void {
    const { chip } = this.#parts
    this.observer?.note({ step: 'fromWire', length: frame.length })
    const cause = this.#refusal(frame)
    if (cause >= 0) {
      this.#drop(cause, -1, -1)
      return
    }
    const { classifier } = this
    const { manager } = chip.filters()
    if (manager >= 0) classifier.direct(manager)
    else {
      const { queueFilters } = this.#parts
      const pool = queueFilters.poolOf(queueFilters.etherTypeOf(this.#headers))
      classifier.classify(this.#headers, -1, false, pool)
    }
    if (classifier.verdict === VERDICT.none) {
      chip.frameArrived(this.#headers, frame.length, classifier.exact)
      const source = manager < 0 ? ESWITCH_PORT.none : ESWITCH_PORT.wire
      this.#enter(frame, (frame.damaged ? FLAG.damaged : 0) | (source << SOURCE_SHIFT))
    } else {
      this.#noteChoice(false)
      this.#drop(VERDICT_DROPS[classifier.verdict]!, -1, -1)
    }
  }

  /** Cause for which the MAC drops a frame before any filter sees it, else -1; and parses it. */
  #refusal(frame: Frame): number {
    const { chip } = this.#parts
    const headers = this.#headers
    if (!chip.receiverEnabled) return DROP.receiverDisabled
    if (frame.damaged && !chip.keepsDamaged) return DROP.damaged
    if (frame.length < SHORTEST_FRAME) return DROP.tooShort
    if (frame.length + FCS_SIZE > chip.longestFrame) return DROP.tooLong
    headers.parse(frame.bytes, frame.length, chip.tagType)
    if (headers.etherType !== MAC_CONTROL || chip.keepsPauseFrames) return -1
    return headers.destinationLow === PAUSE_LOW && headers.destinationHigh === PAUSE_HIGH
      ? DROP.pauseFrame
      : -1
  }

  /**
   * A frame of a local pool, for the pools that {@link classifier} has chosen just now.
   * @param source told to the pool that switches it, `ESWITCH_PORT`
   */
  fromInside(frame: Frame, source: number = ESWITCH_PORT.none): void {
    this.#headers.parse(frame.bytes, frame.length, this.#parts.chip.tagType)
    this.#enter(frame, FLAG.loopback | (source << SOURCE_SHIFT))
  }

  #enter(frame: Frame, origin: number): void {
    const { pools, exact } = this.classifier
    const { pooling } = this.#parts.tables
    this.#noteChoice((origin & FLAG.loopback) !== 0)
    const flags = origin | (exact ? FLAG.exact : 0) | (pools.several ? FLAG.replicated : 0)
    if (pooling) this.#left.set(pools.low, pools.high)
    else this.#left.set(1, 0)
    // Those that wait come first.
    const waits = this.buffer.count > 0 || !this.#deliver(frame, flags)
    if (waits && !this.buffer.push(frame, this.#left, flags)) {
      for (let pool = this.#left.first; pool >= 0; pool = this.#left.first) {
        this.#left.remove(pool)
        this.#drop(DROP.packetBufferFull, pool, -1)
      }
    }
  }

  /** Descriptors came, a queue was enabled or disabled: frames that waited may go on. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    const frame = this.#waiting
    while (this.buffer.count > 0) {
      const flags = this.buffer.peek(frame, this.#left)
      this.#headers.parse(frame.bytes, frame.length, this.#parts.chip.tagType)
      if (!this.#deliver(frame, flags)) {
        this.buffer.keep(this.#left)
        break
      }
      this.buffer.pop()
    }
    this.#draining = false
  }

  /** Delivers to the pools that are left; false if one has to wait. */
  #deliver(frame: Frame, flags: number): boolean {
    const { chip } = this.#parts
    const headers = this.#headers
    const report = this.#report
    const left = this.#left
    this.#etherType = this.#parts.queueFilters.etherTypeOf(headers)
    examine(frame.bytes, headers, chip, (flags & FLAG.loopback) !== 0, (flags & FLAG.exact) !== 0, report)
    report.source = flags >>> SOURCE_SHIFT
    if (this.#etherType >= 0) report.packetType = PACKET_TYPE.ETQF | this.#etherType
    if (flags & FLAG.damaged) {
      report.errors |= chip.errorBits.RXE
      report.legacyErrors |= RX_LEGACY_ERROR.RXE | RX_LEGACY_ERROR.CE
    }
    const { rss } = this.#parts
    rss.look(chip.rssFields, frame.bytes, headers)
    report.rssType = chip.reportsHash ? rss.type : 0
    report.hash = chip.reportsHash ? rss.hash : this.#fragmentDword(frame)
    const entry = rss.type === 0 ? -1 : rss.entry
    for (let pool = left.first; pool >= 0; pool = left.first) {
      if (!this.#deliverTo(pool, frame, entry, flags)) return false
      left.remove(pool)
    }
    return true
  }

  /** Without RSS hash: IP identification and checksum of the packet behind the MAC header. */
  #fragmentDword(frame: Frame): number {
    const { ipVersion, networkStart } = this.#headers
    const identification = ipVersion === 4 ? read16(frame.bytes, networkStart + 4) : 0
    const checksum = packetChecksum(frame.bytes, networkStart, frame.length)
    this.#report.checksum = checksum
    return identification | (checksum << 16)
  }

  /** False if the frame has to wait for descriptors of the pool's queue. */
  #deliverTo(pool: number, frame: Frame, entry: number, flags: number): boolean {
    const { chip, rings, dma, queueFilters } = this.#parts
    const headers = this.#headers
    const report = this.#report
    const replicated = (flags & FLAG.replicated) !== 0
    if (frame.length + FCS_SIZE > chip.poolLimit(pool, headers.tagged)) {
      this.#drop(DROP.poolLengthLimit, pool, -1)
      return true
    }
    const filtered = queueFilters.queueOf(pool, this.#etherType, frame.bytes, headers)
    const queue = filtered < 0 ? chip.receiveQueue(pool, entry, headers) : filtered
    if (filtered >= 0) this.observer?.note({ step: 'steered', pool, queue })
    const ring = rings[queue]!
    const fn = chip.functionOfReceiveQueue(queue)
    if (!ring.enabled || fn === undefined) {
      this.#drop(ring.enabled ? DROP.busMasterDisabled : DROP.queueDisabled, pool, queue)
      return true
    }
    const stripTag = headers.tagged && chip.stripsTag(pool, queue, replicated)
    const keepFcs = !chip.stripsCheckSequence(pool, replicated)
    const stored = stripTag || keepFcs ? this.#reshape(frame, stripTag, keepFcs) : frame
    report.tag = stripTag ? headers.tag : 0
    const status = report.status
    if (headers.tagged) report.status |= RX_STATUS.VP
    if (!stripTag) report.status &= ~RX_STATUS.VP
    chip.bufferLayout(queue, pool, headers, this.#layout)
    if (stripTag && this.#layout.header > 0) this.#layout.header -= TAG_SIZE
    const wasStopped = ring.stopped
    const outcome = ring.store(dma, fn, stored.bytes, stored.length, this.#layout, report)
    report.status = status
    switch (outcome) {
      case STORED.noDescriptor: {
        const drops = chip.dropsWithoutDescriptor(queue)
        chip.noDescriptor(queue, drops)
        if (!drops) {
          this.observer?.note({ step: 'waits', queue })
          return false
        }
        this.#drop(DROP.noDescriptor, pool, queue)
        return true
      }
      case STORED.stopped:
        if (!wasStopped) chip.busError()
        this.#drop(DROP.queueStopped, pool, queue)
        return true
      case STORED.writeLost:
        this.#drop(DROP.dmaFault, pool, queue)
        break
      default:
        this.observer?.note({
          step: 'stored',
          queue,
          pool,
          descriptors: ring.taken,
          length: stored.length,
          rssHash: this.#parts.rss.hash,
        })
        this.stored++
    }
    chip.frameStored(queue, pool, headers, frame.length, (flags & FLAG.loopback) !== 0)
    return true
  }

  /** Copies of frames that were stored, one for each pool. */
  stored = 0

  #reshape(frame: Frame, stripTag: boolean, keepFcs: boolean): Frame {
    const stored = this.#stored
    const tag = stripTag ? TAG_SIZE : 0
    copyBytes(frame.bytes, 0, stored.bytes, 0, 12)
    copyBytes(frame.bytes, 12 + tag, stored.bytes, 12, frame.length - 12 - tag)
    stored.length = frame.length - tag
    if (!keepFcs) return stored
    const fcs = frameCheckSequence(frame.bytes, frame.length)
    const { bytes, length } = stored
    bytes[length] = fcs
    bytes[length + 1] = fcs >>> 8
    bytes[length + 2] = fcs >>> 16
    bytes[length + 3] = fcs >>> 24
    stored.length = length + FCS_SIZE
    return stored
  }

  #noteChoice(loopback: boolean): void {
    if (this.observer === undefined) return
    const { pools, exact } = this.classifier
    const chosen = Array.from({ length: 64 }, (_, pool) => pool).filter(pool => pools.has(pool))
    this.observer.note({ step: 'classified', pools: chosen, exact, loopback })
  }

  #drop(cause: number, pool: number, queue: number): void {
    const { drops, chip } = this.#parts
    drops.add(cause)
    chip.frameDropped(cause, queue)
    this.observer?.note({ step: 'dropped', cause: DROP_CAUSES[cause]!, pool, queue })
  }

  /** Empties the packet buffer: the port was reset. */
  reset(): void {
    for (let count = this.buffer.count; count > 0; count--) this.#drop(DROP.reset, -1, -1)
    this.buffer.clear()
  }
}
