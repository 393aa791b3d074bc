/** VIRTIO 1.2, §5.5 "Traditional Memory Balloon Device": what both sides agree on. */

export const BALLOON_QUEUE = { inflate: 0, deflate: 1 } as const
/** §5.5.3 "Feature bits", by bit number. */
export const BALLOON_FEATURE = { mustTellHost: 0, deflateOnOutOfMemory: 2 } as const
/** §5.5.4 "Device configuration layout": pages that the host wants, and pages that the driver has given. */
export const BALLOON_CONFIG = { wanted: 0, actual: 4, size: 8 } as const
/** Page numbers travel as 32-bit little-endian words, of pages of 4 KiB whatever the guest's are. */
export const BALLOON_ENTRY = 4
