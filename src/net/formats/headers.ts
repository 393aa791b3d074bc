/**
 * What a receiver reads from a frame: addresses, tag, and where the headers of the layers above lie. One record is
 * filled again for each frame, so that looking at a frame allocates nothing.
 */
import { ETHERTYPE, HEADER_SIZE, read16, TAG_SIZE } from './frame.ts'
import { macHigh, macLow } from './mac-address.ts'

export const IP_PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const

/** IPv6 extension headers that can stand before the upper layer: hop-by-hop, routing, fragment, destination options. */
const HOP_BY_HOP = 0
const ROUTING = 43
const FRAGMENT = 44
const DESTINATION_OPTIONS = 60
/** A frame of garbage may chain headers until it ends; receivers give up sooner. */
const MOST_EXTENSIONS = 8

export class FrameHeaders {
  /** MAC addresses as in `mac-address.ts`. */
  destinationLow = 0
  destinationHigh = 0
  sourceLow = 0
  sourceHigh = 0
  /** Whether there is an 802.1Q tag, and what it says: priority 15:13, DEI 12, VLAN 11:0. */
  tagged = false
  tag = 0
  /** EtherType behind the tag, if there is one; below 0x600 a length. */
  etherType = 0
  /** Where the network layer begins: 14, or 18 behind a tag. */
  networkStart = 0
  /** 4, 6, or 0 for anything else and for a header that is cut short. */
  ipVersion = 0
  ipHeaderLength = 0
  /** Whether the IPv4 header has options, or IPv6 has extension headers. */
  ipExtended = false
  /** Whether it is a fragment: what follows the IP header is no transport header, or only its first part. */
  fragment = false
  /** Protocol behind the IP headers (`IP_PROTOCOL`); -1 if none was found. */
  protocol = -1
  /** Where the transport layer begins and how long its header is; 0 without one that is complete. */
  transportStart = 0
  transportHeaderLength = 0
  /** End of the IP packet: padding of the frame lies behind it. */
  packetEnd = 0

  /** @param tagType EtherType that marks a tag. */
  parse(bytes: Uint8Array, length: number, tagType: number = ETHERTYPE.vlan): void {
    this.ipVersion = 0
    this.ipHeaderLength = 0
    this.ipExtended = false
    this.fragment = false
    this.protocol = -1
    this.transportStart = 0
    this.transportHeaderLength = 0
    this.packetEnd = length
    this.tagged = false
    this.tag = 0
    if (length < HEADER_SIZE) {
      this.#empty(length)
      return
    }
    this.destinationLow = macLow(bytes, 0)
    this.destinationHigh = macHigh(bytes, 0)
    this.sourceLow = macLow(bytes, 6)
    this.sourceHigh = macHigh(bytes, 6)
    this.etherType = read16(bytes, 12)
    this.networkStart = HEADER_SIZE
    if (this.etherType === tagType && length >= HEADER_SIZE + TAG_SIZE) {
      this.tagged = true
      this.tag = read16(bytes, 14)
      this.etherType = read16(bytes, 16)
      this.networkStart = HEADER_SIZE + TAG_SIZE
    }
    if (this.etherType === ETHERTYPE.ipv4) this.#parseIpv4(bytes, length)
    else if (this.etherType === ETHERTYPE.ipv6) this.#parseIpv6(bytes, length)
  }

  #empty(length: number): void {
    this.destinationLow = 0
    this.destinationHigh = 0
    this.sourceLow = 0
    this.sourceHigh = 0
    this.etherType = 0
    this.networkStart = length
  }

  get vlan(): number {
    return this.tag & 0xfff
  }

  #parseIpv4(bytes: Uint8Array, length: number): void {
    const at = this.networkStart
    if (length < at + 20 || bytes[at]! >>> 4 !== 4) return
    const headerLength = (bytes[at]! & 15) * 4
    const end = at + read16(bytes, at + 2)
    if (headerLength < 20 || at + headerLength > length || end < at + headerLength || end > length) return
    this.ipVersion = 4
    this.ipHeaderLength = headerLength
    this.ipExtended = headerLength > 20
    this.packetEnd = end
    this.protocol = bytes[at + 9]!
    // More Fragments, or a Fragment Offset.
    this.fragment = (read16(bytes, at + 6) & 0x3fff) !== 0
    if (!this.fragment) this.#parseTransport(bytes, at + headerLength)
  }

  #parseIpv6(bytes: Uint8Array, length: number): void {
    const at = this.networkStart
    if (length < at + 40 || bytes[at]! >>> 4 !== 6) return
    const end = at + 40 + read16(bytes, at + 4)
    if (end > length) return
    this.ipVersion = 6
    this.packetEnd = end
    let next = bytes[at + 6]!
    let header = at + 40
    for (let count = 0; count < MOST_EXTENSIONS && isExtension(next); count++) {
      if (header + 8 > end) break
      this.ipExtended = true
      if (next === FRAGMENT) this.fragment = true
      const size = next === FRAGMENT ? 8 : (bytes[header + 1]! + 1) * 8
      next = bytes[header]!
      header += size
    }
    if (header > end || isExtension(next)) return
    this.ipHeaderLength = header - at
    this.protocol = next
    if (!this.fragment) this.#parseTransport(bytes, header)
  }

  #parseTransport(bytes: Uint8Array, at: number): void {
    const room = this.packetEnd - at
    let size = 0
    if (this.protocol === IP_PROTOCOL.tcp && room >= 20) size = (bytes[at + 12]! >>> 4) * 4
    else if (this.protocol === IP_PROTOCOL.udp && room >= 8) size = 8
    else if (this.protocol === IP_PROTOCOL.sctp && room >= 12) size = 12
    if (size === 0 || size > room || (this.protocol === IP_PROTOCOL.tcp && size < 20)) return
    this.transportStart = at
    this.transportHeaderLength = size
  }
}

const isExtension = (next: number): boolean =>
  next === HOP_BY_HOP || next === ROUTING || next === FRAGMENT || next === DESTINATION_OPTIONS
