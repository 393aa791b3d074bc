/** Writes a capture file that Wireshark and tcpdump read. */
import {
  type CapturedPacket,
  FILE_HEADER,
  LINKTYPE_ETHERNET,
  LONGEST_PACKET,
  MAGIC,
  PACKET_HEADER,
  VERSION,
} from './format.ts'

export interface WriteOptions {
  /** Default nanoseconds: virtual time is counted in them. */
  readonly resolution?: 'microseconds' | 'nanoseconds'
  /** Longer packets are cut. Default: nothing is. */
  readonly snapLength?: number
  /** Default little. */
  readonly byteOrder?: 'little' | 'big'
}

export function writePcap(packets: readonly CapturedPacket[], options: WriteOptions = {}): Uint8Array {
  const { resolution = 'nanoseconds', snapLength = LONGEST_PACKET, byteOrder = 'little' } = options
  const little = byteOrder === 'little'
  const kept = (data: Uint8Array): number => Math.min(data.length, snapLength)
  const size = packets.reduce<number>(
    (sum, { data }) => sum + PACKET_HEADER.length + kept(data),
    FILE_HEADER.length,
  )
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint32(FILE_HEADER.magic, MAGIC[resolution], little)
  view.setUint16(FILE_HEADER.majorVersion, VERSION.major, little)
  view.setUint16(FILE_HEADER.minorVersion, VERSION.minor, little)
  view.setUint32(FILE_HEADER.snapLength, snapLength, little)
  view.setUint32(FILE_HEADER.linkType, LINKTYPE_ETHERNET, little)
  const unit = resolution === 'nanoseconds' ? 1 : 1000
  let at: number = FILE_HEADER.length
  for (const { seconds, nanoseconds, originalLength, data } of packets) {
    const length = kept(data)
    view.setUint32(at + PACKET_HEADER.seconds, seconds, little)
    view.setUint32(at + PACKET_HEADER.fraction, Math.floor(nanoseconds / unit), little)
    view.setUint32(at + PACKET_HEADER.captured, length, little)
    view.setUint32(at + PACKET_HEADER.original, originalLength, little)
    bytes.set(data.subarray(0, length), at + PACKET_HEADER.length)
    at += PACKET_HEADER.length + length
  }
  return bytes
}

/** A frame that crossed a point at a moment of virtual time, as a packet of a capture. */
export const packetAt = (time: number, data: Uint8Array): CapturedPacket => ({
  seconds: Math.floor(time / 1e9),
  nanoseconds: Math.floor(time % 1e9),
  originalLength: data.length,
  data,
})
