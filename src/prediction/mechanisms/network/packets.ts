/** How a stream or messages become packets on the wire. */
import type { Scenario } from '../../scenario.ts'

/** Preamble, header with type, frame check sequence, gap. */
const FRAME_BYTES = 8 + 14 + 4 + 12
/** Internet headers with the transport's: TCP with its timestamps, or UDP. */
const TCP_BYTES = 20 + 32
const UDP_BYTES = 20 + 8
/** What segmentation and receive offload hand over at once, at most. */
const LARGEST_SEGMENT = 65_536
const POLL_BUDGET = 64
/** Of payload that a stream sends. */
const FRAGMENT_BYTES = 32_768

export interface Packets {
  readonly payload: number
  /** Nanoseconds of a packet on the wire. */
  readonly wire: number
  /** Packets that the transport sees as one segment, if so many arrive together. */
  readonly perSegment: (together: number) => number
  /** Packets that a driver hands over at once: the adapter cuts large segments itself. */
  readonly perDescriptor: number
  /** Mappings of what is handed over at once: of a stream that is sent the headers, and each fragment of the payload. */
  readonly parts: number
  /** Calls of the application for a packet. */
  readonly messages: number
}

export function packetsOf(scenario: Scenario): Packets {
  const { mtu, messageBytes, lineGbps, wired, datagrams, offload } = scenario
  // What is not received from a wire was never cut.
  const receiving = scenario.receiving && wired
  const most = mtu - (datagrams ? UDP_BYTES : TCP_BYTES)
  const payload = datagrams && messageBytes !== undefined ? Math.min(most, messageBytes) : most
  const headers = mtu - most
  const largest = offload ? Math.max(1, Math.floor(LARGEST_SEGMENT / payload)) : 1
  return {
    payload,
    wire: wired ? ((payload + headers + FRAME_BYTES) * 8) / lineGbps : 0,
    perDescriptor: receiving ? 1 : largest,
    parts: receiving || datagrams ? 1 : 1 + Math.ceil((largest * payload) / FRAGMENT_BYTES),
    perSegment: together => Math.min(largest, receiving ? Math.max(1, together) : largest),
    messages: messageBytes === undefined ? payload / LARGEST_SEGMENT : payload / messageBytes,
  }
}

/** Packets of one interrupt: those of the shortest interval that the adapter allows. */
export const packetsTogether = (nanosecondsPerPacket: number, interval: number): number =>
  Math.min(POLL_BUDGET, Math.max(1, interval / nanosecondsPerPacket))
