/**
 * An Ethernet frame as it lies in memory, from the destination address to the end of the payload: preamble and frame
 * check sequence belong to the line ("MAC frame format", IEEE 802.3 §3).
 */
import { copyBytes } from '../../core/index.ts'

/** Bytes of the header without tag, of an 802.1Q tag, and of the frame check sequence that travels with a frame. */
export const HEADER_SIZE = 14
export const TAG_SIZE = 4
export const FCS_SIZE = 4
/** Shortest frame without frame check sequence: transmitters pad up to it. */
export const SHORTEST_FRAME = 60
/** Longest frame that fits into a {@link Frame} of the default size: what the 82599 can carry, rounded up. */
export const LONGEST_FRAME = 16_384

export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  vlan: 0x8100,
  slowProtocols: 0x8809,
  ipv6: 0x86dd,
  lldp: 0x88cc,
} as const

/** A frame in a buffer that is used again and again: whoever is handed one copies what it keeps. */
export class Frame {
  readonly bytes: Uint8Array
  /** Bytes in use, without frame check sequence. */
  length = 0
  /** Whether the frame check sequence does not match: the line or the sender damaged it. */
  damaged = false

  constructor(capacity: number = LONGEST_FRAME) {
    this.bytes = new Uint8Array(capacity)
  }

  static of(bytes: Uint8Array): Frame {
    const frame = new Frame(bytes.length)
    frame.set(bytes)
    return frame
  }

  /** Replaces the contents; what does not fit is cut off. */
  set(bytes: Uint8Array, start = 0, length: number = bytes.length - start): void {
    this.length = Math.min(length, this.bytes.length)
    copyBytes(bytes, start, this.bytes, 0, this.length)
    this.damaged = false
  }

  copyFrom(other: Frame): void {
    this.set(other.bytes, 0, other.length)
    this.damaged = other.damaged
  }

  /** A copy of the bytes, for those who keep them. */
  toBytes(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}

/** Network byte order. */
export const read16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!
export const read32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

export function write16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}

export function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24
  bytes[at + 1] = value >>> 16
  bytes[at + 2] = value >>> 8
  bytes[at + 3] = value
}

/** Puts an 802.1Q tag behind the addresses. False if the buffer has no room for it. */
export function insertTag(frame: Frame, tag: number, etherType: number = ETHERTYPE.vlan): boolean {
  const { bytes, length } = frame
  if (length < 12 || length + TAG_SIZE > bytes.length) return false
  bytes.copyWithin(12 + TAG_SIZE, 12, length)
  write16(bytes, 12, etherType)
  write16(bytes, 14, tag)
  frame.length = length + TAG_SIZE
  return true
}

/** Takes the tag away that lies behind the addresses. */
export function removeTag(frame: Frame): void {
  frame.bytes.copyWithin(12, 12 + TAG_SIZE, frame.length)
  frame.length -= TAG_SIZE
}
