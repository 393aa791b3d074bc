/** Which uplink of a team carries a frame: the transmit hash policies of Linux bonding, and ESX's port id. */
import { type Frame, FrameHeaders, IP_PROTOCOL, read32 } from '../../net/formats/index.ts'

export const TEAM_POLICIES = ['portId', 'sourceMac', 'layer2', 'layer2+3', 'layer3+4'] as const
export type TeamPolicy = (typeof TEAM_POLICIES)[number]

const LAST_OF_DESTINATION = 5
const LAST_OF_SOURCE = 11
const IPV4_SOURCE = 12
const IPV4_DESTINATION = 16
const IPV6_SOURCE = 8
const IPV6_DESTINATION = 24
const IPV6_WORDS = 4

const headers = new FrameHeaders()

/**
 * A number for a frame, of which the remainder by the number of usable uplinks names one. "layer2", "layer2+3" and
 * "layer3+4" are the formulas of Linux's `bonding.txt`.
 *
 * @param from number of the port where the frame came into the switch.
 */
export function teamHash(policy: TeamPolicy, frame: Frame, from: number): number {
  const { bytes } = frame
  if (policy === 'portId') return from
  if (policy === 'sourceMac') return bytes[LAST_OF_SOURCE]!
  headers.parse(bytes, frame.length)
  const layer2 = bytes[LAST_OF_SOURCE]! ^ bytes[LAST_OF_DESTINATION]! ^ headers.etherType
  if (policy === 'layer2' || headers.ipVersion === 0) return layer2
  if (policy === 'layer2+3') return folded(layer2 ^ addresses(bytes))
  const ported =
    !headers.fragment && (headers.protocol === IP_PROTOCOL.tcp || headers.protocol === IP_PROTOCOL.udp)
  const ports = ported && headers.transportStart > 0 ? read32(bytes, headers.transportStart) : layer2
  // The lowest bit is given up: ports of one kind are often all even.
  return folded(ports ^ addresses(bytes)) >>> 1
}

/** Source address XOR destination address, IPv6 addresses folded to 32 bits. */
function addresses(bytes: Uint8Array): number {
  const at = headers.networkStart
  if (headers.ipVersion === 4) {
    return read32(bytes, at + IPV4_SOURCE) ^ read32(bytes, at + IPV4_DESTINATION)
  }
  let sum = 0
  for (let word = 0; word < IPV6_WORDS; word++) {
    sum ^= read32(bytes, at + IPV6_SOURCE + 4 * word) ^ read32(bytes, at + IPV6_DESTINATION + 4 * word)
  }
  return sum
}

function folded(hash: number): number {
  const once = hash ^ (hash >>> 16)
  return (once ^ (once >>> 8)) >>> 0
}
