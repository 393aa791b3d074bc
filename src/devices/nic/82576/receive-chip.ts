/** What the receive path asks of the 82576: from its registers. */
import type { FilterTables, FrameHeaders } from '../../../net/index.ts'
import { IP_PROTOCOL } from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import { RX_ERROR_82576 } from '../../formats/nic/descriptors.ts'
import {
  CTRL,
  I82576_POOLS,
  ICR_BIT,
  MRQC,
  MRQC_MODE,
  PSRTYPE,
  QDE,
  RCTL,
  RLPML,
  RPLOLR,
  RXCSUM,
  SRRCTL,
  VET,
  VMOLR,
} from '../../formats/nic/i82576-registers.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import type { ReceiveChip } from '../common/chip.ts'
import { endOfNetwork, endOfTransport } from '../common/frame-report.ts'
import { DROP } from '../common/nic-model.ts'
import type { BufferLayout } from '../common/receive-ring.ts'
import { isPooling } from './filters.ts'
import type { Interrupts82576 } from './interrupts.ts'
import type { Statistics82576 } from './statistics.ts'

/** Without LPE: 1518 bytes, and the tag. */
const STANDARD_FRAME = 1518
const TAGGED_FRAME = 1522
/** `RCTL.BSIZE`: bytes of a buffer where SRRCTL gives no size. */
const BUFFER_SIZES = [2048, 1024, 512, 256] as const
const HEADER_UNIT = 64

/** `PSRTYPE`: which kinds of header are split off. */
const SPLIT = {
  mac: 1 << 0,
  ipv4: 1 << 1,
  ipv4Tcp: 1 << 2,
  ipv4Udp: 1 << 3,
  ipv6: 1 << 7,
  ipv6Tcp: 1 << 8,
  ipv6Udp: 1 << 9,
} as const

export interface ReceiveChipParts {
  readonly words: Uint32Array
  readonly pf: PcieFunction
  readonly statistics: Statistics82576
  readonly interrupts: Interrupts82576
  filters(): FilterTables
}

export class ReceiveChip82576 implements ReceiveChip {
  readonly errorBits = RX_ERROR_82576
  readonly #words: Uint32Array
  readonly #parts: ReceiveChipParts

  constructor(parts: ReceiveChipParts) {
    this.#words = parts.words
    this.#parts = parts
  }

  filters(): FilterTables {
    return this.#parts.filters()
  }

  get #rctl(): number {
    return this.#words[RCTL.offset >>> 2]!
  }

  get receiverEnabled(): boolean {
    return (this.#rctl & RCTL.bits.RXEN) !== 0
  }

  get keepsDamaged(): boolean {
    return (this.#rctl & RCTL.bits.SBP) !== 0
  }

  /** "Pass MAC Control Frames" or, without "Discard Pause Frames", to the filters. */
  get keepsPauseFrames(): boolean {
    return (this.#rctl & RCTL.bits.PMCF) !== 0 && (this.#rctl & RCTL.bits.DPF) === 0
  }

  get tagType(): number {
    return this.#words[VET.offset >>> 2]! & VET.bits.VET
  }

  get longestFrame(): number {
    if (!(this.#rctl & RCTL.bits.LPE)) return TAGGED_FRAME
    return this.#words[RLPML.offset >>> 2]! & RLPML.bits.RLPML
  }

  poolLimit(pool: number, tagged: boolean): number {
    if (!isPooling(this.#words)) return Number.MAX_SAFE_INTEGER
    const vmolr = this.#vmolr(pool)
    if (vmolr & VMOLR.bits.LPE) return vmolr & VMOLR.bits.RLPML
    return tagged ? TAGGED_FRAME : STANDARD_FRAME
  }

  #vmolr(pool: number): number {
    return this.#words[(VMOLR.offset >>> 2) + pool]!
  }

  get rssFields(): number {
    const mode = this.#words[MRQC.offset >>> 2]! & MRQC.bits.ENABLE
    return mode === MRQC_MODE.rss || mode === MRQC_MODE.vmdqRss ? this.#words[MRQC.offset >>> 2]! : 0
  }

  get reportsHash(): boolean {
    return (this.#words[RXCSUM.offset >>> 2]! & RXCSUM.bits.PCSD) !== 0
  }

  get checksIp(): boolean {
    return (this.#words[RXCSUM.offset >>> 2]! & RXCSUM.bits.IPOFLD) !== 0
  }

  get checksTransport(): boolean {
    return (this.#words[RXCSUM.offset >>> 2]! & RXCSUM.bits.TUOFLD) !== 0
  }

  /** "Receive Queuing": pool p has queues p and p + 8. */
  receiveQueue(pool: number, entry: number): number {
    const mrqc = this.#words[MRQC.offset >>> 2]!
    switch (mrqc & MRQC.bits.ENABLE) {
      case MRQC_MODE.vmdq:
        return pool
      case MRQC_MODE.vmdqRss:
        return entry > 0 && entry & 1 && this.#vmolr(pool) & VMOLR.bits.RSSE ? pool + I82576_POOLS : pool
      case MRQC_MODE.rss:
        if (entry >= 0) return entry & 15
    }
    return fieldOf(mrqc, MRQC.bits.DEF_Q)
  }

  functionOfReceiveQueue(queue: number): PcieFunction | undefined {
    return ownerOf(this.#parts.pf, queue)
  }

  dropsWithoutDescriptor(queue: number): boolean {
    return (
      (this.#srrctl(queue) & SRRCTL.bits.DROP_EN) !== 0 ||
      ((this.#words[QDE.offset >>> 2]! >>> queue) & 1) !== 0
    )
  }

  #srrctl(queue: number): number {
    return this.#words[(SRRCTL.offset + queue * SRRCTL.stride) >>> 2]!
  }

  stripsTag(pool: number, _queue: number, replicated: boolean): boolean {
    if (!isPooling(this.#words)) return (this.#words[CTRL.offset >>> 2]! & CTRL.bits.VME) !== 0
    if (replicated) return (this.#words[RPLOLR.offset >>> 2]! & RPLOLR.bits.STRVLAN) !== 0
    return (this.#vmolr(pool) & VMOLR.bits.STRVLAN) !== 0
  }

  stripsCheckSequence(pool: number, replicated: boolean): boolean {
    if (!isPooling(this.#words)) return (this.#rctl & RCTL.bits.SECRC) !== 0
    if (replicated) return (this.#words[RPLOLR.offset >>> 2]! & RPLOLR.bits.STRCRC) !== 0
    return (this.#vmolr(pool) & VMOLR.bits.STRCRC) !== 0
  }

  bufferLayout(queue: number, pool: number, headers: FrameHeaders, into: BufferLayout): void {
    const srrctl = this.#srrctl(queue)
    const kilobytes = srrctl & SRRCTL.bits.BSIZEPACKET
    into.type = fieldOf(srrctl, SRRCTL.bits.DESCTYPE)
    into.packetSize = kilobytes > 0 ? kilobytes * 1024 : BUFFER_SIZES[fieldOf(this.#rctl, RCTL.bits.BSIZE)]!
    into.headerSize = fieldOf(srrctl, SRRCTL.bits.BSIZEHEADER) * HEADER_UNIT
    into.header = into.type < 2 ? 0 : splitPoint(this.#words[(PSRTYPE.offset >>> 2) + pool]!, headers)
  }

  frameArrived(headers: FrameHeaders, length: number): void {
    this.#parts.statistics.received(headers, length)
  }

  frameStored(queue: number, pool: number, headers: FrameHeaders, length: number, loopback: boolean): void {
    this.#parts.statistics.stored(pool, headers, length, loopback)
    this.#parts.interrupts.received(queue)
  }

  frameDropped(cause: number, queue: number): void {
    this.#parts.statistics.dropped(cause, queue)
    if (cause === DROP.packetBufferFull) this.#parts.interrupts.other(ICR_BIT.RXO)
  }

  noDescriptor(): void {
    this.#parts.statistics.noBuffer()
  }

  busError(): void {
    this.#parts.interrupts.other(ICR_BIT.FER)
  }
}

/** Who a queue works for: virtual function p has queues p and p + 8, the physical one the rest. */
export function ownerOf(pf: PcieFunction, queue: number): PcieFunction | undefined {
  const owner = pf.virtualFunctions[queue % I82576_POOLS] ?? pf
  return owner.busMasterEnabled && owner.isPoweredUp ? owner : undefined
}

/** Bytes of the longest kind of header that is enabled and that the frame has; 0 for none. */
function splitPoint(enabled: number, headers: FrameHeaders): number {
  const transport = endOfTransport(headers)
  const { ipVersion, protocol } = headers
  const tcp = transport > 0 && protocol === IP_PROTOCOL.tcp
  const udp = transport > 0 && protocol === IP_PROTOCOL.udp
  if (ipVersion === 4) {
    if ((tcp && enabled & SPLIT.ipv4Tcp) || (udp && enabled & SPLIT.ipv4Udp)) return transport
    if (enabled & SPLIT.ipv4) return endOfNetwork(headers)
  } else if (ipVersion === 6) {
    if ((tcp && enabled & SPLIT.ipv6Tcp) || (udp && enabled & SPLIT.ipv6Udp)) return transport
    if (enabled & SPLIT.ipv6) return endOfNetwork(headers)
  }
  return enabled & SPLIT.mac ? headers.networkStart : 0
}
