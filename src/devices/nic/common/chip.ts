/** What receive and transmit path ask of the chip that they are part of: where the two chips differ. */
import type { FilterTables, FrameHeaders } from '../../../net/index.ts'
import type { PcieFunction } from '../../../pcie/index.ts'
import type { BufferLayout } from './receive-ring.ts'

export interface ReceiveChip {
  /** The filters as the registers say now. */
  filters(): FilterTables
  readonly receiverEnabled: boolean
  /** Store frames whose check sequence does not match; hand pause frames to software. */
  readonly keepsDamaged: boolean
  readonly keepsPauseFrames: boolean
  /** EtherType that marks a tag. */
  readonly tagType: number
  /** Longest frame of the port and of a pool, with frame check sequence. */
  readonly longestFrame: number
  poolLimit(pool: number, tagged: boolean): number
  /** MRQC with the enable bits of RSS, 0 if it is off; and whether reports carry the hash. */
  readonly rssFields: number
  readonly reportsHash: boolean
  /** Which checksums are checked. */
  readonly checksIp: boolean
  readonly checksTransport: boolean
  /** Error bits of a report. */
  readonly errorBits: { readonly L4E: number; readonly IPE: number; readonly RXE: number }
  /** Queue for a frame of a pool (0 without pools). @param entry of the redirection table, -1 for a frame not hashed. */
  receiveQueue(pool: number, entry: number, headers: FrameHeaders): number
  /** Who a queue works for; undefined while that function may not master the bus. */
  functionOfReceiveQueue(queue: number): PcieFunction | undefined
  dropsWithoutDescriptor(queue: number): boolean
  stripsTag(pool: number, queue: number, replicated: boolean): boolean
  stripsCheckSequence(pool: number, replicated: boolean): boolean
  /** Fills how a queue's buffers are laid out, and how much header of this frame it would split off. */
  bufferLayout(queue: number, pool: number, headers: FrameHeaders, into: BufferLayout): void
  // What it counts and tells.
  frameArrived(headers: FrameHeaders, length: number, exact: boolean): void
  frameStored(queue: number, pool: number, headers: FrameHeaders, length: number, loopback: boolean): void
  frameDropped(cause: number, queue: number): void
  noDescriptor(queue: number, dropped: boolean): void
  /** A descriptor could not be read. */
  busError(): void
}

export interface TransmitChip {
  readonly transmitterEnabled: boolean
  readonly padsShortFrames: boolean
  readonly longestTransmit: number
  readonly tagType: number
  /** Masks for the TCP flags of the first, the middle and the last segment. */
  tcpFlagMask(place: number): number
  functionOfTransmitQueue(queue: number): PcieFunction | undefined
  poolOfTransmitQueue(queue: number): number
  poolMaySend(pool: number): boolean
  /** "Default VLAN" of a pool: tag to insert always, -1 for none, -2 to insert none at all. */
  portTag(pool: number): number
  checksMac(pool: number): boolean
  checksVlan(pool: number): boolean
  /** Whether frames are switched between pools, and whether a pool may get its own ones. */
  readonly switches: boolean
  loopsToItself(pool: number): boolean
  /** Whether all frames come back to the receiver instead of leaving: a test mode. */
  readonly macLoopback: boolean
  frameSent(headers: FrameHeaders, length: number, pool: number, toWire: boolean, local: boolean): void
  spoofed(pool: number): void
  descriptorDone(queue: number): void
  segmented(): void
  frameDropped(cause: number, queue: number): void
  busError(): void
}
