/**
 * Filters that choose a queue before RSS does: by EtherType, by SYN, and by the five things that make a flow ("L2
 * EtherType Filters", "SYN Filter", "Five-Tuple Filters"). They are taken from the registers again after those were written.
 */
import { type FrameHeaders, IP_PROTOCOL } from '../../../net/index.ts'

const ETHER_TYPES = 8
const TCP_FLAGS = 13
const SYN = 0x02

/** Which parts of a five-tuple filter a frame is compared with, as bits. */
export const COMPARE = {
  source: 1,
  destination: 2,
  sourcePort: 4,
  destinationPort: 8,
  protocol: 16,
  pool: 32,
} as const

/** Protocol of a filter for anything but TCP, UDP and SCTP. */
export const OTHER_PROTOCOL = -1

/** Addresses and ports as a little-endian read of the packet's bytes gives them: so the registers hold them. */
export interface FiveTuple {
  /** 7 is looked at first. */
  readonly priority: number
  readonly queue: number
  /** Of {@link COMPARE}. */
  readonly compare: number
  readonly source: number
  readonly destination: number
  readonly sourcePort: number
  readonly destinationPort: number
  /** IP protocol, or {@link OTHER_PROTOCOL}. */
  readonly protocol: number
  readonly pool: number
  /** TCP flags of which one has to be set; 0: whatever they are. */
  readonly flags: number
  /** The packet has to be shorter; 0: however long it is. */
  readonly shorterThan: number
}

export class QueueFilters {
  /** By filter: the EtherType, the pool and the queue it leads to; each -1 for none. */
  readonly etherType = new Int32Array(ETHER_TYPES).fill(-1)
  readonly etherTypePool = new Int32Array(ETHER_TYPES).fill(-1)
  readonly etherTypeQueue = new Int32Array(ETHER_TYPES).fill(-1)
  /** Queue of TCP connections that begin, -1 for none; whether it comes before the five-tuple filters. */
  synQueue = -1
  synFirst = false
  #tuples: readonly FiveTuple[] = []

  /** In the order in which they are looked at: by priority, then by number. */
  set tuples(tuples: readonly FiveTuple[]) {
    this.#tuples = [...tuples].sort((a, b) => b.priority - a.priority)
  }

  get tuples(): readonly FiveTuple[] {
    return this.#tuples
  }

  clear(): void {
    this.etherType.fill(-1)
    this.etherTypePool.fill(-1)
    this.etherTypeQueue.fill(-1)
    this.synQueue = -1
    this.#tuples = []
  }

  /** Number of the EtherType filter that a frame matches, -1 for none. */
  etherTypeOf({ etherType }: FrameHeaders): number {
    for (let i = 0; i < ETHER_TYPES; i++) if (this.etherType[i] === etherType) return i
    return -1
  }

  /** The pool that an EtherType filter chooses instead of those that want the frame, -1 for none. */
  poolOf(etherType: number): number {
    return etherType < 0 ? -1 : this.etherTypePool[etherType]!
  }

  /** The queue that a filter chooses for a frame of a pool, -1 for none. @param etherType see {@link etherTypeOf}. */
  queueOf(pool: number, etherType: number, bytes: Uint8Array, headers: FrameHeaders): number {
    if (etherType >= 0 && this.etherTypeQueue[etherType]! >= 0) return this.etherTypeQueue[etherType]!
    const syn = this.synQueue >= 0 && isSyn(bytes, headers) ? this.synQueue : -1
    if (syn >= 0 && this.synFirst) return syn
    const tuple = this.#tupleQueue(pool, bytes, headers)
    return tuple >= 0 ? tuple : syn
  }

  /** Fragments and IPv6 have no five-tuple that is compared. */
  #tupleQueue(pool: number, bytes: Uint8Array, headers: FrameHeaders): number {
    const tuples = this.#tuples
    if (tuples.length === 0 || headers.ipVersion !== 4 || headers.fragment) return -1
    for (let i = 0; i < tuples.length; i++) {
      if (matches(tuples[i]!, pool, bytes, headers)) return tuples[i]!.queue
    }
    return -1
  }
}

function matches(filter: FiveTuple, pool: number, bytes: Uint8Array, headers: FrameHeaders): boolean {
  const { compare, flags, shorterThan } = filter
  const { networkStart, transportStart, protocol } = headers
  const ports = COMPARE.sourcePort | COMPARE.destinationPort
  if (compare & COMPARE.pool && filter.pool !== pool) return false
  if (compare & COMPARE.protocol && filter.protocol !== kindOf(protocol)) return false
  if (compare & COMPARE.source && filter.source !== little32(bytes, networkStart + 12)) return false
  if (compare & COMPARE.destination && filter.destination !== little32(bytes, networkStart + 16)) return false
  if (compare & ports && transportStart === 0) return false
  if (compare & COMPARE.sourcePort && filter.sourcePort !== little16(bytes, transportStart)) return false
  if (compare & COMPARE.destinationPort && filter.destinationPort !== little16(bytes, transportStart + 2)) {
    return false
  }
  if (shorterThan > 0 && headers.packetEnd >= shorterThan) return false
  return flags === 0 || (isTcp(headers) && (bytes[transportStart + TCP_FLAGS]! & flags) !== 0)
}

const kindOf = (protocol: number): number =>
  protocol === IP_PROTOCOL.tcp || protocol === IP_PROTOCOL.udp || protocol === IP_PROTOCOL.sctp
    ? protocol
    : OTHER_PROTOCOL

const isTcp = ({ transportStart, protocol }: FrameHeaders): boolean =>
  transportStart > 0 && protocol === IP_PROTOCOL.tcp

const isSyn = (bytes: Uint8Array, headers: FrameHeaders): boolean =>
  isTcp(headers) && (bytes[headers.transportStart + TCP_FLAGS]! & SYN) !== 0

const little16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8)

const little32 = (bytes: Uint8Array, at: number): number =>
  (little16(bytes, at) | (little16(bytes, at + 2) << 16)) >>> 0
