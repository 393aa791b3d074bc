/**
 * What tells other switches that an address is behind another link now: a RARP request from that address to everyone,
 * as ESX sends ("notify switches"). It needs no knowledge of IP addresses, and hosts that hear it ignore it.
 */
import {
  ARP,
  ARP_OPERATION,
  ETHERTYPE,
  ETHERTYPE_RARP,
  type Frame,
  HEADER_SIZE,
  insertTag,
  SHORTEST_FRAME,
  write16,
  writeMac,
} from '../../net/formats/index.ts'

const BROADCAST_LOW = 0xffff_ffff
const BROADCAST_HIGH = 0xffff
const ETHERNET_HARDWARE = 1
const MAC_SIZE = 6
const IPV4_SIZE = 4

/** @param vlan tag of the frame; 0: none. */
export function writeAnnouncement(frame: Frame, low: number, high: number, vlan: number): void {
  const { bytes } = frame
  bytes.fill(0, 0, SHORTEST_FRAME)
  writeMac(bytes, 0, BROADCAST_LOW, BROADCAST_HIGH)
  writeMac(bytes, MAC_SIZE, low, high)
  write16(bytes, 2 * MAC_SIZE, ETHERTYPE_RARP)
  write16(bytes, HEADER_SIZE + ARP.hardwareType, ETHERNET_HARDWARE)
  write16(bytes, HEADER_SIZE + ARP.protocolType, ETHERTYPE.ipv4)
  bytes[HEADER_SIZE + ARP.hardwareLength] = MAC_SIZE
  bytes[HEADER_SIZE + ARP.protocolLength] = IPV4_SIZE
  write16(bytes, HEADER_SIZE + ARP.operation, ARP_OPERATION.reverseRequest)
  writeMac(bytes, HEADER_SIZE + ARP.senderHardware, low, high)
  writeMac(bytes, HEADER_SIZE + ARP.targetHardware, low, high)
  frame.length = SHORTEST_FRAME
  frame.damaged = false
  if (vlan > 0) insertTag(frame, vlan)
}
