/**
 * Pages of a 2-MiB leaf one after another: once the IOTLB has answered for one of them they are answered by a shortcut that
 * nothing of what follows may show.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const LEAF = F.L2 + 3 * 8
const REGION = F.IOVA - 7 * 4096
const BLOCK = 0x1_2340_0000
const page = (n: number): number => REGION + n * 4096
const frame = (n: number): number => BLOCK + n * 4096

let t: TestUnit

beforeEach(() => {
  t = new TestUnit().enableTranslation()
  t.store(LEAF, BLOCK + 0x83)
  for (let n = 0; n < 4; n++) {
    t.dma(page(n))
    t.dma(page(n), { write: true })
  }
})

describe('a page of a large one that was just used', () => {
  test('is a hit of the IOTLB that reads nothing', () => {
    for (const n of [4, 300, 511]) {
      expect(t.dma(page(n) + 8)).toBe(frame(n) + 8)
      expect([t.request.tableReads, t.request.iotlbHit]).toEqual([0, true])
    }
  })

  test('ends with its block', () => {
    expect(t.dma(page(512))).toBe(-0x6)
    expect(t.dma(page(-1))).toBe(-0x6)
  })

  test('goes by the entry that is cached, until that is invalidated', () => {
    t.store(LEAF, BLOCK + 0x20_0083)
    expect(t.dma(page(100))).toBe(frame(100))
    t.write32(F.SERVER_IOTLB + 4, 0xa000_0000 | F.DOMAIN)
    expect(t.dma(page(101))).toBe(frame(101) + 0x20_0000)
  })

  test('goes by the context entry that is cached, until that is invalidated', () => {
    t.store(F.CONTEXT + 0x11 * 16, 0)
    expect(t.dma(page(100))).toBe(frame(100))
    t.write64(0x28, 0xa000_0000_0000_0000n)
    expect(t.dma(page(101))).toBe(-0x2)
  })

  test('is that of its function alone', () => {
    expect(t.dma(page(100), { sid: F.SID + 1 })).toBeLessThan(0)
  })

  test('may not be written where only reading is granted', () => {
    t.store(LEAF, BLOCK + 0x81)
    t.write32(F.SERVER_IOTLB + 4, 0xa000_0000 | F.DOMAIN)
    for (let n = 0; n < 4; n++) expect(t.dma(page(n))).toBe(frame(n))
    expect(t.dma(page(4), { write: true })).toBe(-0x5)
  })

  test('is protected like any other', () => {
    t.write64(0x70, BigInt(BLOCK))
    t.write64(0x78, BigInt(BLOCK))
    t.write32(0x64, 0x8000_0000)
    expect(t.dma(page(100))).toBeNull()
    t.write32(0x64, 0)
    expect(t.dma(page(101))).toBe(frame(101))
  })

  test('leaves the same entries in the IOTLB as where uses are counted, and nothing is hidden from it', () => {
    const slow = new TestUnit({ caches: { replacement: 'lru' } }).enableTranslation()
    slow.store(LEAF, BLOCK + 0x83)
    for (const unit of [t, slow]) for (const n of [0, 1, 100, 512, 7]) unit.dma(page(n))
    expect(t.unit.caches().iotlb).toEqual(slow.unit.caches().iotlb)
  })
})

describe('the interrupt range, with a large page around it', () => {
  const AROUND = 0xfee0_0000
  const LAST = AROUND + 0xf_f000

  test('is no target of DMA, whatever its neighbours are', () => {
    t.store(LEAF, AROUND + 0x83)
    t.write32(F.SERVER_IOTLB + 4, 0xa000_0000 | F.DOMAIN)
    for (const n of [256, 257, 511]) expect(t.dma(page(n))).toBe(AROUND + n * 4096)
    for (const n of [0, 255]) expect(t.dma(page(n))).toBe(-0xe)
  })

  test('is not translated, whatever its neighbours are', () => {
    t.store(F.L3 + 3 * 8, F.L2 + 3)
    t.store(F.L2 + 503 * 8, BLOCK + 0x83)
    for (const n of [1, 2, 3]) expect(t.dma(LAST + n * 4096)).toBe(BLOCK + 0xf_f000 + n * 4096)
    for (const address of [AROUND, LAST]) expect(t.dma(address) ?? -1).toBeLessThan(0)
  })
})
