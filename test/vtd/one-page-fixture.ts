/**
 * A remapping unit in scalable mode: one function, one PASID, tables of both stages for one page. Offsets and bits are
 * written out here once more, on purpose.
 */
import type { PhysicalMemory } from '../../src/memory/index.ts'
import type { RemappingUnitOptions } from '../../src/vtd/index.ts'
import { IOVA, SID, STATUS_WORD, TARGET, TestUnit } from './fixture.ts'

export const S_ROOT = 0x1_0010_0000
export const S_CONTEXT = 0x1_0010_1000
export const S_DIRECTORY = 0x1_0010_2000
export const S_PASIDS = 0x1_0010_3000
/** First- and second-stage tables, by level. */
export const FS = [0, 0x1_0010_8000, 0x1_0010_7000, 0x1_0010_6000, 0x1_0010_5000, 0x1_0010_4000] as const
export const SS = [0, 0x1_0010_d000, 0x1_0010_c000, 0x1_0010_b000, 0x1_0010_a000, 0x1_0010_9000] as const
export const S_QUEUE = 0x1_0010_e000
export const PASID = 0x23
export const S_DOMAIN = 0x0009
export const CONTEXT_ENTRY = S_CONTEXT + (SID & 0x7f) * 32
export const PASID_ENTRY = S_PASIDS + PASID * 64
/** Index of IOVA in the tables of each level. */
export const INDEX = [0, 7, 3, 9, 0, 0] as const
export const TYPE = { first: 1, second: 2, nested: 3, passThrough: 4 } as const

/** Everything that scalable mode may have. */
export const FULL = {
  SMTS: 1,
  FSTS: 1,
  SSTS: 1,
  NEST: 1,
  PT: 1,
  PASID: 1,
  PSS: 19,
  SMPWCS: 1,
  RPS: 1,
  ERS: 1,
  SRS: 1,
  RPRIVS: 1,
  DT: 1,
  PRS: 1,
  PDS: 1,
  SSADS: 1,
  EAFS: 1,
  FS1GP: 1,
  FS5LP: 1,
  SAGAW: 0b1110,
  MGAW: 56,
  ADMS: 1,
} as const

export interface Asked {
  readonly write?: boolean
  readonly sid?: number
  readonly addressType?: number
  readonly pasid?: number
  readonly privileged?: boolean
  readonly execute?: boolean
  readonly atomic?: boolean
  readonly length?: number
}

export class OnePage extends TestUnit {
  constructor(
    type: number,
    capabilities: Readonly<Record<string, number>> = FULL,
    options: Partial<RemappingUnitOptions> = {},
    memory?: PhysicalMemory,
  ) {
    super({ capabilities, ...options }, memory)
    this.store(S_ROOT + (SID >> 8) * 16, S_CONTEXT + 1)
    const { PASID: pasids, DT, RPS } = capabilities
    this.store(CONTEXT_ENTRY, S_DIRECTORY + 1 + (pasids ? 8 : 0) + (DT ? 4 : 0))
    this.store(CONTEXT_ENTRY + 8, RPS ? PASID : 0)
    this.store(S_DIRECTORY, S_PASIDS + 1)
    this.entry(type, capabilities)
    // First stage: present, writable, user, accessed and dirty; nested, its leaf is the guest's own address.
    for (let level = 5; level > 1; level--) {
      this.store(FS[level]! + INDEX[level]! * 8, FS[level - 1]! + 0x67)
      this.store(SS[level]! + INDEX[level]! * 8, SS[level - 1]! + 3)
    }
    this.store(FS[1] + INDEX[1] * 8, (type === TYPE.nested ? IOVA : TARGET) + 0x67)
    this.store(SS[1] + INDEX[1] * 8, TARGET + 3)
    // Tables lie in guest memory where they lie in host memory: one page of 1 GiB.
    this.store(SS[3] + 4 * 8, 0x1_0000_0083)
    this.write64(0x20, S_ROOT + 0x400)
    this.command(30)
    this.command(31)
  }

  /** The PASID-table entries of PASID and of 0: four levels, snooped walks, SRE and ERE as far as the unit can. */
  entry(type: number, c: Readonly<Record<string, number>> = FULL): void {
    const second = type === TYPE.second || type === TYPE.nested
    const first = type === TYPE.first || type === TYPE.nested
    const rights = c['FSTS'] ? (c['SRS'] ? 1 : 0) + (c['ERS'] ? 2 : 0) : 0
    for (const at of [PASID_ENTRY, S_PASIDS]) {
      this.store(at, (second ? SS[4] + 8 : 0) + type * 64 + 1)
      this.store(at + 8, S_DOMAIN + (c['SMPWCS'] ? 0x80_0000 : 0))
      this.store(at + 16, (first ? FS[4] : 0) + rights)
    }
  }

  /** Sets bits in a quadword of memory. */
  set(address: number, bits: bigint): void {
    this.store(address, this.load(address) | bits)
  }

  clear(address: number, bits: bigint): void {
    this.store(address, this.load(address) & ~bits)
  }

  /** FPD in every entry of the way that has it. */
  disableFaultProcessing(): void {
    for (const address of [CONTEXT_ENTRY, S_DIRECTORY, PASID_ENTRY]) this.set(address, 2n)
  }

  /** One request; the answer is the host address, or the reason code as negative number, or null if just blocked. */
  ask(address: number, asked: Asked = {}): number | null {
    const { request } = this
    request.begin()
    request.requesterId = asked.sid ?? SID
    request.write = asked.write ?? false
    request.page = Math.floor(address / 4096)
    request.offset = address % 4096
    request.length = asked.length ?? 4
    request.addressType = asked.addressType ?? 0
    request.pasid = asked.pasid ?? -1
    request.privileged = asked.privileged ?? false
    request.execute = asked.execute ?? false
    request.atomic = asked.atomic ?? false
    if (this.unit.translate(request)) return request.physicalPage * 4096 + request.offset
    return request.faultReason === 0 ? null : -request.faultReason
  }

  /** A queue of 256-bit descriptors, enabled. */
  enableWideQueue(): void {
    this.write64(0x90, S_QUEUE + 0x800)
    this.write64(0x88, 0)
    this.command(26)
  }

  /** Puts a 256-bit descriptor at the tail and a wait with status behind it; whether the wait completed. */
  submitWide(low: bigint, high = 0n, third = 0n, fourth = 0n): boolean {
    let tail = Number(this.read64(0x88))
    this.store(STATUS_WORD, 0)
    for (const words of [
      [low, high, third, fourth],
      [0x1_0000_0025n, BigInt(STATUS_WORD), 0n, 0n],
    ]) {
      for (const [i, word] of words.entries()) this.store(S_QUEUE + tail + i * 8, word)
      tail = (tail + 32) % 4096
    }
    this.write64(0x88, tail)
    return this.load(STATUS_WORD) === 1n
  }
}
