/**
 * "Invalidation Descriptors" of 128 bits. The type is spread over bits 11:9 (high part) and 3:0. Bits that no field
 * names are reserved and must be 0.
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

export const DESCRIPTOR_TYPE = {
  contextCache: 1,
  iotlb: 2,
  deviceTlb: 3,
  interruptEntryCache: 4,
  wait: 5,
} as const

/** Bytes of a descriptor with `IQA.DW` = 0. */
export const DESCRIPTOR_BYTES = 16

/** The four words of bits that belong to no field. */
export function reservedWords(fields: Fields): readonly [number, number, number, number] {
  const used = new Uint32Array(5)
  for (const { word, mask, upperMask } of Object.values(fields)) {
    used[word]! |= mask
    used[word + 1]! |= upperMask
  }
  return [~used[0]! >>> 0, ~used[1]! >>> 0, ~used[2]! >>> 0, ~used[3]! >>> 0]
}
