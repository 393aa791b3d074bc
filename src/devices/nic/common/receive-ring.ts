/** A receive queue: its ring of descriptors in memory, and how a frame gets into the buffers that they name. */
import type { PcieFunction } from '../../../pcie/index.ts'
import {
  DESCRIPTOR_SIZE,
  DESCRIPTOR_TYPE,
  RX_INFO,
  RX_LEGACY_STATUS,
  RX_STATUS,
} from '../../formats/nic/descriptors.ts'
import { inField } from '../../formats/nic/register.ts'
import { DescriptorRing } from './descriptor-ring.ts'
import type { NicDma } from './nic-dma.ts'

/** What is written back about a frame, whatever the format. */
export class ReceiveReport {
  rssType = 0
  packetType = 0
  /** `ESWITCH_PORT`. */
  source = 0
  /** RSS hash, or IP identification and fragment checksum. */
  hash = 0
  /** Bits of `RX_STATUS` besides DD and EOP. */
  status = 0
  /** Bits 31:20 of dword 2, at the chip's places, and errors of the legacy format. */
  errors = 0
  legacyErrors = 0
  checksum = 0
  tag = 0
}

/** How a frame is put into buffers: from SRRCTL. */
export class BufferLayout {
  /** Value of `DESCRIPTOR_TYPE`. */
  type: number = DESCRIPTOR_TYPE.legacy
  /** Bytes of a packet buffer and of a header buffer. */
  packetSize = 2048
  headerSize = 0
  /** Bytes of header that were recognized for splitting, 0 for none. */
  header = 0
}

export const STORED = { done: 0, noDescriptor: 1, stopped: 2, writeLost: 3 } as const

export class ReceiveRing extends DescriptorRing {
  /** Descriptors that the last frame took. */
  taken = 0

  /** Puts a frame into buffers and writes its descriptors back. Returns how it ended, `STORED`. */
  store(
    dma: NicDma,
    fn: PcieFunction,
    bytes: Uint8Array,
    length: number,
    layout: BufferLayout,
    report: ReceiveReport,
  ): number {
    if (this.stopped) return STORED.stopped
    const legacy = layout.type === DESCRIPTOR_TYPE.legacy
    const header = legacy ? 0 : headerBytes(layout, length)
    const replicated =
      layout.type === DESCRIPTOR_TYPE.headerReplication ||
      layout.type === DESCRIPTOR_TYPE.headerReplicationLarge
    const from = replicated ? 0 : header
    const needed = Math.max(1, Math.ceil((length - from) / layout.packetSize))
    if (needed > this.available) return STORED.noDescriptor
    const fields = this.fields
    let lost = false
    let position = from
    for (let number = 0; number < needed; number++) {
      const displacement = this.head * DESCRIPTOR_SIZE
      const low = this.baseLow | 0
      const high = this.baseHigh | 0
      if (!dma.read(fn, low, high, displacement, DESCRIPTOR_SIZE, this.descriptor, 0)) {
        this.stopped = true
        return STORED.stopped
      }
      const first = number === 0
      if (first && header > 0 && !dma.write(fn, fields[2]! & ~1, fields[3]!, 0, header, bytes, 0)) lost = true
      const chunk = Math.min(layout.packetSize, length - position)
      if (chunk > 0 && !dma.write(fn, fields[0]!, fields[1]!, 0, chunk, bytes, position)) lost = true
      position += chunk
      const last = number === needed - 1
      if (legacy) this.#reportLegacy(report, chunk, last)
      else this.#report(report, chunk, last, first ? header : 0, layout)
      if (!dma.write(fn, low, high, displacement, DESCRIPTOR_SIZE, this.descriptor, 0)) lost = true
      this.advance(1)
    }
    this.taken = needed
    if (lost) return STORED.writeLost
    this.frames++
    this.bytes += length
    return STORED.done
  }

  #reportLegacy(report: ReceiveReport, length: number, last: boolean): void {
    const status = report.status & ~(RX_STATUS.DD | RX_STATUS.EOP) & 0xff
    const fields = this.fields
    fields[2] = length | (report.checksum << 16)
    fields[3] =
      (last ? status | RX_LEGACY_STATUS.EOP : 0) |
      RX_LEGACY_STATUS.DD |
      (last ? (report.legacyErrors << 8) | (report.tag << 16) : 0)
  }

  #report(report: ReceiveReport, length: number, last: boolean, header: number, layout: BufferLayout): void {
    const fields = this.fields
    const overflow =
      header === 0 && layout.header > layout.headerSize && layout.type >= DESCRIPTOR_TYPE.headerSplit
    fields[0] =
      report.rssType |
      (report.packetType << 4) |
      inField(RX_INFO.SOURCE, report.source) |
      ((overflow ? layout.header : header) << 21) |
      (header > 0 ? 1 << 31 : 0)
    fields[1] = report.hash
    fields[2] = RX_STATUS.DD
    if (last) fields[2] |= RX_STATUS.EOP | report.status | report.errors | (overflow ? RX_STATUS.HBO : 0)
    fields[3] = length | (last ? report.tag << 16 : 0)
  }
}

/** Bytes that go into the header buffer. */
function headerBytes({ type, header, headerSize }: BufferLayout, length: number): number {
  if (type < DESCRIPTOR_TYPE.headerSplit) return 0
  if (header > 0 && header <= headerSize) return Math.min(header, length)
  // "Split always": what fits, recognized or not.
  return type === DESCRIPTOR_TYPE.splitAlways ? Math.min(headerSize, length) : 0
}
