/** One invalidation descriptor: what is wrong with it, or else what it does. */
import { get, type PageNumber } from '../core/index.ts'
import type { UnitCapabilities } from './capabilities.ts'
import { type DeviceInvalidations, EVERY_PASID, WITHOUT_PASID } from './device-invalidations.ts'
import * as D from './formats/invalidation-descriptors.ts'
import { INVALIDATION_QUEUE_ERROR as ERROR, GRANULARITY } from './formats/registers.ts'
import type { Invalidation } from './invalidation.ts'
import type { Quirks } from './quirks.ts'

/** Descriptor types by number, 7 bits. */
const TYPES: readonly (D.DescriptorType | undefined)[] = Array.from({ length: 128 }, (_, type) =>
  D.DESCRIPTOR_TYPES.find(row => row.type === type),
)

/** What descriptors act on. */
export interface DescriptorTargets {
  readonly invalidation: Invalidation
  readonly devices: DeviceInvalidations
  /** Takes a wait descriptor. */
  wait(descriptor: Uint32Array): void
}

/** The type of a descriptor: its high bits stand apart. */
export const descriptorTypeOf = (d: Uint32Array): number => ((d[0]! >>> 5) & 0x70) | (d[0]! & 0xf)

export class DescriptorExecution {
  readonly #capabilities: UnitCapabilities
  readonly #quirks: Quirks
  readonly #targets: DescriptorTargets

  constructor(capabilities: UnitCapabilities, quirks: Quirks, targets: DescriptorTargets) {
    this.#capabilities = capabilities
    this.#quirks = quirks
    this.#targets = targets
  }

  /** Does what the eight words say. Returns an `IQERCD.IQEI` code, 0 if all is well. */
  execute(d: Uint32Array, wide: boolean): number {
    const row = TYPES[descriptorTypeOf(d)]
    if (row === undefined || (row.wide === true && !wide) || !this.#supports(row)) return ERROR.invalidType
    const [r0, r1, r2, r3] = row.reserved
    if ((d[0]! & r0) | (d[1]! & r1) | (d[2]! & r2) | (d[3]! & r3)) return ERROR.reservedField
    if (d[4]! | d[5]! | d[6]! | d[7]!) return ERROR.reservedField
    if (row.granularities !== undefined && !row.granularities.includes(get(row.fields['G']!, d))) {
      return ERROR.reservedField
    }
    return this.#perform(row.type, d)
  }

  #supports({ requires }: D.DescriptorType): boolean {
    if (requires === undefined || this.#capabilities[requires] !== 0) return true
    return requires === 'DT' && this.#quirks.deviceTlbDescriptorAcceptedWithoutDt
  }

  #perform(type: number, d: Uint32Array): number {
    const { invalidation } = this.#targets
    switch (type) {
      case D.DESCRIPTOR_TYPE.contextCache: {
        const { G, DID, SID, FM } = D.CONTEXT_CACHE_INVALIDATE
        invalidation.contextCache(get(G, d), get(DID, d), get(SID, d), get(FM, d))
        return ERROR.none
      }
      case D.DESCRIPTOR_TYPE.iotlb: {
        const { G, DID, ADDR, AM, IH } = D.IOTLB_INVALIDATE
        const done = invalidation.iotlb(get(G, d), get(DID, d), get(ADDR, d), get(AM, d), get(IH, d) === 1)
        return done === GRANULARITY.none ? ERROR.reservedField : ERROR.none
      }
      case D.DESCRIPTOR_TYPE.deviceTlb: {
        const { SID, ADDR, S } = D.DEVICE_TLB_INVALIDATE
        this.#invalidateDevice(get(SID, d), get(ADDR, d), get(S, d), WITHOUT_PASID)
        return ERROR.none
      }
      case D.DESCRIPTOR_TYPE.interruptEntryCache: {
        const { G, IIDX, IM } = D.INTERRUPT_ENTRY_CACHE_INVALIDATE
        invalidation.interruptEntries(get(G, d) === 0, get(IIDX, d), get(IM, d))
        return ERROR.none
      }
      case D.DESCRIPTOR_TYPE.pasidIotlb: {
        const { G, DID, PASID, ADDR, AM, IH } = D.PASID_IOTLB_INVALIDATE
        const pages = get(G, d) === D.PASID_IOTLB_GRANULARITY.page
        if (pages && get(AM, d) > this.#capabilities.MAMV) return ERROR.reservedField
        if (!pages) invalidation.pasidIotlb(get(DID, d), get(PASID, d))
        else {
          const leafOnly = get(IH, d) === 1
          invalidation.pasidIotlbPages(get(DID, d), get(PASID, d), get(ADDR, d), get(AM, d), leafOnly)
        }
        return ERROR.none
      }
      case D.DESCRIPTOR_TYPE.pasidCache: {
        const { G, DID, PASID } = D.PASID_CACHE_INVALIDATE
        invalidation.pasidCache(get(G, d), get(DID, d), get(PASID, d))
        return ERROR.none
      }
      case D.DESCRIPTOR_TYPE.pasidDeviceTlb: {
        const { SID, PASID, ADDR, S, G } = D.PASID_DEVICE_TLB_INVALIDATE
        const pasid = get(G, d) === 1 ? EVERY_PASID : get(PASID, d)
        this.#invalidateDevice(get(SID, d), get(ADDR, d), get(S, d), pasid)
        return ERROR.none
      }
      case D.DESCRIPTOR_TYPE.pageGroupResponse:
        this.#respond(d)
        return ERROR.none
      default:
        return this.#wait(d)
    }
  }

  #invalidateDevice(sourceId: number, page: PageNumber, size: number, pasid: number): void {
    if (this.#capabilities.DT === 0) return
    const count = size === 1 ? pagesOf(page) : 1
    this.#targets.devices.invalidate(sourceId, Math.floor(page / count) * count, count, pasid)
  }

  /** "Page Group Response Descriptor": a message goes to the function for the end of a group only. */
  #respond(d: Uint32Array): void {
    const { LPIG, RID, PP, PASID, PRGI, RC } = D.PAGE_GROUP_RESPONSE
    if (get(LPIG, d) === 0) return
    const pasid = get(PP, d) === 1 ? get(PASID, d) : -1
    this.#targets.devices.respond(get(RID, d), pasid, get(PRGI, d), get(RC, d))
  }

  #wait(d: Uint32Array): number {
    const { PD, IF, SW } = D.INVALIDATION_WAIT
    if (this.#capabilities.PDS === 0 && get(PD, d) !== 0) return ERROR.reservedField
    if (this.#quirks.emptyWaitRejected && get(IF, d) + get(SW, d) === 0) return ERROR.reservedField
    this.#targets.wait(d)
    return ERROR.none
  }
}

/** S=1: the range is 8 KiB shifted left by the number of trailing ones of the page number. */
function pagesOf(page: PageNumber): number {
  let count = 2
  for (let rest = page; rest % 2 === 1 && count < 2 ** 52; rest = Math.floor(rest / 2)) count *= 2
  return count
}
