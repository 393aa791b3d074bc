/**
 * An accelerator with ATS, PRI and PASIDs behind a root port, a remapping unit in scalable mode, and a small driver that
 * knows registers, configuration space and memory. Offsets and bits are written out here once more, on purpose.
 */
import type { DmaEngine } from '../../src/devices/index.ts'
import { Engine } from '../../src/engine/index.ts'
import type { PcieFunction } from '../../src/pcie/index.ts'
import { Platform, parseTopology } from '../../src/platform/index.ts'
import { topology } from '../platform/documents.ts'
import { FULL } from './one-page-fixture.ts'

export const UNIT = 0xfed9_0000
export const SID = 0x0100
export const CONFIG = 0x8000_0000
export const PORT = CONFIG + 0x08 * 4096
export const FUNCTION = CONFIG + SID * 4096
export const [ATS, PRI, PASID_CONTROL] = [0x154, 0x164, 0x174]
export const ALLOCATION = 0x16c
export const ENABLE_ATS = 2 ** 31

export const ROOT = 0x1000_0000
export const CONTEXT = 0x1000_1000
export const DIRECTORY = 0x1000_2000
export const PASIDS = 0x1000_3000
export const QUEUE = 0x1000_4000
export const PRQ = 0x1000_5000
export const STATUS_WORD = 0x1000_6000
/** First-stage tables of PASID 0, which stands for requests without PASID, and of PASID 5: by level, top last. */
export const TABLES = { 0: 0x1100_0000, 5: 0x1101_0000 } as const
export const RID_PASID = 0
export const PASID = 5
export const DOMAIN = 9
export const IOVA = 0x40_0000
export const [PAGE, OTHER, MOVED] = [0x1200_0000, 0x1200_1000, 0x1200_2000]

export const [DTE, PASIDE, PRE] = [4, 8, 16]
export const [P, W, AD] = [0x05, 0x02, 0x60]

export class Driver {
  readonly time = new Engine()
  readonly platform: Platform
  readonly fn: PcieFunction
  readonly engine: DmaEngine
  #tail = 0

  constructor() {
    this.platform = this.time.run(
      Platform.build(
        parseTopology(
          topology(
            [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'ats-accelerator' }] }],
            { iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true, capabilities: FULL }] } },
          ),
        ),
        this.time,
      ),
    )
    this.platform.powerOn()
    this.config(PORT + 0x18, 0x0001_0100)
    this.config(PORT + 4, 6)
    this.config(FUNCTION + 4, 6)
    this.fn = this.platform.fabric.functionAt(0, SID as never)!
    this.engine = this.platform.engineOf(this.fn)
    this.#tables()
    this.#unit()
  }

  config(address: number, value: number): void {
    this.platform.port.writeDword(address, value >>> 0, 0xffff_ffff)
  }

  read(address: number): number {
    return this.platform.port.readDword(address) >>> 0
  }

  store(address: number, low: number, high = 0): void {
    this.platform.port.writeDword(address, low >>> 0, 0xffff_ffff)
    this.platform.port.writeDword(address + 4, high >>> 0, 0xffff_ffff)
  }

  #tables(): void {
    this.store(ROOT + 16, CONTEXT + 1)
    this.context(DTE + PASIDE + PRE)
    this.store(DIRECTORY, PASIDS + 1)
    for (const pasid of [RID_PASID, PASID] as const) {
      this.store(PASIDS + pasid * 64, 0x41)
      this.store(PASIDS + pasid * 64 + 8, DOMAIN + 0x80_0000)
      this.store(PASIDS + pasid * 64 + 16, TABLES[pasid] + 0x3003)
      for (const level of [3, 2, 1]) {
        const index = level === 1 ? IOVA / 2 ** 21 : 0
        this.store(TABLES[pasid] + level * 4096 + index * 8, TABLES[pasid] + (level - 1) * 4096 + P + W + AD)
      }
    }
    this.map(IOVA, PAGE)
    this.map(IOVA, OTHER, PASID)
    this.platform.port.writeDword(PAGE, 0x11111111, 0xffff_ffff)
    this.platform.port.writeDword(OTHER, 0x22222222, 0xffff_ffff)
    this.platform.port.writeDword(MOVED, 0x33333333, 0xffff_ffff)
  }

  context(bits: number): void {
    this.store(CONTEXT, DIRECTORY + 1 + bits)
    this.store(CONTEXT + 8, RID_PASID)
  }

  /** First-stage leaf; 0 takes the page away. */
  map(iova: number, page: number, pasid: keyof typeof TABLES = RID_PASID, rights = P + W + AD): void {
    this.store(TABLES[pasid] + ((iova / 4096) % 512) * 8, page === 0 ? 0 : page + rights)
  }

  #unit(): void {
    this.store(UNIT + 0x20, ROOT + 0x400)
    this.config(UNIT + 0x18, 2 ** 30)
    this.store(UNIT + 0x90, QUEUE + 0x800)
    this.config(UNIT + 0x18, 2 ** 26)
    this.store(UNIT + 0xd0, PRQ)
    this.config(UNIT + 0x18, 2 ** 26 + 2 ** 31)
  }

  /** Puts 256-bit descriptors (low half) at the tail, and a wait with status; whether it has completed. */
  submit(...descriptors: readonly (readonly [number, number, number?, number?])[]): boolean {
    this.store(STATUS_WORD, 0)
    for (const words of [...descriptors, [0x25, 1, STATUS_WORD, 0] as const]) {
      for (let n = 0; n < 8; n++) this.config(QUEUE + this.#tail + n * 4, words[n] ?? 0)
      this.#tail += 32
    }
    this.store(UNIT + 0x88, this.#tail)
    return this.completed
  }

  get completed(): boolean {
    return this.read(STATUS_WORD) === 1
  }

  enableAts(): void {
    this.config(FUNCTION + ATS, ENABLE_ATS)
  }

  enablePageRequests(): void {
    this.config(FUNCTION + ALLOCATION, 8)
    this.config(FUNCTION + PRI, 1)
  }

  dma(
    options: {
      write?: boolean
      pasid?: number
      privileged?: boolean
      execute?: boolean
      useAts?: boolean
    } = {},
  ) {
    const { write = false, useAts = true, ...rest } = options
    const data = new Uint8Array(4)
    const [part] = this.engine.dma(write, IOVA / 4096, 0, data, { useAts, ...rest })
    const found = (data[0]! | (data[1]! << 8) | (data[2]! << 16) | (data[3]! << 24)) >>> 0
    return { ...part!, found }
  }
}

export const TRANSLATED = 2
export const [SUCCESSFUL, FAULT, DENIED, REQUESTED, PASID_DISABLED] = [0, 5, 9, 10, 11]
export const invalidateDevice = [0x3, SID, IOVA, 0] as const
export const invalidateIotlb = [0x2 + 0x20 + DOMAIN * 0x1_0000, 0, 0, 0] as const
