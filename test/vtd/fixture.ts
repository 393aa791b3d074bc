/**
 * A remapping unit with real memory, driven as software drives it: tables stored to memory, registers by offset.
 * Offsets and bits are written out here once more, on purpose.
 */
import { Engine } from '../../src/engine/index.ts'
import { InterruptMessage } from '../../src/interrupts/index.ts'
import { PhysicalMemory } from '../../src/memory/index.ts'
import { MemoryRequest } from '../../src/pcie/index.ts'
import { RemappingUnit, type RemappingUnitOptions } from '../../src/vtd/index.ts'

export const ROOT = 0x1_0000_0000
export const CONTEXT = 0x1_0000_1000
/** Second-stage tables of the fixture's domain, top first. */
export const L4 = 0x1_0000_2000
export const L3 = 0x1_0000_3000
export const L2 = 0x1_0000_4000
export const L1 = 0x1_0000_5000
export const IRT = 0x1_0001_0000
export const QUEUE = 0x1_0002_0000
export const STATUS_WORD = 0x1_0003_0000
export const NOWHERE = 0x9000_0000
/** 00:02.1 behind bus 3. */
export const SID = 0x0311
export const DOMAIN = 0x0007
/** Input address that the fixture maps, above 4 GiB, and where. */
export const IOVA = 0x2_4060_7000
export const TARGET = 0x1_2345_6000
export const ALL = 0xffff_ffff
export const SERVER_FRCD = 0x400
export const SERVER_IVA = 0x500
export const SERVER_IOTLB = 0x508

export const RAM = [
  { base: 0, size: 0x8000_0000 },
  { base: 0x1_0000_0000, size: 0x1_0000_0000 },
]

export class TestUnit {
  readonly memory: PhysicalMemory
  readonly engine = new Engine()
  readonly messages: InterruptMessage[] = []
  readonly deviceTlbInvalidations: (readonly number[])[] = []
  /** Nanoseconds until functions say that an invalidation is done. */
  deviceTlbDelay = 0
  /** Source-id, PASID (-1: none), page group index and response code. */
  readonly pageGroupResponses: (readonly [number, number, number, number])[] = []
  readonly unit: RemappingUnit
  readonly request = new MemoryRequest()
  readonly message = new InterruptMessage()

  constructor(options: Partial<RemappingUnitOptions> = {}, memory = new PhysicalMemory(RAM)) {
    this.memory = memory
    this.unit = new RemappingUnit(
      { id: 'unit0', index: 3, hostAddressWidth: 48, ...options },
      {
        memory: this.memory,
        engine: this.engine,
        interrupts: {
          deliver: message => {
            const kept = new InterruptMessage()
            kept.copyFrom(message)
            this.messages.push(kept)
            return 0
          },
        },
        deviceTlbs: {
          invalidate: (sourceId, page, count, pasid) => {
            this.deviceTlbInvalidations.push(
              pasid === -1 ? [sourceId, page, count] : [sourceId, page, count, pasid],
            )
            return this.deviceTlbDelay
          },
          pageGroupResponse: (...response) => this.pageGroupResponses.push(response),
        },
      },
    )
  }

  read32(offset: number): number {
    return this.unit.readDword(offset) >>> 0
  }

  read64(offset: number): bigint {
    return (BigInt(this.read32(offset + 4)) << 32n) | BigInt(this.read32(offset))
  }

  write32(offset: number, value: number, lanes = ALL): void {
    this.unit.writeDword(offset, value >>> 0, lanes)
  }

  write64(offset: number, value: number | bigint): void {
    this.write32(offset, Number(BigInt(value) & 0xffff_ffffn))
    this.write32(offset + 4, Number(BigInt(value) >> 32n))
  }

  /** Software stores a quadword. */
  store(address: number, value: number | bigint): void {
    this.memory.writeDword(address, Number(BigInt(value) & 0xffff_ffffn))
    this.memory.writeDword(address + 4, Number(BigInt(value) >> 32n))
  }

  load(address: number): bigint {
    const [low, high] = [this.memory.readDword(address)!, this.memory.readDword(address + 4)!]
    return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
  }

  /** GCMD as the manual prescribes: level bits from GSTS, one bit changed. */
  command(bit: number, value = 1): void {
    const levels = (this.read32(0x1c) & 0x96ff_ffff) >>> 0
    this.write32(0x18, value ? levels | (2 ** bit) : levels & ~(2 ** bit))
  }

  /** Tables for SID with one 4-KiB page at IOVA, all rights; root table latched; translation enabled. */
  enableTranslation(): this {
    this.store(ROOT + 3 * 16, CONTEXT + 1)
    this.store(CONTEXT + 0x11 * 16, L4 + 1)
    this.store(CONTEXT + 0x11 * 16 + 8, DOMAIN * 256 + 2)
    this.store(L4, L3 + 3)
    this.store(L3 + 9 * 8, L2 + 3)
    this.store(L2 + 3 * 8, L1 + 3)
    this.store(L1 + 7 * 8, TARGET + 3)
    this.write64(0x20, ROOT)
    this.command(30)
    this.command(31)
    return this
  }

  /** An interrupt remapping table of 256 entries, latched; remapping enabled. */
  enableInterruptRemapping({ eime = false } = {}): this {
    this.write64(0xb8, IRT + (eime ? 0x800 : 0) + 7)
    this.command(24)
    this.command(25)
    return this
  }

  enableQueue({ size = 0 } = {}): this {
    this.write64(0x90, QUEUE + size)
    this.write64(0x88, 0)
    this.command(26)
    return this
  }

  /** Puts a 128-bit descriptor at the tail and moves the tail; returns the address of its first byte. */
  submit(low: number | bigint, high: number | bigint = 0): number {
    const tail = Number(this.read64(0x88))
    this.store(QUEUE + tail, low)
    this.store(QUEUE + tail + 8, high)
    this.write64(0x88, (tail + 16) % 4096)
    return QUEUE + tail
  }

  /** One request; the answer is the host address, or the reason code as negative number, or null if just blocked. */
  dma(
    address: number,
    { write = false, sid = SID, addressType = 0, pasid = -1, length = 4 } = {},
  ): number | null {
    const { request } = this
    request.begin()
    request.requesterId = sid
    request.write = write
    request.page = Math.floor(address / 4096)
    request.offset = address % 4096
    request.length = length
    request.addressType = addressType
    request.pasid = pasid
    if (this.unit.translate(request)) return request.physicalPage * 4096 + request.offset
    return request.faultReason === 0 ? null : -request.faultReason
  }

  /** One interrupt request; the reason code or 0. */
  interrupt(addressLow: number, data = 0, { sid = SID, addressHigh = 0 } = {}): number {
    const outcome = this.request.interrupt
    return this.unit.remapInterrupt(sid, addressLow, addressHigh, data >>> 0, this.message, outcome)
  }

  /** `[reason, sid, FI, T1, F]` of a fault recording register. */
  record(n = 0): { reason: number; sid: number; address: bigint; read: boolean; set: boolean } {
    const low = this.read64(SERVER_FRCD + 16 * n)
    const high = this.read64(SERVER_FRCD + 16 * n + 8)
    return {
      reason: Number((high >> 32n) & 0xffn),
      sid: Number(high & 0xffffn),
      address: low,
      read: ((high >> 62n) & 1n) === 1n,
      set: high >> 63n === 1n,
    }
  }

  clearFaults(): void {
    for (let n = 0; n < 8; n++) this.write32(SERVER_FRCD + 16 * n + 12, 0x8000_0000)
    this.write32(0x34, 0x7f)
  }
}
