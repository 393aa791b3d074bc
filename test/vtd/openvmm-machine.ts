/** The machine of OpenVMM's unit tests: one fault record, small tables below 4 MiB; and its commands by bit. */
import { TestUnit } from './fixture.ts'

export const ROOT = 0x10_0000
export const CONTEXTS = 0x11_0000
export const LEVEL_4 = 0x12_0000
export const LEVEL_3 = 0x13_0000
export const LEVEL_2 = 0x14_0000
export const LEVEL_1 = 0x15_0000
export const INTERRUPTS = 0x18_0000
export const PAGE = 0x20_0000
export const QUEUE = 0x30_0000
export const STATUS = 0x31_0000

export const [SIRTP, IRE, QIE, WBF, SRTP, TE, CFI] = [24, 25, 26, 27, 30, 31, 23]
export const FRCD = 0x120
export const IOTLB = 0x108

/** One fault record at 120h, invalidation registers at 100h. */
export const make = (): TestUnit => new TestUnit({ capabilities: { NFR: 0, FRO: 0x12, IRO: 0x10 } })

/** Context entry of 00:00.0; by default four levels, domain 1. */
export function context(t: TestUnit, low: number, high = 0x102): void {
  t.store(ROOT, CONTEXTS + 1)
  t.store(CONTEXTS, low)
  t.store(CONTEXTS + 8, high)
}

export function enable(t: TestUnit): TestUnit {
  t.write64(0x20, ROOT)
  t.command(SRTP)
  t.command(TE)
  return t
}

/** IOVA 0 to PAGE by four levels. */
export function mapped(): TestUnit {
  const t = make()
  context(t, LEVEL_4 + 1)
  t.store(LEVEL_4, LEVEL_3 + 3)
  t.store(LEVEL_3, LEVEL_2 + 3)
  t.store(LEVEL_2, LEVEL_1 + 3)
  t.store(LEVEL_1, PAGE + 3)
  return enable(t)
}

export function remapping({ eime = false, size = 0xf } = {}): TestUnit {
  const t = make()
  t.write64(0xb8, INTERRUPTS + (eime ? 0x800 : 0) + size)
  t.command(SIRTP)
  t.command(IRE)
  return t
}

/** Entry 0: vector, DST field, source validation quadword. */
export const entry = (t: TestUnit, vector: number, dst: number, high = 0, bits = 1): void => {
  t.store(INTERRUPTS, BigInt(dst) * 0x1_0000_0000n + BigInt(vector * 0x1_0000 + bits))
  t.store(INTERRUPTS + 8, high)
}

export const ask = (t: TestUnit, address: number, options: { write?: boolean; sid?: number } = {}) =>
  t.dma(address, { sid: 0, ...options })

export const status = (t: TestUnit, bit: number): number => (t.read32(0x1c) >>> bit) & 1

export type Case = readonly [name: string, run: () => void]
