/** Frames as stations send them: Ethernet, IPv4 and UDP or TCP with right lengths and checksums, padded to the minimum. */
import {
  ETHERTYPE,
  FCS_SIZE,
  fillHeaderChecksum,
  fillTransportChecksum,
  HEADER_SIZE,
  IP_PROTOCOL,
  IPV4,
  SHORTEST_FRAME,
  TAG_SIZE,
  TCP,
  UDP,
  write16,
  write32,
} from '../formats/index.ts'

/** Who sends and receives. */
export interface Station {
  /** Six bytes. */
  readonly mac: Uint8Array
  /** IPv4 address, 32 bits. */
  readonly ip: number
  /** The station tags its frames. */
  readonly vlan?: number
}

export interface TransportPorts {
  readonly source: number
  readonly destination: number
}

export interface UdpOptions {
  readonly from: Station
  readonly to: Station
  readonly ports: TransportPorts
  readonly identification: number
  readonly payload: Uint8Array
}

export interface TcpOptions extends UdpOptions {
  readonly sequence: number
  readonly acknowledgment: number
  /** Of {@link TCP_FLAG}. */
  readonly flags: number
}

/** Bytes of an address, and where the type lies behind two of them. */
const MAC_SIZE = 6
const TYPE_AT = 2 * MAC_SIZE
const TIME_TO_LIVE = 64
const WINDOW = 0xffff

/** Payload bytes that make a UDP frame `length` bytes long on the medium, FCS included. */
export const udpPayloadFor = (length: number, tagged = false): number =>
  length - FCS_SIZE - HEADER_SIZE - (tagged ? TAG_SIZE : 0) - IPV4.headerLength - UDP.headerLength

export function udpFrame(options: UdpOptions): Uint8Array {
  const { ports, payload } = options
  const length = UDP.headerLength + payload.length
  const { frame, ip } = ipv4Frame(options, IP_PROTOCOL.udp, length)
  const at = ip + IPV4.headerLength
  write16(frame, at + UDP.source, ports.source)
  write16(frame, at + UDP.destination, ports.destination)
  write16(frame, at + UDP.length, length)
  frame.set(payload, at + UDP.headerLength)
  fillTransportChecksum(frame, ip, IP_PROTOCOL.udp, length)
  return frame
}

export function tcpFrame(options: TcpOptions): Uint8Array {
  const { ports, payload } = options
  const length = TCP.headerLength + payload.length
  const { frame, ip } = ipv4Frame(options, IP_PROTOCOL.tcp, length)
  const at = ip + IPV4.headerLength
  write16(frame, at + TCP.source, ports.source)
  write16(frame, at + TCP.destination, ports.destination)
  write32(frame, at + TCP.sequence, options.sequence)
  write32(frame, at + TCP.acknowledgment, options.acknowledgment)
  frame[at + TCP.dataOffset] = (TCP.headerLength / 4) << 4
  frame[at + TCP.flags] = options.flags
  write16(frame, at + TCP.window, WINDOW)
  frame.set(payload, at + TCP.headerLength)
  fillTransportChecksum(frame, ip, IP_PROTOCOL.tcp, length)
  return frame
}

/** A frame with its Ethernet and IPv4 headers, and where the latter begins. */
function ipv4Frame(
  { from, to, identification }: UdpOptions,
  protocol: number,
  length: number,
): { frame: Uint8Array; ip: number } {
  const ip = HEADER_SIZE + (from.vlan === undefined ? 0 : TAG_SIZE)
  const frame = new Uint8Array(Math.max(SHORTEST_FRAME, ip + IPV4.headerLength + length))
  frame.set(to.mac)
  frame.set(from.mac, MAC_SIZE)
  if (from.vlan !== undefined) {
    write16(frame, TYPE_AT, ETHERTYPE.vlan)
    write16(frame, HEADER_SIZE, from.vlan)
  }
  write16(frame, ip - 2, ETHERTYPE.ipv4)
  frame[ip] = 0x45
  write16(frame, ip + IPV4.totalLength, IPV4.headerLength + length)
  write16(frame, ip + IPV4.identification, identification & 0xffff)
  write16(frame, ip + IPV4.fragment, IPV4.doNotFragment)
  frame[ip + IPV4.timeToLive] = TIME_TO_LIVE
  frame[ip + IPV4.protocol] = protocol
  write32(frame, ip + IPV4.source, from.ip)
  write32(frame, ip + IPV4.destination, to.ip)
  fillHeaderChecksum(frame, ip)
  return { frame, ip }
}
