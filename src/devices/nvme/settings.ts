/** What the maker of a controller decided. */
export interface NvmeSettings {
  readonly vendorId: number
  readonly subsystemVendorId: number
  readonly serialNumber: string
  readonly modelNumber: string
  readonly firmwareRevision: string
  /** CAP.MQES + 1. */
  readonly queueEntries: number
  /** CAP.DSTRD. */
  readonly doorbellStride: number
  /** Largest transfer: 4 KiB times this power of two (MDTS). */
  readonly transferExponent: number
  /** Message-signalled vectors of the physical function and of each virtual function. */
  readonly vectors: number
  readonly virtualVectors: number
  /** TotalVFs. */
  readonly virtualFunctions: number
  /** Bytes of the medium. */
  readonly capacity: number
  /** Bytes of the namespaces that exist from the start. */
  readonly namespaces: readonly number[]
}

/** Asynchronous Event Requests that can be outstanding. */
export const EVENT_REQUESTS = 4
/** NN. */
export const MOST_NAMESPACES = 64
/** Entries of the error log. */
export const ERROR_ENTRIES = 64
/** Commands processed before the controller looks up: what is left then goes on a little later. */
export const RUN_BUDGET = 8192
/** How much later, in nanoseconds. */
export const RUN_PAUSE = 1000
/** CAP.MPSMAX: memory pages of up to 64 KiB. */
export const LARGEST_PAGE = 4
/** Unit of the aggregation time, nanoseconds. */
export const AGGREGATION_UNIT = 100_000
