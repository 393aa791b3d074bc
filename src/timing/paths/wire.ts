/** Ethernet, in bytes: what payload becomes in memory and on the wire. */
import type { NetworkWorkload } from '../configuration.ts'
import { AGGREGATE_BYTES } from '../software/worker.ts'

/** Preamble and start 8, gap 12, FCS 4. */
const WIRE_OVERHEAD = 24
const ETHERNET_HEADER = 14
const SMALLEST_PAYLOAD = 46
/** IPv4 and TCP with time stamps; IPv4 and UDP. Both count against the MTU. */
const STREAM_HEADERS = 52
const DATAGRAM_HEADERS = 28
/** That Linux lays payload of streams in (SKB_FRAG_PAGE_ORDER). */
const FRAGMENT_BYTES = 32_768

export class Framing {
  /** Payload of a full packet. */
  readonly packet: number
  readonly #mtu: number
  readonly #headers: number

  constructor({ mtu, pattern }: NetworkWorkload) {
    this.#mtu = mtu
    this.#headers = pattern === 'datagrams' ? DATAGRAM_HEADERS : STREAM_HEADERS
    this.packet = mtu - this.#headers
  }

  /** Packets that carry a payload. */
  packets(payload: number): number {
    return Math.max(1, Math.ceil(payload / this.packet))
  }

  /** Payload of the largest segment: full packets whose payload, with one header for all, is no more than drivers exchange. */
  get largestSegment(): number {
    const most = Math.floor((AGGREGATE_BYTES - this.inMemory(0)) / this.packet)
    return Math.max(1, most) * this.packet
  }

  /** One packet, or a large segment before it is cut, as drivers and devices exchange it. */
  inMemory(payload: number): number {
    return payload + this.#headers + ETHERNET_HEADER
  }

  /** Of what is sent: a stream's payload lies in fragments behind its headers, and each has a mapping; a datagram is in one piece. */
  partsOf(payload: number): number {
    return this.#headers === DATAGRAM_HEADERS ? 1 : 1 + Math.ceil(payload / FRAGMENT_BYTES)
  }

  /** Frames on the wire with all that goes with them; a large segment is cut. */
  onWire(payload: number): number {
    const whole = Math.floor(payload / this.packet)
    const rest = payload - whole * this.packet
    return whole * frame(this.#mtu) + (rest > 0 ? frame(rest + this.#headers) : 0)
  }
}

const frame = (bytes: number): number => Math.max(SMALLEST_PAYLOAD, bytes) + ETHERNET_HEADER + WIRE_OVERHEAD
