/** "Internet checksum" (RFC 1071), of IP headers and, over their pseudo headers, of TCP and UDP. */
import { write16 } from './frame.ts'
import { type FrameHeaders, IP_PROTOCOL } from './headers.ts'

/** Adds bytes as 16-bit words in network order; the sum is folded by {@link checksumOf}. */
export function sumBytes(bytes: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum
  let at = start
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!
  if (at < end) total += bytes[at]! << 8
  return total
}

export function foldSum(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x1_0000)
  return folded
}

export const checksumOf = (sum: number): number => ~foldSum(sum) & 0xffff

/** Sum of the pseudo header of a frame's IP packet, for `length` bytes of `protocol`. */
export function pseudoHeaderSum(
  bytes: Uint8Array,
  { ipVersion, networkStart }: FrameHeaders,
  protocol: number,
  length: number,
): number {
  const [from, size] = ipVersion === 4 ? IPV4_ADDRESSES : IPV6_ADDRESSES
  return sumBytes(bytes, networkStart + from, networkStart + from + size, protocol + length)
}

const IPV4_ADDRESSES = [12, 8] as const
const IPV6_ADDRESSES = [8, 32] as const

/** Whether the IPv4 header of a frame sums up to what it should. */
export const ipv4ChecksumOk = (bytes: Uint8Array, { networkStart, ipHeaderLength }: FrameHeaders): boolean =>
  foldSum(sumBytes(bytes, networkStart, networkStart + ipHeaderLength)) === 0xffff

/** Where a transport header keeps its checksum; -1 for a protocol without an Internet checksum. */
export const checksumOffset = (protocol: number): number =>
  protocol === IP_PROTOCOL.tcp ? 16 : protocol === IP_PROTOCOL.udp ? 6 : -1

/** Whether TCP or UDP checksum is right; a UDP datagram without one (0) counts as right, as RFC 768 has it. */
export function transportChecksumOk(bytes: Uint8Array, headers: FrameHeaders): boolean {
  const { transportStart, packetEnd, protocol } = headers
  const at = transportStart + checksumOffset(protocol)
  if (protocol === IP_PROTOCOL.udp && bytes[at] === 0 && bytes[at + 1] === 0) return true
  const pseudo = pseudoHeaderSum(bytes, headers, protocol, packetEnd - transportStart)
  return foldSum(sumBytes(bytes, transportStart, packetEnd, pseudo)) === 0xffff
}

/** Writes the checksum of an IPv4 header. */
export function insertIpv4Checksum(bytes: Uint8Array, start: number, length: number): void {
  write16(bytes, start + 10, 0)
  write16(bytes, start + 10, checksumOf(sumBytes(bytes, start, start + length)))
}
