/** What the sanitizer reports: a defect of the software that manages DMA, with what led to it. */

export const DEFECTS = {
  staleTranslation: 'invalidate the IOTLB after the entry was changed, and before the device goes on',
  staleContext:
    'invalidate the context cache (and the IOTLB of the domain) after the context entry was changed',
  staleInterruptEntry: 'invalidate the interrupt entry cache after the entry was changed',
  staleDeviceTlb: 'invalidate the device-TLB of the function after the entry was changed',
  freedWhileMapped: 'unmap the pages, and invalidate, before they are given back',
  freedBeforeInvalidation: 'invalidate the IOTLB between unmapping the pages and giving them back',
  remappedBeforeInvalidation: 'invalidate the IOTLB before the address is mapped to something else',
  doubleMapping: 'unmap the page from the one domain before the other gets it',
  tableFreed: 'unlink the table and invalidate, without the leaf-only hint, before it is given back',
  untrustedTranslated:
    'keep ATS off for a function that is not trusted: its translated requests are believed',
  foreignInterrupt: 'let each interrupt remapping table entry accept its own function alone (SVT, SID)',
} as const
export type DefectKind = keyof typeof DEFECTS

export interface HistoryEntry {
  /** Virtual nanoseconds. */
  readonly time: number
  readonly event: 'mapped' | 'unmapped' | 'invalidated'
  readonly unit: string
  readonly domain: number
  /** `0x…`; of invalidations of a whole domain: absent. */
  readonly address?: string
  readonly physicalAddress?: string
  readonly size?: number
}

export interface Finding {
  /** Counts from 1. */
  readonly number: number
  readonly time: number
  readonly kind: DefectKind
  /** `dddd:bb:dd.f`; absent where no request was made. */
  readonly requester?: string
  /** I/O virtual address, else physical address. `0x…` */
  readonly address: string
  readonly text: string
  /** What software should have done. */
  readonly missing: string
  /** What happened to the page before, oldest first. */
  readonly history: readonly HistoryEntry[]
}
