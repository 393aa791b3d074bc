/** What the receive path asks of the 82599: from its registers. */
import { type FilterTables, type FrameHeaders, IP_PROTOCOL } from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import { RX_ERROR_82599 } from '../../formats/nic/descriptors.ts'
import {
  EICR,
  FCTRL,
  HLREG0,
  MAXFRS,
  MRQC,
  MRQC_MODE,
  PSRTYPE,
  RX_LOWER,
  RXCSUM,
  RXCTRL,
  VLNCTRL,
} from '../../formats/nic/i82599-registers.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import type { ReceiveChip } from '../common/chip.ts'
import { endOfNetwork, endOfTransport } from '../common/frame-report.ts'
import { DROP } from '../common/nic-model.ts'
import type { BufferLayout } from '../common/receive-ring.ts'
import type { Interrupts82599 } from './interrupts.ts'
import { isPooling, modeOf, queuesPerPool } from './pools.ts'
import type { Statistics82599 } from './statistics.ts'
import { receiveBase } from './vf-window.ts'

/** Without jumbo frames: 1518 bytes, and the tag. */
const STANDARD_FRAME = 1518
const TAGGED_FRAME = 1522
const HEADER_UNIT = 64
/** Distances from a queue's first register, in dwords. */
const SRRCTL_WORD = (RX_LOWER.SRRCTL.offset - RX_LOWER.RDBAL.offset) >>> 2
const RXDCTL_WORD = (RX_LOWER.RXDCTL.offset - RX_LOWER.RDBAL.offset) >>> 2

export interface ReceiveChipParts {
  readonly words: Uint32Array
  readonly pf: PcieFunction
  readonly statistics: Statistics82599
  readonly interrupts: Interrupts82599
  /** Drop enable of each queue, behind QDE. */
  readonly dropEnable: Uint8Array
  filters(): FilterTables
}

export class ReceiveChip82599 implements ReceiveChip {
  readonly errorBits = RX_ERROR_82599
  readonly checksIp = true
  readonly checksTransport = true
  readonly #words: Uint32Array
  readonly #parts: ReceiveChipParts

  constructor(parts: ReceiveChipParts) {
    this.#words = parts.words
    this.#parts = parts
  }

  filters(): FilterTables {
    return this.#parts.filters()
  }

  get receiverEnabled(): boolean {
    return (this.#words[RXCTRL.offset >>> 2]! & RXCTRL.bits.RXEN) !== 0
  }

  get keepsDamaged(): boolean {
    return (this.#words[FCTRL.offset >>> 2]! & FCTRL.bits.SBP) !== 0
  }

  get keepsPauseFrames(): boolean {
    const fctrl = this.#words[FCTRL.offset >>> 2]!
    return (fctrl & FCTRL.bits.PMCF) !== 0 && (fctrl & FCTRL.bits.DPF) === 0
  }

  get tagType(): number {
    return this.#words[VLNCTRL.offset >>> 2]! & VLNCTRL.bits.VET
  }

  get longestFrame(): number {
    if (!(this.#words[HLREG0.offset >>> 2]! & HLREG0.bits.JUMBOEN)) return TAGGED_FRAME
    // A tag is not counted in MFS.
    return fieldOf(this.#words[MAXFRS.offset >>> 2]!, MAXFRS.bits.MFS) + TAGGED_FRAME - STANDARD_FRAME
  }

  poolLimit(): number {
    return Number.MAX_SAFE_INTEGER
  }

  get rssFields(): number {
    const mode = modeOf(this.#words)
    const hashed = mode === MRQC_MODE.rss || mode === MRQC_MODE.vmdqRss32 || mode === MRQC_MODE.vmdqRss64
    return hashed ? this.#words[MRQC.offset >>> 2]! : 0
  }

  get reportsHash(): boolean {
    return (this.#words[RXCSUM.offset >>> 2]! & RXCSUM.bits.PCSD) !== 0
  }

  /** "Queuing": pool p of q queues each has those from p * q on; RSS chooses among them, else the priority does. */
  receiveQueue(pool: number, entry: number, headers: FrameHeaders): number {
    const words = this.#words
    const mode = modeOf(words)
    if (!isPooling(words)) return mode === MRQC_MODE.rss && entry >= 0 ? entry & 15 : 0
    const queues = queuesPerPool(words)
    const first = pool * queues
    switch (mode) {
      case MRQC_MODE.vmdqRss32:
      case MRQC_MODE.vmdqRss64: {
        // "RQPL": how many bits of the index the pool uses.
        const usable = 2 ** fieldOf(words[(PSRTYPE.offset >>> 2) + pool]!, PSRTYPE.bits.RQPL)
        return entry < 0 ? first : first + (entry & (Math.min(queues, usable) - 1))
      }
      case MRQC_MODE.vmdq16Tc8:
      case MRQC_MODE.vmdq32Tc4:
        return first + Math.min(queues - 1, headers.tagged ? headers.tag >>> 13 : 0)
    }
    return first
  }

  functionOfReceiveQueue(queue: number): PcieFunction | undefined {
    return functionOf(this.#parts.pf, this.#parts.interrupts.ownerOfQueue(queue))
  }

  dropsWithoutDescriptor(queue: number): boolean {
    return this.#parts.dropEnable[queue] !== 0 || (this.#srrctl(queue) & RX_LOWER.SRRCTL.bits.DROP_EN) !== 0
  }

  #srrctl(queue: number): number {
    return this.#words[(receiveBase(queue) >>> 2) + SRRCTL_WORD]!
  }

  stripsTag(_pool: number, queue: number): boolean {
    return (this.#words[(receiveBase(queue) >>> 2) + RXDCTL_WORD]! & RX_LOWER.RXDCTL.bits.VME) !== 0
  }

  stripsCheckSequence(): boolean {
    return (this.#words[HLREG0.offset >>> 2]! & HLREG0.bits.RXCRCSTRP) !== 0
  }

  bufferLayout(queue: number, pool: number, headers: FrameHeaders, into: BufferLayout): void {
    const srrctl = this.#srrctl(queue)
    const { bits } = RX_LOWER.SRRCTL
    into.type = fieldOf(srrctl, bits.DESCTYPE)
    into.packetSize = Math.max(1, srrctl & bits.BSIZEPACKET) * 1024
    into.headerSize = fieldOf(srrctl, bits.BSIZEHEADER) * HEADER_UNIT
    into.header = into.type < 2 ? 0 : splitPoint(this.#words[(PSRTYPE.offset >>> 2) + pool]!, headers)
  }

  frameArrived(headers: FrameHeaders, length: number): void {
    this.#parts.statistics.received(headers, length)
  }

  frameStored(queue: number, pool: number): void {
    this.#parts.statistics.stored(pool)
    this.#parts.interrupts.received(queue)
  }

  frameDropped(cause: number, queue: number): void {
    this.#parts.statistics.dropped(cause, queue)
    if (cause === DROP.packetBufferFull) this.#parts.interrupts.other(EICR.bits.RX_MISS)
  }

  noDescriptor(): void {
    this.#parts.statistics.noBuffer()
  }

  busError(): void {
    this.#parts.interrupts.other(EICR.bits.PCI_EXCEPTION)
  }
}

/** The function of a queue's owner, while it may master the bus. */
export function functionOf(pf: PcieFunction, owner: number): PcieFunction | undefined {
  const fn = owner < 0 ? pf : pf.virtualFunctions[owner]
  return fn?.busMasterEnabled && fn.isPoweredUp ? fn : undefined
}

/** Bytes of the highest header that is to be split off and that the frame has; 0 for none. */
function splitPoint(psrtype: number, headers: FrameHeaders): number {
  const { TCP, UDP, IPV4, IPV6, L2 } = PSRTYPE.bits
  const transport = endOfTransport(headers)
  if (transport > 0 && headers.protocol === IP_PROTOCOL.tcp && psrtype & TCP) return transport
  if (transport > 0 && headers.protocol === IP_PROTOCOL.udp && psrtype & UDP) return transport
  if ((headers.ipVersion === 4 && psrtype & IPV4) || (headers.ipVersion === 6 && psrtype & IPV6)) {
    return endOfNetwork(headers)
  }
  return psrtype & L2 ? headers.networkStart : 0
}
