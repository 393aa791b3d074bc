/** "PCAP Capture File Format" (draft-ietf-opsawg-pcap): the layout that libpcap writes. */

/** Byte offsets in the file header. */
export const FILE_HEADER = {
  magic: 0,
  majorVersion: 4,
  minorVersion: 6,
  snapLength: 16,
  linkType: 20,
  length: 24,
} as const

/** The magic number says in which unit the fraction of a second counts, and by its order how the file is written. */
export const MAGIC = { microseconds: 0xa1b2_c3d4, nanoseconds: 0xa1b2_3c4d } as const

export const VERSION = { major: 2, minor: 4 } as const

/** LinkType field: the type itself, whether bits 31:28 say the length of an FCS, and that length in 16-bit units. */
export const LINK = { type: 0x03ff_ffff, fcsPresent: 0x0400_0000, fcsShift: 28 } as const

export const LINKTYPE_ETHERNET = 1

/** Byte offsets in the header before each packet. */
export const PACKET_HEADER = { seconds: 0, fraction: 4, captured: 8, original: 12, length: 16 } as const

/** What libpcap takes for the longest packet that any capture has; a longer one is a broken file. */
export const LONGEST_PACKET = 262_144

export interface CapturedPacket {
  /** Since 1970, or since the world began. */
  readonly seconds: number
  /** Nanoseconds within the second. */
  readonly nanoseconds: number
  /** Bytes on the medium; more than `data` has if the capture was cut to its snap length. */
  readonly originalLength: number
  readonly data: Uint8Array
}
