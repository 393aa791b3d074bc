/** Offsets in the headers that frames carry: IPv4 (RFC 791), UDP (RFC 768), TCP (RFC 9293), ARP and RARP (RFC 826, 903). */
import { checksumOf, insertIpv4Checksum, sumBytes } from './checksum.ts'
import { write16 } from './frame.ts'
import { IP_PROTOCOL } from './headers.ts'

/** In a header without options. */
export const IPV4 = {
  totalLength: 2,
  identification: 4,
  fragment: 6,
  timeToLive: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  destination: 16,
  headerLength: 20,
  doNotFragment: 0x4000,
} as const

export const UDP = { source: 0, destination: 2, length: 4, checksum: 6, headerLength: 8 } as const

export const TCP = {
  source: 0,
  destination: 2,
  sequence: 4,
  acknowledgment: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  headerLength: 20,
} as const

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const

/** For IPv4 over Ethernet. */
export const ARP = {
  hardwareType: 0,
  protocolType: 2,
  hardwareLength: 4,
  protocolLength: 5,
  operation: 6,
  senderHardware: 8,
  senderProtocol: 14,
  targetHardware: 18,
  targetProtocol: 24,
  length: 28,
} as const

export const ARP_OPERATION = { request: 1, reply: 2, reverseRequest: 3 } as const
export const ETHERTYPE_RARP = 0x8035

/** Writes the checksum of an IPv4 header without options. */
export const fillHeaderChecksum = (bytes: Uint8Array, ip: number): void =>
  insertIpv4Checksum(bytes, ip, IPV4.headerLength)

/** Writes the checksum of a UDP datagram or TCP segment of `length` bytes behind an IPv4 header without options. */
export function fillTransportChecksum(bytes: Uint8Array, ip: number, protocol: number, length: number): void {
  const start = ip + IPV4.headerLength
  const at = start + (protocol === IP_PROTOCOL.udp ? UDP.checksum : TCP.checksum)
  write16(bytes, at, 0)
  const pseudo = sumBytes(bytes, ip + IPV4.source, ip + IPV4.headerLength, protocol + length)
  const checksum = checksumOf(sumBytes(bytes, start, start + length, pseudo))
  // RFC 768: zero means that there is no checksum; a computed zero travels as all ones.
  write16(bytes, at, protocol === IP_PROTOCOL.udp && checksum === 0 ? 0xffff : checksum)
}
