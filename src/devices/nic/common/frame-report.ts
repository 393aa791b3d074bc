/** What the receiver finds out about a frame and writes into descriptors: kinds of headers, checksums, header to split. */
import {
  type FrameHeaders,
  foldSum,
  IP_PROTOCOL,
  ipv4ChecksumOk,
  read16,
  sumBytes,
  transportChecksumOk,
} from '../../../net/index.ts'
import { PACKET_TYPE, RX_LEGACY_ERROR, RX_STATUS } from '../../formats/nic/descriptors.ts'
import type { ReceiveChip } from './chip.ts'
import type { ReceiveReport } from './receive-ring.ts'

/** Fills everything of the report but RSS type, hash and tag. */
export function examine(
  bytes: Uint8Array,
  headers: FrameHeaders,
  chip: ReceiveChip,
  loopback: boolean,
  exact: boolean,
  report: ReceiveReport,
): void {
  report.packetType = packetTypeOf(headers)
  report.status = (loopback ? RX_STATUS.LB : 0) | (exact ? 0 : RX_STATUS.PIF)
  report.errors = 0
  report.legacyErrors = 0
  report.checksum = 0
  report.tag = 0
  const { errorBits } = chip
  if (chip.checksIp && headers.ipVersion === 4) {
    report.status |= RX_STATUS.IPCS
    if (!ipv4ChecksumOk(bytes, headers)) {
      report.errors |= errorBits.IPE
      report.legacyErrors |= RX_LEGACY_ERROR.IPE
    }
  }
  const { protocol, transportStart } = headers
  if (!chip.checksTransport || transportStart === 0) return
  if (protocol !== IP_PROTOCOL.tcp && protocol !== IP_PROTOCOL.udp) return
  // A UDP datagram may come without checksum: then nothing was checked.
  if (protocol === IP_PROTOCOL.udp && read16(bytes, transportStart + 6) === 0) return
  report.status |= RX_STATUS.L4CS
  if (protocol === IP_PROTOCOL.udp) report.status |= RX_STATUS.UDPCS
  if (!transportChecksumOk(bytes, headers)) {
    report.errors |= errorBits.L4E
    report.legacyErrors |= RX_LEGACY_ERROR.L4E
  }
}

function packetTypeOf({ ipVersion, ipExtended, transportStart, protocol }: FrameHeaders): number {
  let type = 0
  if (ipVersion === 4) type = ipExtended ? PACKET_TYPE.IPV4_EXTENDED : PACKET_TYPE.IPV4
  else if (ipVersion === 6) type = ipExtended ? PACKET_TYPE.IPV6_EXTENDED : PACKET_TYPE.IPV6
  if (transportStart === 0) return type
  if (protocol === IP_PROTOCOL.tcp) return type | PACKET_TYPE.TCP
  if (protocol === IP_PROTOCOL.udp) return type | PACKET_TYPE.UDP
  return protocol === IP_PROTOCOL.sctp ? type | PACKET_TYPE.SCTP : type
}

/** "Packet checksum": of everything from a byte on, for reports without RSS hash. */
export const packetChecksum = (bytes: Uint8Array, from: number, length: number): number =>
  from >= length ? 0 : foldSum(sumBytes(bytes, from, length))

/** Bytes up to the end of each layer's header, 0 where the frame has no such layer. */
export const endOfTransport = ({ transportStart, transportHeaderLength }: FrameHeaders): number =>
  transportStart === 0 ? 0 : transportStart + transportHeaderLength
export const endOfNetwork = ({ ipVersion, networkStart, ipHeaderLength }: FrameHeaders): number =>
  ipVersion === 0 ? 0 : networkStart + ipHeaderLength
