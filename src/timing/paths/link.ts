/** What transfers put on a PCI Express link, in bytes and in time. */
import type { Configuration } from '../configuration.ts'
import type { Costs } from '../costs/parameters.ts'

/** GT/s by generation. */
const RATES = [0, 2.5, 5, 8, 16, 32, 64]
/** "Symbol encoding": 8b/10b up to 5 GT/s, 128b/130b up to 32 GT/s; flits at 64 GT/s carry 236 of 256 bytes for packets. */
const ENCODING = [0, 0.8, 0.8, 128 / 130, 128 / 130, 128 / 130, 236 / 256]
/** Framing, sequence number and LCRC. */
const FRAME = 8
/** Requests with addresses of 64 bits, and completions. */
const REQUEST_HEADER = 16
const COMPLETION_HEADER = 12

export class LinkTiming {
  /** Bytes of a nanosecond, in each direction. */
  readonly bytesPerNanosecond: number
  readonly #mps: number
  readonly #mrrs: number
  readonly #rcb: number
  readonly #linkLayer: number

  constructor({ generation, lanes, mps, mrrs, rcb }: Configuration['link'], costs: Costs) {
    const idle = 1 - costs.linkIdleShare
    this.bytesPerNanosecond = ((RATES[generation]! * lanes * ENCODING[generation]!) / 8) * idle
    this.#mps = mps
    this.#mrrs = mrrs
    this.#rcb = rcb
    this.#linkLayer = costs.linkLayerBytes
  }

  /** TLPs of a write: the payload cut at Max_Payload_Size. */
  writes(bytes: number): number {
    return Math.max(1, Math.ceil(bytes / this.#mps))
  }

  /** Requests of a read: cut at Max_Read_Request_Size. */
  requests(bytes: number): number {
    return Math.max(1, Math.ceil(bytes / this.#mrrs))
  }

  /**
   * Completions of a read from an address aligned to the Read Completion Boundary: each request is answered by packets of
   * the largest payload that ends at a boundary.
   */
  completions(bytes: number): number {
    const largest = Math.floor(this.#mps / this.#rcb) * this.#rcb || this.#mps
    const whole = Math.floor(bytes / this.#mrrs)
    const rest = bytes - whole * this.#mrrs
    return Math.max(1, whole * Math.ceil(this.#mrrs / largest) + Math.ceil(rest / largest))
  }

  /** Time on the link towards the host. */
  writeTime(bytes: number): number {
    return this.#time(this.writes(bytes) * (FRAME + REQUEST_HEADER + this.#linkLayer) + bytes)
  }

  requestTime(bytes: number): number {
    return this.#time(this.requests(bytes) * (FRAME + REQUEST_HEADER + this.#linkLayer))
  }

  /** Time on the link towards the device. */
  completionTime(bytes: number): number {
    return this.#time(this.completions(bytes) * (FRAME + COMPLETION_HEADER + this.#linkLayer) + bytes)
  }

  #time(bytes: number): number {
    return bytes / this.bytesPerNanosecond
  }
}
