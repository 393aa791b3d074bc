/** "Transmit Checksum Offloading" and "TCP/UDP Transmit Segmentation Offload". */
import { copyBytes } from '../../../core/index.ts'
import {
  checksumOf,
  type Frame,
  insertIpv4Checksum,
  read16,
  read32,
  sumBytes,
  write16,
  write32,
} from '../../../net/index.ts'
import {
  L4_TYPE,
  TX_CONTEXT_LENGTHS,
  TX_CONTEXT_SIZES,
  TX_CONTEXT_TYPE,
} from '../../formats/nic/descriptors.ts'
import { fieldOf } from '../../formats/nic/register.ts'
import { crc32c } from './crc32c.ts'

/** A context descriptor, decoded; reused. */
export class OffloadContext {
  macLength = 0
  ipLength = 0
  tag = 0
  ipv4 = false
  l4Type: number = L4_TYPE.udp
  l4Length = 0
  mss = 0

  load(contexts: Int32Array, at: number): void {
    const lengths = contexts[at]!
    const type = contexts[at + 2]!
    const sizes = contexts[at + 3]!
    this.macLength = fieldOf(lengths, TX_CONTEXT_LENGTHS.MACLEN)
    this.ipLength = fieldOf(lengths, TX_CONTEXT_LENGTHS.IPLEN)
    this.tag = lengths >>> 16
    this.ipv4 = (type & TX_CONTEXT_TYPE.IPV4) !== 0
    this.l4Type = fieldOf(type, TX_CONTEXT_TYPE.L4T)
    this.l4Length = fieldOf(sizes, TX_CONTEXT_SIZES.L4LEN)
    this.mss = sizes >>> 16
  }

  get headerLength(): number {
    return this.macLength + this.ipLength + this.l4Length
  }
}

/** Where a transport header has its checksum. */
const checksumAt = (l4Type: number): number => (l4Type === L4_TYPE.tcp ? 16 : l4Type === L4_TYPE.udp ? 6 : 8)

/** Inserts the checksums that a data descriptor asks for. False if they would lie outside the frame. */
export function insertChecksums(
  frame: Frame,
  context: OffloadContext,
  ip: boolean,
  transport: boolean,
): boolean {
  const { bytes, length } = frame
  const { macLength, ipLength, l4Type } = context
  const l4Start = macLength + ipLength
  if (ip && context.ipv4) {
    if (ipLength < 20 || l4Start > length) return false
    insertIpv4Checksum(bytes, macLength, ipLength)
  }
  if (!transport) return true
  const at = l4Start + checksumAt(l4Type)
  if (l4Type === L4_TYPE.sctp) {
    if (at + 4 > length) return false
    write32(bytes, at, 0)
    const crc = crc32c(bytes, l4Start, length)
    // "CRC32c" of SCTP travels lowest byte first (RFC 9260 Appendix A).
    for (let i = 0; i < 4; i++) bytes[at + i] = crc >>> (i * 8)
    return true
  }
  if (at + 2 > length) return false
  // Software has put the sum of the pseudo header there.
  write16(bytes, at, transportChecksum(sumBytes(bytes, l4Start, length), l4Type))
  return true
}

/** UDP sends ones where the sum is 0, because 0 says that there is none. */
function transportChecksum(sum: number, l4Type: number): number {
  const checksum = checksumOf(sum)
  return checksum === 0 && l4Type === L4_TYPE.udp ? 0xffff : checksum
}

/** Cuts a large packet into frames. */
export class Segmentation {
  readonly #context: OffloadContext
  #bytes: Uint8Array
  #length = 0
  #header = 0
  #position = 0
  #number = 0
  #pseudo = 0

  constructor(context: OffloadContext) {
    this.#context = context
    this.#bytes = new Uint8Array(0)
  }

  /** False if the context does not describe the packet. */
  begin(bytes: Uint8Array, length: number): boolean {
    const { headerLength, macLength, ipLength, l4Type, mss } = this.#context
    const least = l4Type === L4_TYPE.tcp ? 20 : 8
    if (mss === 0 || l4Type === L4_TYPE.sctp) return false
    if (macLength < 14 || ipLength < 20 || this.#context.l4Length < least || headerLength > length)
      return false
    this.#bytes = bytes
    this.#length = length
    this.#header = headerLength
    this.#position = headerLength
    this.#number = 0
    // Sum of the pseudo header without the length, from software.
    this.#pseudo = read16(bytes, macLength + ipLength + checksumAt(l4Type))
    return true
  }

  get more(): boolean {
    return this.#position < this.#length || this.#number === 0
  }

  /** Makes the next frame. @param flagMask of TCP flags, by place: 0 first, 1 middle, 2 last. */
  next(frame: Frame, flagMask: (place: number) => number): boolean {
    const { macLength, ipLength, ipv4, l4Type, mss } = this.#context
    const payload = Math.min(mss, this.#length - this.#position)
    const header = this.#header
    if (header + payload > frame.bytes.length) return false
    const { bytes } = frame
    copyBytes(this.#bytes, 0, bytes, 0, header)
    copyBytes(this.#bytes, this.#position, bytes, header, payload)
    frame.length = header + payload
    frame.damaged = false
    const l4Start = macLength + ipLength
    const l4Length = frame.length - l4Start
    if (ipv4) {
      write16(bytes, macLength + 2, ipLength + l4Length)
      write16(bytes, macLength + 4, read16(bytes, macLength + 4) + this.#number)
      insertIpv4Checksum(bytes, macLength, ipLength)
    } else write16(bytes, macLength + 4, ipLength - 40 + l4Length)
    const last = this.#position + payload >= this.#length
    if (l4Type === L4_TYPE.tcp) {
      write32(bytes, l4Start + 4, read32(bytes, l4Start + 4) + this.#position - header)
      const place = this.#number === 0 && !last ? 0 : last ? 2 : 1
      write16(bytes, l4Start + 12, read16(bytes, l4Start + 12) & (flagMask(place) | 0xf000))
    } else write16(bytes, l4Start + 4, l4Length)
    const at = l4Start + checksumAt(l4Type)
    write16(bytes, at, this.#pseudo)
    write16(bytes, at, transportChecksum(sumBytes(bytes, l4Start, frame.length) + l4Length, l4Type))
    this.#position += payload
    this.#number++
    return true
  }
}
