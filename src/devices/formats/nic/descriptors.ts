/**
 * Descriptors of the 82576 and 82599 families: 16 bytes, here as four little-endian dwords ("Receive Descriptors",
 * "Transmit Descriptors"). Both chips share all layouts; where bits differ, it says so.
 */
import { bits } from './register.ts'

export const DESCRIPTOR_SIZE = 16

/** Values of `SRRCTL.DESCTYPE`. */
export const DESCRIPTOR_TYPE = {
  legacy: 0,
  oneBuffer: 1,
  headerSplit: 2,
  headerReplication: 3,
  headerReplicationLarge: 4,
  splitAlways: 5,
} as const

/** "Legacy Receive Descriptor", written back: dword 2 and 3. */
export const RX_LEGACY = {
  LENGTH: bits(15, 0),
  CHECKSUM: bits(31, 16),
  STATUS: bits(7, 0),
  ERRORS: bits(15, 8),
  VLAN: bits(31, 16),
} as const
/** Status bits of a legacy receive descriptor. */
export const RX_LEGACY_STATUS = { DD: 1, EOP: 2, VP: 8, UDPCS: 16, L4CS: 32, IPCS: 64, PIF: 128 } as const
/** Error bits of a legacy receive descriptor. */
export const RX_LEGACY_ERROR = { CE: 1, L4E: 32, IPE: 64, RXE: 128 } as const

/** "Advanced Receive Descriptor", written back. Dword 0. */
export const RX_INFO = {
  RSS_TYPE: bits(3, 0),
  PACKET_TYPE: bits(16, 4),
  /** Of the synthetic e-switch only, see {@link ESWITCH_PORT}; 0 from others. */
  SOURCE: bits(20, 17),
  HDR_LEN: bits(30, 21),
  SPH: bits(31),
} as const
/** Dword 1 without RSS hash. */
export const RX_FRAGMENT = { IP_ID: bits(15, 0), CHECKSUM: bits(31, 16) } as const
/** Dword 2: extended status 19:0, extended error 31:20. */
export const RX_STATUS = {
  DD: bits(0),
  EOP: bits(1),
  VP: bits(3),
  UDPCS: bits(4),
  L4CS: bits(5),
  IPCS: bits(6),
  PIF: bits(7),
  UDPV: bits(10),
  LB: bits(18),
  /** Header buffer overflow. */
  HBO: bits(23),
} as const
/** Error bits of dword 2; the two chips have them at different places. */
export const RX_ERROR_82576 = { L4E: bits(29), IPE: bits(30), RXE: bits(31) } as const
export const RX_ERROR_82599 = { L4E: bits(30), IPE: bits(31), RXE: bits(29) } as const
/** Dword 3. */
export const RX_LENGTH = { PKT_LEN: bits(15, 0), VLAN: bits(31, 16) } as const

/** Values of `RX_INFO.SOURCE` and `TX_DATA.DESTINATION`: nothing said, virtual functions from 0 on, the wire. */
export const ESWITCH_PORT = { none: 0, firstFunction: 1, wire: 15 } as const

/** Bits of `RX_INFO.PACKET_TYPE`. */
export const PACKET_TYPE = {
  IPV4: 0x001,
  IPV4_EXTENDED: 0x002,
  IPV6: 0x004,
  IPV6_EXTENDED: 0x008,
  TCP: 0x010,
  UDP: 0x020,
  SCTP: 0x040,
  NFS: 0x080,
  ETQF: 0x800,
} as const

/** Values of `RX_INFO.RSS_TYPE`. */
export const RSS_TYPE = {
  none: 0,
  tcpIpv4: 1,
  ipv4: 2,
  tcpIpv6: 3,
  ipv6Ex: 4,
  ipv6: 5,
  tcpIpv6Ex: 6,
  udpIpv4: 7,
  udpIpv6: 8,
  udpIpv6Ex: 9,
} as const

/** Dword 2 of every transmit descriptor: the command. */
export const TX_COMMAND = {
  EOP: bits(24),
  IFCS: bits(25),
  /** Of a legacy descriptor: insert checksum. */
  IC: bits(26),
  RS: bits(27),
  DEXT: bits(29),
  VLE: bits(30),
  /** Of an advanced data descriptor. */
  TSE: bits(31),
} as const
/** "Legacy Transmit Descriptor", dwords 2 and 3. */
export const TX_LEGACY = {
  LENGTH: bits(15, 0),
  CSO: bits(23, 16),
  STA: bits(3, 0),
  CSS: bits(15, 8),
  VLAN: bits(31, 16),
} as const
/** "Advanced Transmit Data Descriptor", dwords 2 and 3. */
export const TX_DATA = {
  DTALEN: bits(15, 0),
  DTYP: bits(23, 20),
  STA: bits(3, 0),
  IDX: bits(6, 4),
  CC: bits(7),
  IXSM: bits(8),
  TXSM: bits(9),
  /** Of the synthetic e-switch only, see {@link ESWITCH_PORT}. */
  DESTINATION: bits(13, 10),
  PAYLEN: bits(31, 14),
} as const
/** Values of `TX_DATA.DTYP`. */
export const TX_TYPE = { context: 2, data: 3 } as const
/** "Advanced Transmit Context Descriptor", dword 0. */
export const TX_CONTEXT_LENGTHS = { IPLEN: bits(8, 0), MACLEN: bits(15, 9), VLAN: bits(31, 16) } as const
/** Dword 2. */
export const TX_CONTEXT_TYPE = { IPV4: bits(10), L4T: bits(12, 11), DTYP: bits(23, 20) } as const
/** Values of `TX_CONTEXT_TYPE.L4T`. */
export const L4_TYPE = { udp: 0, tcp: 1, sctp: 2 } as const
/** Dword 3. */
export const TX_CONTEXT_SIZES = { IDX: bits(6, 4), L4LEN: bits(15, 8), MSS: bits(31, 16) } as const
/** Dword 3 of a descriptor that was written back: done. */
export const TX_DONE = 1
