/** What a core needs of memory and of the page-modification log: the seam that keeps their files out of its own. */

/** Why an access failed. */
export const FAILURE = { none: 0, ept: 1, pageFault: 2, apicAccess: 3 } as const

/** A processor's accesses to memory, by physical and by linear address. See memory-access.ts. */
export interface ProcessorMemory {
  /** What was read, or is to be written: low and high word. */
  readonly value: Uint32Array
  /** After a failed access: one of {@link FAILURE}. */
  readonly failure: number
  /** The guest-physical address that EPT refused, and (low and high word) the linear address that failed. */
  readonly faultAddress: Float64Array
  readonly faultLinear: Uint32Array
  /** What the second stage refused was an access to a table of the program. */
  readonly tableWalk: boolean
  readonly paging: { readonly errorCode: number; readonly vpid: number }
  /** Who accesses memory for an operation of the program: one of ACCESSOR. */
  readonly accessor: number
  read(address: number, width: number): boolean
  write(address: number, width: number): boolean
  fetch(address: number): boolean
  readLinear(low: number, high: number, width: number, accessor: number): boolean
  writeLinear(low: number, high: number, width: number, accessor: number): boolean
  fetchLinear(low: number, high: number, accessor: number): boolean
  tellPageFault(): void
  loadGuestPdptes(): boolean
}

/** "Page-Modification Logging". See page-modification-log.ts. */
export interface ModificationLog {
  /** Whether a flag must not be set because the log is full. */
  readonly full: boolean
  /** A page's dirty flag goes from 0 to 1. */
  append(guestPage: number): void
}
