/**
 * What drivers say to each other through the mailbox of the 82576 and 82599: numbers as in the headers that Linux's igb,
 * igbvf, ixgbe and ixgbevf share. The hardware knows nothing of them.
 */

/** Dwords of the buffer of each virtual function. */
export const MAILBOX_WORDS = 16

/** First dword: the message in bits 15:0, further information in 23:16, and how it was taken. */
export const MESSAGE_FIELD = {
  ID: 0xffff,
  INFO_SHIFT: 16,
  INFO: 0x00ff_0000,
  /** Clear to send: the physical function's driver is ready for this one. */
  CTS: 0x2000_0000,
  NACK: 0x4000_0000,
  ACK: 0x8000_0000,
} as const

/** Messages of virtual functions. */
export const VF_MESSAGE = {
  reset: 0x01,
  setMac: 0x02,
  setMulticast: 0x03,
  setVlan: 0x04,
  setLongPackets: 0x05,
  /** 82576: promiscuous modes; 82599: further unicast addresses. */
  setPromiscuous: 0x06,
  setMacVlan: 0x06,
  negotiate: 0x08,
  getQueues: 0x09,
  getReta: 0x0a,
  getRssKey: 0x0b,
  updateXcast: 0x0c,
  getLinkState: 0x10,
} as const

/** Message of the physical function: look at me, or without CTS: I was reset. */
export const PF_CONTROL = 0x0100

/** Information of `setMac` (82576): what to do with addresses besides the first. */
export const MAC_FILTER = { clear: 1, add: 2 } as const
/** Information of `setPromiscuous` (82576). */
export const PROMISCUOUS = { unicast: 1, multicast: 2 } as const
/** Information of `setMulticast`: number of hashes, or that there were more than fit. */
export const MULTICAST = { most: 30, overflow: 0x80 } as const

/** What a virtual function of the 82599 wants to hear besides its own address and broadcast (`updateXcast`). */
export const XCAST_MODE = { none: 0, multicast: 1, allMulticast: 2, promiscuous: 3 } as const

/** Bits of the physical function's mailbox register, and of the virtual function's. */
export const PF_MAILBOX = { STS: 1, ACK: 2, VFU: 4, PFU: 8, RVFU: 16 } as const
export const VF_MAILBOX = {
  REQ: 1,
  ACK: 2,
  VFU: 4,
  PFU: 8,
  PFSTS: 16,
  PFACK: 32,
  RSTI: 64,
  RSTD: 128,
} as const

/** Values of `negotiate` (82599), in the order in which they came to be. */
export const API_VERSION = {
  '1.0': 0,
  '2.0': 1,
  '1.1': 2,
  '1.2': 3,
  '1.3': 4,
  '1.4': 5,
  '1.5': 6,
  '1.6': 7,
} as const
