/** What software asked a unit to forget, read from where it asks: the invalidation queue and the registers. */
import { get } from '../../core/index.ts'
import type { PhysicalMemory } from '../../memory/index.ts'
import {
  DESCRIPTOR_BYTES,
  DESCRIPTOR_TYPE,
  GRANULARITY,
  IOTLB_INVALIDATE,
  IQA,
  IQT,
  PASID_IOTLB_GRANULARITY,
  PASID_IOTLB_INVALIDATE,
  WIDE_DESCRIPTOR_BYTES,
} from '../../vtd/formats/index.ts'
import type { RemappingUnit } from '../../vtd/index.ts'

export type Asked =
  | { readonly cache: 'context' | 'interruptEntry' }
  | {
      readonly cache: 'iotlb'
      /** Absent: every domain. */
      readonly domain?: number
      /** Absent: every page. */
      readonly page?: number
      readonly pages?: number
      readonly leavesOnly: boolean
    }

export class InvalidationReader {
  readonly #unit: RemappingUnit
  readonly #memory: PhysicalMemory
  #tail: number

  constructor(unit: RemappingUnit, memory: PhysicalMemory) {
    this.#unit = unit
    this.#memory = memory
    this.#tail = unit.readDword(IQT.offset)
  }

  /** How far the queue was read. */
  save(): number {
    return this.#tail
  }

  load(tail: number): void {
    this.#tail = tail
  }

  /** After a write to a register of the unit: what was asked by it. */
  after(offset: number): Asked[] {
    if (offset === IQA.offset) this.#tail = 0
    return offset === IQT.offset ? this.#descriptors() : this.#registerCommand(offset)
  }

  #descriptors(): Asked[] {
    const unit = this.#unit
    const low = unit.readDword(IQA.offset)
    const size = 4096 << (low & 7)
    const step = low & IQA.f.DW.mask ? WIDE_DESCRIPTOR_BYTES : DESCRIPTOR_BYTES
    const base = (low & ~0xfff) >>> 0
    const ring = (unit.readDword(IQA.offset + 4) >>> 0) * 0x10_0000 + (base >>> 12)
    const tail = unit.readDword(IQT.offset)
    const asked: Asked[] = []
    for (let at = this.#tail; at !== tail && at < size; at = (at + step) % size) {
      const words = this.#memory.page(ring + (at >>> 12))?.words.subarray((at & 0xfff) >>> 2)
      if (words !== undefined) asked.push(...descriptor(words))
    }
    this.#tail = tail
    return asked
  }

  /** The upper half of CCMD with ICC, or of the IOTLB register with IVT: bit 31 starts either. */
  #registerCommand(offset: number): Asked[] {
    const iotlb = this.#unit.capabilities.IRO * 16 + 8
    if (offset === CCMD_HIGH) return [{ cache: 'context' }]
    if (offset !== iotlb + 4) return []
    const high = this.#unit.readDword(offset)
    const domain = high & 0xffff
    const granted = (high >>> 25) & 3
    return [{ cache: 'iotlb', leavesOnly: false, ...(granted === GRANULARITY.global ? {} : { domain }) }]
  }
}

const CCMD_HIGH = 0x2c

function descriptor(d: Uint32Array): Asked[] {
  switch (d[0]! & 0xf) {
    case DESCRIPTOR_TYPE.contextCache:
    case DESCRIPTOR_TYPE.pasidCache:
      return [{ cache: 'context' }]
    case DESCRIPTOR_TYPE.interruptEntryCache:
      return [{ cache: 'interruptEntry' }]
    case DESCRIPTOR_TYPE.iotlb: {
      const { G, DID, ADDR, AM, IH } = IOTLB_INVALIDATE
      const granularity = get(G, d)
      if (granularity === GRANULARITY.global) return [{ cache: 'iotlb', leavesOnly: false }]
      const domain = get(DID, d)
      if (granularity === GRANULARITY.domain) return [{ cache: 'iotlb', domain, leavesOnly: false }]
      return [{ cache: 'iotlb', domain, ...range(get(ADDR, d), get(AM, d)), leavesOnly: get(IH, d) === 1 }]
    }
    case DESCRIPTOR_TYPE.pasidIotlb: {
      const { G, DID, ADDR, AM, IH } = PASID_IOTLB_INVALIDATE
      const domain = get(DID, d)
      if (get(G, d) !== PASID_IOTLB_GRANULARITY.page) return [{ cache: 'iotlb', domain, leavesOnly: false }]
      return [{ cache: 'iotlb', domain, ...range(get(ADDR, d), get(AM, d)), leavesOnly: get(IH, d) === 1 }]
    }
    default:
      return []
  }
}

const range = (page: number, mask: number): { page: number; pages: number } => ({
  page: page - (page % 2 ** mask),
  pages: 2 ** mask,
})
