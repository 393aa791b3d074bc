/** Reads a capture file, of either byte order and either unit of time. */
import { hex, NorthbridgeError } from '../../core/index.ts'
import {
  type CapturedPacket,
  FILE_HEADER,
  LINK,
  LONGEST_PACKET,
  MAGIC,
  PACKET_HEADER,
  VERSION,
} from './format.ts'

export interface Capture {
  readonly linkType: number
  /** Most bytes that were kept of a packet. */
  readonly snapLength: number
  readonly resolution: 'microseconds' | 'nanoseconds'
  readonly byteOrder: 'little' | 'big'
  /** Bytes of a frame check sequence at the end of each packet that is not cut; 0 if the file says nothing of one. */
  readonly fcsLength: number
  readonly packets: readonly CapturedPacket[]
}

/** Throws `malformedInput`, naming the offset. */
export function readPcap(bytes: Uint8Array): Capture {
  if (bytes.length < FILE_HEADER.length) {
    throw malformed(bytes.length, `the file ends within its header of ${FILE_HEADER.length} bytes`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { little, nanoseconds } = kindOf(view)
  const major = view.getUint16(FILE_HEADER.majorVersion, little)
  const minor = view.getUint16(FILE_HEADER.minorVersion, little)
  if (major !== VERSION.major || minor !== VERSION.minor) {
    throw malformed(
      FILE_HEADER.majorVersion,
      `the version is ${major}.${minor}, not ${VERSION.major}.${VERSION.minor}`,
    )
  }
  const link = view.getUint32(FILE_HEADER.linkType, little)
  return {
    linkType: link & LINK.type,
    snapLength: view.getUint32(FILE_HEADER.snapLength, little),
    resolution: nanoseconds ? 'nanoseconds' : 'microseconds',
    byteOrder: little ? 'little' : 'big',
    fcsLength: link & LINK.fcsPresent ? (link >>> LINK.fcsShift) * 2 : 0,
    packets: readPackets(bytes, view, little, nanoseconds),
  }
}

function kindOf(view: DataView): { little: boolean; nanoseconds: boolean } {
  for (const little of [true, false]) {
    const magic = view.getUint32(FILE_HEADER.magic, little)
    if (magic === MAGIC.microseconds) return { little, nanoseconds: false }
    if (magic === MAGIC.nanoseconds) return { little, nanoseconds: true }
  }
  throw malformed(0, `${hex(view.getUint32(0, false))} is not the magic number of a pcap file`)
}

function readPackets(
  bytes: Uint8Array,
  view: DataView,
  little: boolean,
  nanoseconds: boolean,
): CapturedPacket[] {
  const unit = nanoseconds ? 1 : 1000
  const packets: CapturedPacket[] = []
  for (let at = FILE_HEADER.length; at < bytes.length; ) {
    if (at + PACKET_HEADER.length > bytes.length) {
      throw malformed(at, `the file ends within the header of packet ${packets.length + 1}`)
    }
    const fraction = view.getUint32(at + PACKET_HEADER.fraction, little)
    const captured = view.getUint32(at + PACKET_HEADER.captured, little)
    const original = view.getUint32(at + PACKET_HEADER.original, little)
    if (fraction * unit >= 1e9) {
      throw malformed(
        at + PACKET_HEADER.fraction,
        `packet ${packets.length + 1} came ${fraction} ${nanoseconds ? 'nano' : 'micro'}seconds into a second`,
      )
    }
    if (captured > LONGEST_PACKET || captured > original) {
      throw malformed(
        at + PACKET_HEADER.captured,
        `of packet ${packets.length + 1}, ${original} bytes long, ${captured} are said to be kept`,
      )
    }
    const start = at + PACKET_HEADER.length
    if (start + captured > bytes.length) {
      throw malformed(
        start,
        `the file ends within packet ${packets.length + 1}: ${captured} bytes announced, ${bytes.length - start} there`,
      )
    }
    packets.push({
      seconds: view.getUint32(at + PACKET_HEADER.seconds, little),
      nanoseconds: fraction * unit,
      originalLength: original,
      // A copy, also of a Buffer: its own `slice` would go on sharing the file's memory.
      data: Uint8Array.from(bytes.subarray(start, start + captured)),
    })
    at = start + captured
  }
  return packets
}

const malformed = (offset: number, rule: string): NorthbridgeError =>
  new NorthbridgeError('malformedInput', `pcap, offset ${offset}: ${rule}`, { offset })
