/** What a transfer puts on a PCI Express link, in both directions. */
import type { Costs } from '../../timing/index.ts'
import type { Link } from '../link-words.ts'

/** Transfers per second and lane with the encoding of the generation taken off, in bytes a nanosecond. */
const LANE_BYTES = [
  0,
  2.5 * 0.8,
  5 * 0.8,
  8 * (128 / 130),
  16 * (128 / 130),
  32 * (128 / 130),
  64 * (242 / 256),
].map(gigabits => gigabits / 8)

/** Framing, sequence number and LCRC (8 bytes) with a header of four or three doublewords. */
const REQUEST_BYTES = 8 + 16
const COMPLETION_BYTES = 8 + 12

export interface LinkUse {
  /** Nanoseconds towards the root complex, and towards the device. */
  readonly up: number
  readonly down: number
  readonly requests: number
}

const packets = (bytes: number, most: number): number => Math.max(1, Math.ceil(bytes / most))

export const bytesPerNanosecond = ({ generation, lanes }: Link, { linkIdleShare }: Costs): number =>
  (LANE_BYTES[generation] ?? LANE_BYTES.at(-1)!) * lanes * (1 - linkIdleShare)

export function readUse(link: Link, costs: Costs, bytes: number): LinkUse {
  const rate = bytesPerNanosecond(link, costs)
  const requests = packets(bytes, link.mrrs)
  const completions = packets(bytes, link.mps)
  return {
    up: (requests * (REQUEST_BYTES + costs.linkLayerBytes)) / rate,
    down: (bytes + completions * (COMPLETION_BYTES + costs.linkLayerBytes)) / rate,
    requests,
  }
}

export function writeUse(link: Link, costs: Costs, bytes: number): LinkUse {
  const requests = packets(bytes, link.mps)
  return {
    up: (bytes + requests * (REQUEST_BYTES + costs.linkLayerBytes)) / bytesPerNanosecond(link, costs),
    down: 0,
    requests,
  }
}
