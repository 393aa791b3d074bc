/** What a driver asks a remapping unit to forget, and the descriptors that say so ("Invalidation Descriptors"). */
import { type Fields, set } from '../../core/index.ts'
import {
  CONTEXT_CACHE_INVALIDATE,
  DESCRIPTOR_TYPE,
  DEVICE_TLB_INVALIDATE,
  GRANULARITY,
  INTERRUPT_ENTRY_CACHE_INVALIDATE,
  INVALIDATION_WAIT,
  IOTLB_INVALIDATE,
  PAGE_GROUP_RESPONSE,
  PASID_CACHE_GRANULARITY,
  PASID_CACHE_INVALIDATE,
  PASID_IOTLB_GRANULARITY,
  PASID_IOTLB_INVALIDATE,
} from '../../vtd/formats/index.ts'

/** A function whose device-TLB is in use. */
export interface DeviceTlb {
  readonly rid: number
  /** The physical function, which limits how many invalidations may be under way. */
  readonly physicalRid: number
  /** "Invalidate Queue Depth" of the function. */
  readonly queueDepth: number
}

/** The answer to a group of page requests. */
export interface PageGroupResponse {
  readonly rid: number
  /** -1 without PASID. */
  readonly pasid: number
  readonly group: number
  readonly code: number
}

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
  | { readonly cache: 'pasid'; readonly scope: 'global' }
  | { readonly cache: 'pasid'; readonly scope: 'pasid'; readonly domain: number; readonly pasid: number }
  | { readonly cache: 'pasidIotlb'; readonly scope: 'pasid'; readonly domain: number; readonly pasid: number }
  | {
      readonly cache: 'pasidIotlb'
      readonly scope: 'pages'
      readonly domain: number
      readonly pasid: number
      readonly page: number
      readonly addressMask: number
      readonly leavesOnly: boolean
    }
  /** 2^addressMask pages, or with `undefined` all of them. */
  | {
      readonly cache: 'deviceTlb'
      readonly device: DeviceTlb
      readonly page: number
      readonly addressMask: number | undefined
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
    case 'pasid':
      return descriptor(PASID_CACHE_INVALIDATE, {
        TYPE: DESCRIPTOR_TYPE.pasidCache,
        G: PASID_CACHE_GRANULARITY[request.scope],
        ...(request.scope === 'pasid' ? { DID: request.domain, PASID: request.pasid } : {}),
      })
    case 'pasidIotlb':
      return descriptor(PASID_IOTLB_INVALIDATE, {
        TYPE: DESCRIPTOR_TYPE.pasidIotlb,
        G: request.scope === 'pages' ? PASID_IOTLB_GRANULARITY.page : PASID_IOTLB_GRANULARITY.pasid,
        DID: request.domain,
        PASID: request.pasid,
        ...(request.scope === 'pages'
          ? { ADDR: request.page, AM: request.addressMask, IH: Number(request.leavesOnly) }
          : {}),
      })
    case 'deviceTlb':
      return describeDeviceTlb(request.device, request.page, request.addressMask)
    case 'interruptEntry':
      return descriptor(INTERRUPT_ENTRY_CACHE_INVALIDATE, {
        TYPE: DESCRIPTOR_TYPE.interruptEntryCache,
        G: request.scope === 'global' ? 0 : 1,
        ...(request.scope === 'index' ? { IIDX: request.index } : {}),
      })
  }
}

/** "S": the size is told by the lowest 0 of the address; ones up to bit 62 stand for all addresses. */
function describeDeviceTlb(device: DeviceTlb, page: number, addressMask: number | undefined): Descriptor {
  const { rid, physicalRid, queueDepth } = device
  const ones = addressMask === undefined ? ALL_ADDRESSES : 2 ** Math.max(addressMask - 1, 0) - 1
  return descriptor(DEVICE_TLB_INVALIDATE, {
    TYPE: DESCRIPTOR_TYPE.deviceTlb,
    SID: rid,
    MIP: queueDepth,
    PFSID_LOW: physicalRid & 0xf,
    PFSID_HIGH: physicalRid >>> 4,
    S: addressMask === 0 ? 0 : 1,
    ADDR: addressMask === undefined ? ones : page + ones,
  })
}

/** Bits 62:12. */
const ALL_ADDRESSES = 2 ** 51 - 1

export const pageGroupResponse = ({ rid, pasid, group, code }: PageGroupResponse): Descriptor =>
  descriptor(PAGE_GROUP_RESPONSE, {
    TYPE: DESCRIPTOR_TYPE.pageGroupResponse,
    PP: pasid < 0 ? 0 : 1,
    RC: code,
    RID: rid,
    PASID: Math.max(pasid, 0),
    LPIG: 1,
    PRGI: group,
  })

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
