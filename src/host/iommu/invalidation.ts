/** What a driver asks a remapping unit to forget, and the descriptors that say so ("Invalidation Descriptors"). */
import { type Fields, set } from '../../core/index.ts'
import {
  CONTEXT_CACHE_INVALIDATE,
  DESCRIPTOR_TYPE,
  GRANULARITY,
  INTERRUPT_ENTRY_CACHE_INVALIDATE,
  INVALIDATION_WAIT,
  IOTLB_INVALIDATE,
} from '../../vtd/formats/index.ts'

export type Invalidation =
  | { readonly cache: 'context'; readonly scope: 'global' }
  | { readonly cache: 'context'; readonly scope: 'device'; readonly domain: number; readonly rid: number }
  | { readonly cache: 'iotlb'; readonly scope: 'global' }
  | { readonly cache: 'iotlb'; readonly scope: 'domain'; readonly domain: number }
  | {
      readonly cache: 'iotlb'
      readonly scope: 'pages'
      readonly domain: number
      /** First page of 2^addressMask pages, aligned to them. */
      readonly page: number
      readonly addressMask: number
      /** No table above the leaves has changed (IH). */
      readonly leavesOnly: boolean
    }
  | { readonly cache: 'interruptEntry'; readonly scope: 'global' }
  | { readonly cache: 'interruptEntry'; readonly scope: 'index'; readonly index: number }

export type Descriptor = readonly [number, number, number, number]

function descriptor<F extends Fields>(
  layout: F,
  values: { readonly [Name in keyof F]?: number },
): Descriptor {
  const words: [number, number, number, number] = [0, 0, 0, 0]
  for (const [name, value] of Object.entries(values)) set(layout[name]!, words, value as number)
  return words
}

export function describeInvalidation(request: Invalidation): Descriptor {
  switch (request.cache) {
    case 'context':
      return descriptor(CONTEXT_CACHE_INVALIDATE, {
        TYPE: DESCRIPTOR_TYPE.contextCache,
        G: GRANULARITY[request.scope],
        ...(request.scope === 'device' ? { DID: request.domain, SID: request.rid } : {}),
      })
    case 'iotlb':
      // DW and DR: requests translated before are drained; reserved nowhere, ignored without CAP.DWD and CAP.DRD.
      return descriptor(IOTLB_INVALIDATE, {
        TYPE: DESCRIPTOR_TYPE.iotlb,
        G: request.scope === 'pages' ? GRANULARITY.page : GRANULARITY[request.scope],
        DW: 1,
        DR: 1,
        ...(request.scope === 'global' ? {} : { DID: request.domain }),
        ...(request.scope === 'pages'
          ? { ADDR: request.page, AM: request.addressMask, IH: Number(request.leavesOnly) }
          : {}),
      })
    case 'interruptEntry':
      return descriptor(INTERRUPT_ENTRY_CACHE_INVALIDATE, {
        TYPE: DESCRIPTOR_TYPE.interruptEntryCache,
        G: request.scope === 'global' ? 0 : 1,
        ...(request.scope === 'index' ? { IIDX: request.index } : {}),
      })
  }
}

/** "Invalidation Wait Descriptor" with a status write. */
export const waitDescriptor = (statusAddress: number, statusData: number): Descriptor =>
  descriptor(INVALIDATION_WAIT, {
    TYPE: DESCRIPTOR_TYPE.wait,
    SW: 1,
    FN: 1,
    STDATA: statusData,
    STADDR: statusAddress / 4,
  })

/** The smallest aligned power-of-two run of pages around a range: its exponent. */
export function addressMaskFor(page: number, pages: number): number {
  let mask = 0
  for (let run = 1; Math.floor(page / run) !== Math.floor((page + pages - 1) / run); run *= 2) mask++
  return mask
}
