/** What a simulation answers: metrics, where the time went, which resource was in the way. Plain JSON. */

/** Every metric there is. A result has those that its kind of work has. An operation is a packet, request, transfer or map. */
export const METRICS = {
  operationsPerSecond: {
    unit: '1/s',
    about: 'Operations that ended: packets, messages, requests, transfers, maps',
  },
  throughput: { unit: 'Gb/s', about: 'Payload that reached its receiver' },
  latencyMean: { unit: 'ns', about: 'From the start of an operation to its end' },
  latencyP50: { unit: 'ns', about: 'Median of the same' },
  latencyP99: { unit: 'ns', about: '99th percentile of the same' },
  latencyP999: { unit: 'ns', about: '99.9th percentile of the same' },
  processors: { unit: 'processors', about: 'Logical processors busy on average' },
  processorShare: { unit: '%', about: 'The same of all processors of the machine' },
  guestProcessors: { unit: 'processors', about: 'Those busy with guests' },
  hostProcessors: { unit: 'processors', about: 'Those busy with host and hypervisor' },
  processorTime: { unit: 'ns', about: 'Processor time of an operation, of guest and host' },
  drops: { unit: '1/s', about: 'Packets lost for want of a descriptor' },
  dropShare: { unit: '%', about: 'The same of the packets that came' },
  exits: { unit: '1/s', about: 'VM exits' },
  interrupts: { unit: '1/s', about: 'Interrupt messages of devices' },
  injections: { unit: '1/s', about: 'Interrupts injected into guests' },
  copies: {
    unit: '1/operation',
    about: 'Times that the payload was copied by software, to or from a user not counted',
  },
  transfers: { unit: '1/operation', about: 'DMA transfers, descriptors included' },
  doorbells: { unit: '1/operation', about: 'Register writes of drivers' },
  iotlbMisses: { unit: '1/operation', about: 'Translations that the IOTLB did not have' },
  iotlbMissesPer4KiB: { unit: '1/4 KiB', about: 'The same by data moved' },
  tableReads: { unit: '1/operation', about: 'Reads of remapping structures in memory' },
  tableReadsPer4KiB: { unit: '1/4 KiB', about: 'The same by data moved' },
  pagingMissesLevel2Per4KiB: {
    unit: '1/4 KiB',
    about: 'Walks that did not find the entry to the page table cached',
  },
  pagingMissesLevel3Per4KiB: { unit: '1/4 KiB', about: 'Walks that did not find the level-3 entry either' },
  pagingMissesLevel4Per4KiB: { unit: '1/4 KiB', about: 'Walks that did not find the level-4 entry either' },
  maps: { unit: '1/operation', about: 'Buffers mapped' },
  invalidations: { unit: '1/operation', about: 'Invalidations that software waited for' },
  invalidationTime: {
    unit: 'ns',
    about: 'From the lock of the invalidation queue to the end of the wait, mean',
  },
  addressTime: { unit: 'ns', about: 'To allocate an I/O virtual address, mean' },
  mapTime: { unit: 'ns', about: 'To map a buffer, mean' },
  unmapTime: { unit: 'ns', about: 'To unmap a buffer, mean' },
} as const

export type MetricName = keyof typeof METRICS
export type Metrics = Partial<Record<MetricName, number>>

/** A share of the mean time of an operation. */
export interface Part {
  /** Where: a resource of {@link ResourceReport}, or `''` for a pure delay. */
  readonly resource: string
  /** Why: queueing there, or the activity that it was used for. */
  readonly activity: string
  readonly nanoseconds: number
}

export interface Breakdown {
  /** Nanoseconds of an operation. The parts sum to it. */
  readonly total: number
  readonly parts: readonly Part[]
}

export interface ResourceReport {
  readonly name: string
  /** Stations serve, pools lend. */
  readonly kind: 'station' | 'pool'
  readonly units: number
  /** 0 to 1. */
  readonly utilisation: number
  readonly arrivals: number
  /** Customers waiting or served, averaged over time. */
  readonly occupancy: number
  /** Nanoseconds, means over the customers. */
  readonly wait: number
  readonly service: number
  /** Operations a second that this resource alone would allow; null if it was not used. */
  readonly limit: number | null
}

/** The resource with the least limit, and what would hold the work back without it. */
export interface Bottleneck {
  readonly resource: string
  readonly utilisation: number
  readonly limit: number
  readonly why: string
}

export interface Result {
  /** Nanoseconds that were measured. */
  readonly duration: number
  readonly metrics: Metrics
  /** Mean latency of an operation, waiting included. */
  readonly breakdown: Breakdown
  /** Processor time of an operation. */
  readonly processorBreakdown: Breakdown
  readonly resources: readonly ResourceReport[]
  readonly bottleneck: Bottleneck | null
  readonly next: Bottleneck | null
  /** What happened while it was measured: operations, exits by reason, transfers, copies … */
  readonly counts: Readonly<Record<string, number>>
  readonly events: number
  /** The same for the same configuration. */
  readonly traceHash: string
  /** What was assumed, sentence by sentence. */
  readonly notes: readonly string[]
}
