/**
 * Pages of a 2-MiB region one after another: from the third on only a leaf is read, by a shortcut that nothing of what
 * follows may show.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

/** Page `n` of the region of {@link F.IOVA}. */
const page = (n: number): number => F.IOVA + (n - 7) * 4096
const frame = (n: number): number => F.TARGET + n * 4096
const OTHER_L1 = 0x1_0004_0000

let t: TestUnit

/** A unit that has translated reads, and writes, of pages 0 to 3 of the region. */
function prepare(options: ConstructorParameters<typeof TestUnit>[0] = {}): TestUnit {
  const unit = new TestUnit(options).enableTranslation()
  for (let n = 0; n < 512; n++) unit.store(F.L1 + n * 8, frame(n) + 3)
  for (let n = 0; n < 4; n++) {
    unit.dma(page(n))
    unit.dma(page(n + 4), { write: true })
  }
  return unit
}

beforeEach(() => {
  t = prepare()
})

describe('a page near others just translated', () => {
  test('costs one read, is no IOTLB hit, and is one the next time', () => {
    expect(t.dma(page(100))).toBe(frame(100))
    expect([t.request.tableReads, t.request.iotlbHit]).toEqual([1, false])
    expect(t.dma(page(100))).toBe(frame(100))
    expect([t.request.tableReads, t.request.iotlbHit]).toEqual([0, true])
  })

  test('is refused with the reason of its own leaf', () => {
    t.store(F.L1 + 100 * 8, 0)
    t.store(F.L1 + 101 * 8, frame(101) + 1)
    t.store(F.L1 + 103 * 8, 0xfee0_0003)
    t.store(F.L1 + 104 * 8, 2n ** 50n + 3n)
    const reasons = [100, 101, 103, 104].map(n => {
      t.dma(page(n), { write: true })
      return t.request.faultReason
    })
    expect(reasons).toEqual([0x5, 0x5, 0xe, 0xc])
    expect(t.dma(page(101))).toBe(frame(101))
  })

  test('goes by the table that the paging-structure cache holds, until that is invalidated', () => {
    for (let n = 0; n < 512; n++) t.store(OTHER_L1 + n * 8, frame(n) + 0x10_0003)
    t.store(F.L2 + 3 * 8, OTHER_L1 + 3)
    expect(t.dma(page(100))).toBe(frame(100))
    t.write32(F.SERVER_IOTLB + 4, 0xa000_0000 | F.DOMAIN)
    expect(t.dma(page(101))).toBe(frame(101) + 0x10_0000)
    expect(t.request.tableReads).toBe(4)
  })

  test('goes by the context entry that is cached, until that is invalidated', () => {
    t.store(F.CONTEXT + 0x11 * 16, 0)
    expect(t.dma(page(100))).toBe(frame(100))
    t.write64(0x28, 0xa000_0000_0000_0000n)
    t.dma(page(101))
    expect(t.request.faultReason).toBe(2)
  })

  test('does not hide what the IOTLB still says about it', () => {
    t.dma(page(100))
    for (const n of [200, 201, 202]) t.dma(page(n))
    t.store(F.L1 + 100 * 8, frame(300) + 3)
    expect(t.dma(page(100))).toBe(frame(100))
    expect(t.request.iotlbHit).toBe(true)
  })

  test('is protected like any other', () => {
    t.write32(0x68, 0)
    t.write32(0x6c, 0xffff_ffff)
    t.write32(0x64, 0x8000_0000)
    t.store(F.L1 + 101 * 8, 0x10_0000 + 3)
    expect(t.dma(page(100))).toBe(frame(100))
    t.dma(page(101))
    expect(t.request.status).not.toBe(0)
  })

  test('leaves the same entries in the IOTLB as where no paging-structure cache offers the shortcut', () => {
    const slow = prepare({ caches: { pagingSets: [0, 0, 0, 0] } })
    for (const n of [100, 300, 101, 5, 300, 511]) {
      t.dma(page(n))
      slow.dma(page(n))
    }
    expect(t.unit.caches().iotlb).toEqual(slow.unit.caches().iotlb)
  })
})
