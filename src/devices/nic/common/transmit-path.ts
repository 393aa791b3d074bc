/**
 * The way of a frame from memory to the wire, or to other pools: descriptors, offloads, anti-spoofing, the switch inside.
 * A packet is taken when all of its descriptors are there; until then the queue's head stays before it.
 */
import {
  checksumOf,
  FCS_SIZE,
  type FilterTables,
  Frame,
  FrameHeaders,
  HEADER_SIZE,
  insertTag,
  lineOccupancy,
  type NetworkPort,
  SHORTEST_FRAME,
  sumBytes,
  VERDICT,
  write16,
} from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import { ESWITCH_PORT, TX_COMMAND, TX_DATA, TX_LEGACY, TX_TYPE } from '../../formats/nic/descriptors.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import type { TransmitChip } from './chip.ts'
import type { NicDma } from './nic-dma.ts'
import { DROP, DROP_CAUSES, type DropCounts, type NicObserver } from './nic-model.ts'
import { type ReceivePath, VERDICT_DROPS } from './receive-path.ts'
import { insertChecksums, OffloadContext, Segmentation } from './transmit-offload.ts'
import type { TransmitRing } from './transmit-ring.ts'
import type { TransmitSchedule } from './transmit-schedule.ts'

/** Largest packet that can be handed over for segmentation: 18 bits of PAYLEN, and its headers. */
const LARGEST_PACKET = 2 ** 18 + 1024

export interface TransmitParts {
  readonly chip: TransmitChip
  readonly tables: FilterTables
  readonly rings: readonly TransmitRing[]
  readonly receive: ReceivePath
  readonly dma: NicDma
  readonly drops: DropCounts
  readonly port: NetworkPort | undefined
  readonly schedule: TransmitSchedule
  /** Has the tables filled from the registers. */
  refreshFilters(): void
}

export class TransmitPath {
  observer: NicObserver | undefined = undefined
  readonly #parts: TransmitParts
  readonly #headers = new FrameHeaders()
  readonly #context = new OffloadContext()
  readonly #segmentation = new Segmentation(this.#context)
  readonly #frame = new Frame()
  /** Made for the first packet that is to be segmented. */
  #packet = new Uint8Array(0)
  /** Descriptors of the packet at hand that ask for a report, by their distance from the head. */
  #reports = new Int32Array(64)
  #reportCount = 0
  #running = false
  /** Bytes of line that the packet at hand has occupied: its queue's time, and that of the wire. */
  #occupied = 0
  #onWire = 0
  /** Where the pool that switches wants the packet at hand to go, `ESWITCH_PORT`. */
  #destination: number = ESWITCH_PORT.none
  readonly #again: Uint8Array

  constructor(parts: TransmitParts) {
    this.#parts = parts
    this.#again = new Uint8Array(parts.rings.length)
  }

  /** Software rang a queue's doorbell, or enabled it. */
  run(queue: number): void {
    this.#again[queue] = 1
    if (this.#running) return
    this.#running = true
    for (let next = queue; next >= 0; next = this.#again.indexOf(1)) {
      this.#again[next] = 0
      this.#runQueue(next)
    }
    this.#running = false
  }

  /** See {@link TransmitSchedule}. */
  timeIsUp(argument: number): void {
    this.#parts.schedule.timeIsUp(argument, this.#resume)
  }

  readonly #resume = (queue: number): void => this.run(queue)

  #runQueue(queue: number): void {
    const { chip, rings, schedule } = this.#parts
    const ring = rings[queue]!
    const pool = chip.poolOfTransmitQueue(queue)
    while (chip.transmitterEnabled && ring.enabled && !ring.stopped && chip.poolMaySend(pool)) {
      const fn = chip.functionOfTransmitQueue(queue)
      if (fn === undefined || ring.available === 0) return
      const delay = schedule.delays(queue)
      if (delay !== undefined) {
        this.observer?.note({ step: 'delayed', queue, pool, by: delay })
        return
      }
      this.#occupied = 0
      this.#onWire = 0
      const taken = this.#takePacket(ring, fn, pool)
      if (this.#occupied > 0) schedule.sent(queue, this.#occupied, this.#onWire)
      if (!taken) return
    }
  }

  /** Takes one packet, or one context, from a ring; false if there is none that is complete. */
  #takePacket(ring: TransmitRing, fn: PcieFunction, pool: number): boolean {
    const { dma } = this.#parts
    const { available, fields } = ring
    let length = 0
    let command = 0
    let options = 0
    let problem = -1
    this.#reportCount = 0
    for (let ahead = 0; ahead < available; ahead++) {
      if (!ring.fetch(dma, fn, ahead)) return this.#halt(ring)
      const word = fields[2]!
      const extended = (word & TX_COMMAND.DEXT) !== 0
      const type = fieldOf(word, TX_DATA.DTYP)
      if (word & TX_COMMAND.RS) this.#report(ahead)
      if (extended && type === TX_TYPE.context && ahead === 0) {
        ring.contexts.set(fields, (fieldOf(fields[3]!, TX_DATA.IDX) & 1) * 4)
        this.#complete(ring, fn, 1)
        return true
      }
      if (extended && type !== TX_TYPE.data) problem = DROP.malformedDescriptor
      if (ahead === 0) {
        command = word
        options = fields[3]!
      }
      if (problem < 0) {
        const size = word & TX_DATA.DTALEN
        const target = this.#room(command, length + size)
        if (target === undefined) problem = DROP.tooLong
        else if (size > 0 && !dma.read(fn, fields[0]!, fields[1]!, 0, size, target, length)) {
          this.#drop(DROP.dmaFault, pool, ring.queue)
          return this.#halt(ring)
        }
        length += size
      }
      if (!(word & TX_COMMAND.EOP) && problem !== DROP.malformedDescriptor) continue
      const descriptors = ahead + 1
      if (problem >= 0) this.#drop(problem, pool, ring.queue)
      else {
        this.observer?.note({ step: 'fetched', queue: ring.queue, pool, length })
        this.#packetReady(ring, pool, command, options, length)
      }
      this.#complete(ring, fn, descriptors)
      return true
    }
    if (available > 0 && available === ring.count - 1) {
      // The whole ring holds no end of a packet: the hardware could never go on.
      this.#drop(DROP.malformedDescriptor, pool, ring.queue)
      return this.#halt(ring)
    }
    return false
  }

  /** Nothing behind a read that failed is taken: software has to disable and enable the queue. */
  #halt(ring: TransmitRing): false {
    ring.stopped = true
    this.#parts.chip.busError()
    return false
  }

  /** Where the bytes of a packet go; undefined if it would be too large. */
  #room(command: number, length: number): Uint8Array | undefined {
    if (command & TX_COMMAND.DEXT && command & TX_COMMAND.TSE) {
      if (this.#packet.length === 0) this.#packet = new Uint8Array(LARGEST_PACKET)
      return length <= this.#packet.length ? this.#packet : undefined
    }
    return length + FCS_SIZE <= this.#parts.chip.longestTransmit ? this.#frame.bytes : undefined
  }

  #report(ahead: number): void {
    if (this.#reportCount === this.#reports.length) {
      const longer = new Int32Array(this.#reports.length * 4)
      longer.set(this.#reports)
      this.#reports = longer
    }
    this.#reports[this.#reportCount++] = ahead
  }

  /** Gives descriptors back to software, and tells it where it asked to be told. */
  #complete(ring: TransmitRing, fn: PcieFunction, descriptors: number): void {
    const { dma, chip } = this.#parts
    const tell = this.#reportCount > 0
    if (!ring.writesHeadBack)
      for (let i = 0; i < this.#reportCount; i++) ring.writeBack(dma, fn, this.#reports[i]!)
    ring.advance(descriptors)
    if (tell && ring.writesHeadBack) ring.writeHeadBack(dma, fn)
    if (tell) chip.descriptorDone(ring.queue)
  }

  #packetReady(ring: TransmitRing, pool: number, command: number, options: number, length: number): void {
    const frame = this.#frame
    const context = this.#context
    const extended = (command & TX_COMMAND.DEXT) !== 0
    let tag = -1
    this.#destination = extended ? fieldOf(options, TX_DATA.DESTINATION) : ESWITCH_PORT.none
    if (!extended) {
      if (command & TX_COMMAND.VLE) tag = options >>> 16
    } else {
      context.load(ring.contexts, (fieldOf(options, TX_DATA.IDX) & 1) * 4)
      if (command & TX_COMMAND.VLE) tag = context.tag
      if (command & TX_COMMAND.TSE) {
        this.#segment(ring, pool, length, tag)
        return
      }
    }
    frame.length = length
    frame.damaged = false
    const ready = extended
      ? insertChecksums(frame, context, (options & TX_DATA.IXSM) !== 0, (options & TX_DATA.TXSM) !== 0)
      : !(command & TX_COMMAND.IC) || insertLegacyChecksum(frame, command, options)
    if (ready) this.#send(ring, pool, frame, tag)
    else this.#drop(DROP.malformedDescriptor, pool, ring.queue)
  }

  #segment(ring: TransmitRing, pool: number, length: number, tag: number): void {
    const { chip } = this.#parts
    const frame = this.#frame
    const segmentation = this.#segmentation
    const largest = this.#context.headerLength + this.#context.mss + FCS_SIZE
    if (largest > chip.longestTransmit || !segmentation.begin(this.#packet, length)) {
      this.#drop(DROP.malformedDescriptor, pool, ring.queue)
      return
    }
    chip.segmented()
    while (segmentation.more) {
      segmentation.next(frame, chip.tcpFlagMask)
      this.#send(ring, pool, frame, tag)
    }
  }

  /** Lets a frame out, if its pool may send it: to the wire, to other pools, or both. */
  #send(ring: TransmitRing, pool: number, frame: Frame, wantedTag: number): void {
    const { chip, receive } = this.#parts
    const headers = this.#headers
    const { queue } = ring
    const portTag = chip.portTag(pool)
    const tag = portTag === -2 ? -1 : portTag >= 0 ? portTag : wantedTag
    if (frame.length < HEADER_SIZE || (tag >= 0 && !insertTag(frame, tag, chip.tagType))) {
      this.#drop(DROP.malformedDescriptor, pool, queue)
      return
    }
    if (chip.padsShortFrames && frame.length < SHORTEST_FRAME) {
      frame.bytes.fill(0, frame.length, SHORTEST_FRAME)
      frame.length = SHORTEST_FRAME
    }
    headers.parse(frame.bytes, frame.length, chip.tagType)
    this.#parts.refreshFilters()
    const spoof = this.#spoofed(pool, portTag)
    if (spoof >= 0) {
      chip.spoofed(pool)
      this.#drop(spoof, pool, queue)
      return
    }
    ring.frames++
    ring.bytes += frame.length
    const occupied = lineOccupancy(frame.length)
    this.#occupied += occupied
    if (chip.macLoopback) {
      receive.fromWire(frame)
      chip.frameSent(headers, frame.length, pool, false, true)
      return
    }
    let toWire = true
    let local = false
    const { manager } = this.#parts.tables
    if (manager >= 0) {
      toWire = pool === manager && !isFunction(this.#destination)
      if (!toWire) local = this.#divert(pool, manager, frame, queue)
    } else if (chip.switches) {
      const { classifier } = receive
      classifier.classify(headers, pool, chip.loopsToItself(pool))
      local = classifier.verdict === VERDICT.none
      toWire = !classifier.localUnicast
      if (local) receive.fromInside(frame)
      else if (!toWire) this.#drop(VERDICT_DROPS[classifier.verdict]!, pool, queue)
    }
    if (toWire) {
      this.#onWire += occupied
      const sent = this.#parts.port?.send(frame) === true
      this.observer?.note({ step: 'toWire', length: frame.length, sent })
      if (!sent) this.#drop(DROP.noCarrier, pool, queue)
    }
    chip.frameSent(headers, frame.length, pool, toWire, local)
  }

  /** Software switches: its pool gets what others send, and says who gets what it sends. False: nobody has it. */
  #divert(pool: number, manager: number, frame: Frame, queue: number): boolean {
    const { receive } = this.#parts
    const { classifier } = receive
    const { firstFunction, none } = ESWITCH_PORT
    classifier.direct(pool === manager ? this.#destination - firstFunction : manager)
    const local = classifier.verdict === VERDICT.none
    if (local) receive.fromInside(frame, pool === manager ? none : pool + firstFunction)
    else this.#drop(VERDICT_DROPS[classifier.verdict]!, pool, queue)
    return local
  }

  /** Cause of a drop if the frame claims to be from somebody else, else -1. */
  #spoofed(pool: number, portTag: number): number {
    const { chip, receive } = this.#parts
    const { sourceLow, sourceHigh, tagged, vlan } = this.#headers
    if (chip.checksMac(pool) && !receive.classifier.ownsAddress(pool, sourceLow, sourceHigh))
      return DROP.macSpoof
    // A tag that the physical function chose is no claim of the pool's.
    if (portTag < 0 && chip.checksVlan(pool) && tagged && !receive.classifier.inVlan(pool, vlan)) {
      return DROP.vlanSpoof
    }
    return -1
  }

  #drop(cause: number, pool: number, queue: number): void {
    this.#parts.drops.add(cause)
    this.#parts.chip.frameDropped(cause, queue)
    this.observer?.note({ step: 'dropped', cause: DROP_CAUSES[cause]!, pool, queue })
  }
}

const isFunction = (destination: number): boolean =>
  destination !== ESWITCH_PORT.none && destination !== ESWITCH_PORT.wire

/** "Legacy Transmit Descriptor", IC: the sum from CSS to the end, at CSO. False if CSO lies outside the frame. */
function insertLegacyChecksum(frame: Frame, command: number, options: number): boolean {
  const start = fieldOf(options, TX_LEGACY.CSS)
  const at = fieldOf(command, TX_LEGACY.CSO)
  if (at + 2 > frame.length || start > frame.length) return false
  write16(frame.bytes, at, checksumOf(sumBytes(frame.bytes, start, frame.length)))
  return true
}
