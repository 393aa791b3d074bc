/**
 * "Invalidation Descriptors". They are 128 bits wide in legacy mode and 256 in scalable mode, where the upper half is
 * reserved for every type. The type is spread over bits 11:9 (high part) and 3:0. Bits that no field names are reserved
 * and must be 0.
 */
import { type Fields, rw } from '../../core/index.ts'

const TYPE = { TYPE: rw(3, 0), TYPE_HIGH: rw(11, 9) } as const

/** "Context-cache Invalidate Descriptor" */
export const CONTEXT_CACHE_INVALIDATE = {
  ...TYPE,
  G: rw(5, 4),
  DID: rw(31, 16),
  SID: rw(47, 32),
  FM: rw(49, 48),
} as const

/** "IOTLB Invalidate Descriptor" */
export const IOTLB_INVALIDATE = {
  ...TYPE,
  G: rw(5, 4),
  DW: rw(6),
  DR: rw(7),
  DID: rw(31, 16),
  AM: rw(69, 64),
  IH: rw(70),
  ADDR: rw(127, 76),
} as const

/** "Device-TLB Invalidate Descriptor" */
export const DEVICE_TLB_INVALIDATE = {
  ...TYPE,
  PFSID_LOW: rw(15, 12),
  MIP: rw(20, 16),
  SID: rw(47, 32),
  PFSID_HIGH: rw(63, 52),
  S: rw(64),
  ADDR: rw(127, 76),
} as const

/** "Interrupt Entry Cache Invalidate Descriptor" */
export const INTERRUPT_ENTRY_CACHE_INVALIDATE = {
  ...TYPE,
  G: rw(4),
  IM: rw(31, 27),
  IIDX: rw(47, 32),
} as const

/** "Invalidation Wait Descriptor" */
export const INVALIDATION_WAIT = {
  ...TYPE,
  IF: rw(4),
  SW: rw(5),
  FN: rw(6),
  /** Reserved without page-request drain (`ECAP.PDS`). */
  PD: rw(7),
  STDATA: rw(63, 32),
  STADDR: rw(127, 66),
} as const

/** "PASID-based IOTLB Invalidate Descriptor" */
export const PASID_IOTLB_INVALIDATE = {
  ...TYPE,
  G: rw(5, 4),
  DID: rw(31, 16),
  PASID: rw(51, 32),
  AM: rw(69, 64),
  IH: rw(70),
  ADDR: rw(127, 76),
} as const

/** "PASID-cache Invalidate Descriptor" */
export const PASID_CACHE_INVALIDATE = { ...TYPE, G: rw(5, 4), DID: rw(31, 16), PASID: rw(51, 32) } as const

/** "PASID-based Device-TLB Invalidate Descriptor" */
export const PASID_DEVICE_TLB_INVALIDATE = {
  ...TYPE,
  MIP: rw(8, 4),
  PFSID_LOW: rw(15, 12),
  SID: rw(31, 16),
  PASID: rw(51, 32),
  PFSID_HIGH: rw(63, 52),
  /** Global: translations of every PASID. */
  G: rw(64),
  S: rw(75),
  ADDR: rw(127, 76),
} as const

/** "Page Group Response Descriptor" */
export const PAGE_GROUP_RESPONSE = {
  ...TYPE,
  /** PASID Present */
  PP: rw(4),
  /** Response Code */
  RC: rw(15, 12),
  RID: rw(31, 16),
  PASID: rw(51, 32),
  /** Last Page In Group */
  LPIG: rw(66),
  /** Page Request Group Index */
  PRGI: rw(75, 67),
} as const

export const DESCRIPTOR_TYPE = {
  contextCache: 1,
  iotlb: 2,
  deviceTlb: 3,
  interruptEntryCache: 4,
  wait: 5,
  pasidIotlb: 6,
  pasidCache: 7,
  pasidDeviceTlb: 8,
  pageGroupResponse: 9,
} as const

/** `PASID_CACHE_INVALIDATE.G` */
export const PASID_CACHE_GRANULARITY = { domain: 0, pasid: 1, global: 3 } as const
/** `PASID_IOTLB_INVALIDATE.G` */
export const PASID_IOTLB_GRANULARITY = { pasid: 2, page: 3 } as const

/** `PAGE_GROUP_RESPONSE.RC`, the Response Code of a PRG Response Message. */
export const PAGE_RESPONSE = { success: 0, invalidRequest: 1, failure: 15 } as const

/** One type of descriptor: what a unit checks before it does what the descriptor says. */
export interface DescriptorType {
  readonly type: number
  readonly name: string
  readonly fields: Fields
  /** Bits of each word of the lower half that must be 0. */
  readonly reserved: readonly [number, number, number, number]
  /** Values of G that are not reserved; undefined if there is no G or it has one bit. */
  readonly granularities?: readonly number[]
  /** Capability without which the type is invalid, besides `ECAP.QI`. */
  readonly requires?: 'DT' | 'PRS' | 'SMTS'
  /** Whether it exists in the 256-bit format only. */
  readonly wide?: boolean
}

const descriptorType = (
  type: number,
  name: string,
  fields: Fields,
  rest: Pick<DescriptorType, 'granularities' | 'requires' | 'wide'> = {},
): DescriptorType => Object.freeze({ type, name, fields, reserved: reservedWords(fields), ...rest })

/** Every type, ascending. */
export const DESCRIPTOR_TYPES: readonly DescriptorType[] = [
  descriptorType(1, 'context-cache invalidate', CONTEXT_CACHE_INVALIDATE, { granularities: [1, 2, 3] }),
  descriptorType(2, 'IOTLB invalidate', IOTLB_INVALIDATE, { granularities: [1, 2, 3] }),
  descriptorType(3, 'device-TLB invalidate', DEVICE_TLB_INVALIDATE, { requires: 'DT' }),
  descriptorType(4, 'interrupt entry cache invalidate', INTERRUPT_ENTRY_CACHE_INVALIDATE),
  descriptorType(5, 'invalidation wait', INVALIDATION_WAIT),
  descriptorType(6, 'PASID-based IOTLB invalidate', PASID_IOTLB_INVALIDATE, {
    granularities: [2, 3],
    requires: 'SMTS',
    wide: true,
  }),
  descriptorType(7, 'PASID-cache invalidate', PASID_CACHE_INVALIDATE, {
    granularities: [0, 1, 3],
    requires: 'SMTS',
    wide: true,
  }),
  descriptorType(8, 'PASID-based device-TLB invalidate', PASID_DEVICE_TLB_INVALIDATE, {
    requires: 'DT',
    wide: true,
  }),
  descriptorType(9, 'page group response', PAGE_GROUP_RESPONSE, { requires: 'PRS', wide: true }),
]

/** Bytes of a descriptor with `IQA.DW` = 0, and with `IQA.DW` = 1. */
export const DESCRIPTOR_BYTES = 16
export const WIDE_DESCRIPTOR_BYTES = 32

/** The four words of bits that belong to no field. */
export function reservedWords(fields: Fields): readonly [number, number, number, number] {
  const used = new Uint32Array(5)
  for (const { word, mask, upperMask } of Object.values(fields)) {
    used[word]! |= mask
    used[word + 1]! |= upperMask
  }
  return [~used[0]! >>> 0, ~used[1]! >>> 0, ~used[2]! >>> 0, ~used[3]! >>> 0]
}
