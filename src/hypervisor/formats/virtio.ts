/** Virtual I/O Device (VIRTIO) 1.2: what both sides of a device over PCI agree on. Offsets in bytes. */

/** §5 "Device Types". The PCI device id of a modern device is 1040h and this. */
export const VIRTIO_TYPE = { network: 1, block: 2, balloon: 5 } as const
export const VIRTIO_VENDOR = 0x1af4
export const virtioDeviceId = (type: number): number => 0x1040 + type

/** §2.1 "Device Status Field" */
export const VIRTIO_STATUS = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 64,
  failed: 128,
} as const

/** §6 "Reserved Feature Bits", by bit number. */
export const VIRTIO_FEATURE = {
  indirectDescriptors: 28,
  eventIndex: 29,
  version1: 32,
  accessPlatform: 33,
  ringPacked: 34,
} as const

/** §4.1.4 "Virtio Structure PCI Capabilities": vendor-specific capabilities by cfg_type. */
export const VIRTIO_CAPABILITY = { common: 1, notify: 2, isr: 3, device: 4 } as const
/** Inside such a capability. */
export const CAPABILITY_FIELD = { type: 3, bar: 4, offset: 8, length: 12, notifyMultiplier: 16 } as const

/** §4.1.4.3 "Common configuration structure layout" */
export const COMMON = {
  deviceFeatureSelect: 0,
  deviceFeature: 4,
  driverFeatureSelect: 8,
  driverFeature: 12,
  configVector: 16,
  queues: 18,
  status: 20,
  configGeneration: 21,
  queueSelect: 22,
  queueSize: 24,
  queueVector: 26,
  queueEnable: 28,
  queueNotifyOffset: 30,
  queueDescriptors: 32,
  queueDriver: 40,
  queueDevice: 48,
  size: 56,
} as const
export const NO_VECTOR = 0xffff
export const ISR = { queue: 1, configuration: 2 } as const

/** §2.7 "Split Virtqueues" */
export const DESCRIPTOR = { size: 16, address: 0, length: 8, flags: 12, next: 14 } as const
export const DESCRIPTOR_FLAG = { next: 1, write: 2, indirect: 4 } as const
/** Driver area: flags, idx, ring; then used_event. */
export const AVAILABLE = { flags: 0, index: 2, ring: 4 } as const
export const NO_INTERRUPT = 1
/** Device area: flags, idx, ring of id and length; then avail_event. */
export const USED = { flags: 0, index: 2, ring: 4, entry: 8 } as const
export const NO_NOTIFY = 1
export const availableSize = (entries: number): number => 6 + 2 * entries
export const usedSize = (entries: number): number => 6 + 8 * entries
export const usedEvent = (entries: number): number => 4 + 2 * entries
export const availableEvent = (entries: number): number => 4 + 8 * entries

/** §2.8 "Packed Virtqueues": the descriptor's id and flags, and the event suppression structures. */
export const PACKED = { size: 16, address: 0, length: 8, id: 12, flags: 14 } as const
export const PACKED_FLAG = { next: 1, write: 2, indirect: 4, available: 1 << 7, used: 1 << 15 } as const
export const EVENT = { offset: 0, flags: 2 } as const
export const EVENT_FLAG = { enable: 0, disable: 1, descriptor: 2 } as const
/** Bit 15 of desc_event_off_wrap. */
export const EVENT_WRAP = 0x8000

/** §2.7.10: whether moving an index from `old` to `current` passes `event`; all modulo 2^16. */
export const passesEvent = (event: number, current: number, old: number): boolean =>
  ((current - event - 1) & 0xffff) < ((current - old) & 0xffff)

/** §5.2 "Block Device" */
export const BLOCK_FEATURE = {
  segmentMaximum: 2,
  readOnly: 5,
  blockSize: 6,
  flush: 9,
  discard: 13,
  writeZeroes: 14,
} as const
export const BLOCK_CONFIG = {
  capacity: 0,
  segmentMaximum: 12,
  blockSize: 20,
  discardSectors: 36,
  discardSegments: 40,
  discardAlignment: 44,
  zeroesSectors: 48,
  zeroesSegments: 52,
  zeroesMayUnmap: 56,
  size: 60,
} as const
export const BLOCK_REQUEST = {
  read: 0,
  write: 1,
  flush: 4,
  identity: 8,
  discard: 11,
  writeZeroes: 13,
} as const
export const BLOCK_STATUS = { ok: 0, error: 1, unsupported: 2 } as const
/** Header: type, reserved, sector. */
export const BLOCK_HEADER = { size: 16, type: 0, sector: 8 } as const
export const BLOCK_IDENTITY_SIZE = 20
/** Segments of discard and write zeroes: sector, count, flags. */
export const BLOCK_SEGMENT_SIZE = 16
export const SECTOR_SIZE = 512
