/** VIRTIO 1.2, §5.1 "Network Device": what both sides agree on. */

export const NET_QUEUE = { receive: 0, transmit: 1 } as const
/** §5.1.3 "Feature bits", by bit number. */
export const NET_FEATURE = {
  mac: 5,
  status: 16,
  /** VIRTIO_NET_F_STANDBY: it may stand in for a primary device with the same address. */
  standby: 62,
} as const
/** §5.1.4 "Device configuration layout". */
export const NET_CONFIG = { mac: 0, status: 6, size: 8 } as const
export const NET_STATUS_LINK_UP = 1
/** §5.1.6 "Device Operation": the header before each frame; `buffers` is there with VERSION_1. */
export const NET_HEADER = { flags: 0, segmentation: 1, buffers: 10, size: 12 } as const
