import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'

const context = F.CONTEXT + 0x11 * 16
const leaf = F.L1 + 7 * 8
const MOVED = 0x1_7777_7000
/** Another function and domain on the same tables. */
const OTHER_SID = 0x0318
const OTHER_DOMAIN = 0x0008

/** Two functions in two domains, both having used the page at IOVA, which software then moves. */
function stale(capabilities: Record<string, number> = {}): TestUnit {
  const t = new TestUnit({ capabilities }).enableTranslation()
  t.store(F.CONTEXT + 0x18 * 16, F.L4 + 1)
  t.store(F.CONTEXT + 0x18 * 16 + 8, OTHER_DOMAIN * 256 + 2)
  t.dma(F.IOVA)
  t.dma(F.IOVA, { sid: OTHER_SID })
  t.store(leaf, MOVED + 3)
  return t
}
const answers = (t: TestUnit) => [t.dma(F.IOVA), t.dma(F.IOVA, { sid: OTHER_SID })]

const GLOBAL = 1n
const DOMAIN = 2n
const SELECTIVE = 3n
const ccmd = (t: TestUnit, g: bigint, did = 0, sid = 0, fm = 0) => {
  t.write64(0x28, (1n << 63n) | (g << 61n) | (BigInt(fm) << 32n) | BigInt(sid * 65536 + did))
  return (t.read64(0x28) >> 59n) & 3n
}
const iotlb = (t: TestUnit, g: bigint, did = 0, address = 0, am = 0) => {
  t.write64(F.SERVER_IVA, address + am)
  t.write64(F.SERVER_IOTLB, (1n << 63n) | (g << 60n) | (BigInt(did) << 32n))
  return (t.read64(F.SERVER_IOTLB) >> 57n) & 3n
}

describe('the IOTLB', () => {
  test('answers with what the tables said, until it is invalidated', () => {
    const t = stale()
    expect(answers(t)).toEqual([F.TARGET, F.TARGET])
    expect(t.request.iotlbHit).toBe(true)
    expect(t.request.tableReads).toBe(0)
    expect(iotlb(t, GLOBAL)).toBe(1n)
    expect(answers(t)).toEqual([MOVED, MOVED])
  })

  test('a cached translation without the right asked for is a recorded fault', () => {
    const t = new TestUnit().enableTranslation()
    t.store(leaf, F.TARGET + 1)
    t.dma(F.IOVA)
    t.store(leaf, F.TARGET + 3)
    expect(t.dma(F.IOVA, { write: true })).toBe(-0x05)
    expect(t.record()).toMatchObject({ reason: 0x05, set: true })
  })

  test('an entry that was replaced no longer answers, however often it did', () => {
    const t = new TestUnit({ caches: { iotlbSets: 1, iotlbWays: 1 } }).enableTranslation()
    t.store(F.L1 + 8 * 8, 0x1_2000_0003)
    for (let i = 0; i < 3; i++) expect(t.dma(F.IOVA)).toBe(F.TARGET)
    t.store(leaf, MOVED + 3)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    t.dma(F.IOVA + 0x1000)
    expect(t.dma(F.IOVA)).toBe(MOVED)
  })

  test('zero-length reads of a write-only page, however many, do not permit others', () => {
    const t = new TestUnit().enableTranslation()
    t.store(leaf, F.TARGET + 2)
    for (let i = 0; i < 3; i++) expect(t.dma(F.IOVA, { length: 0 })).toBe(F.TARGET)
    expect(t.dma(F.IOVA)).toBe(-0x06)
  })

  test('functions of one domain share translations', () => {
    const t = stale()
    t.store(F.CONTEXT + 0x19 * 16, F.L4 + 1)
    t.store(F.CONTEXT + 0x19 * 16 + 8, F.DOMAIN * 256 + 2)
    expect(t.dma(F.IOVA, { sid: 0x0319 })).toBe(F.TARGET)
  })

  test('domain-selective invalidation drops that domain only', () => {
    const t = stale()
    expect(iotlb(t, DOMAIN, F.DOMAIN)).toBe(2n)
    expect(answers(t)).toEqual([MOVED, F.TARGET])
  })

  test('page-selective invalidation drops the pages that agree above the address mask', () => {
    for (const [address, am, gone] of [
      [F.IOVA, 0, true],
      [F.IOVA + 0x1000, 0, false],
      [F.IOVA - 0x1000, 0, false],
      [F.IOVA - 0x1000, 1, true],
      [F.IOVA + 0x1000, 1, false],
      [F.IOVA - 0x7000, 3, true],
      [F.IOVA + 0x1000, 3, false],
      [F.IOVA + 2 ** 48, 0, true],
    ] as const) {
      const t = stale()
      expect(iotlb(t, SELECTIVE, F.DOMAIN, address, am)).toBe(3n)
      expect(answers(t), `${address.toString(16)} am ${am}`).toEqual([gone ? MOVED : F.TARGET, F.TARGET])
    }
  })

  test('a large page goes if any part of it is invalidated', () => {
    for (const [entry, value, size] of [
      [F.L2 + 3 * 8, 0x1_4020_0083, 2 ** 21],
      [F.L3 + 9 * 8, 0x1_8000_0083, 2 ** 30],
    ] as const) {
      const t = new TestUnit().enableTranslation()
      t.store(entry, value)
      const before = t.dma(F.IOVA)!
      t.store(entry, value + 2 ** 30)
      const first = F.IOVA - (F.IOVA % size)
      iotlb(t, SELECTIVE, F.DOMAIN, first - 0x1000)
      iotlb(t, SELECTIVE, F.DOMAIN, first + size)
      expect(t.dma(F.IOVA)).toBe(before)
      iotlb(t, SELECTIVE, F.DOMAIN, first + size - 0x1000)
      expect(t.dma(F.IOVA)).toBe(before + 2 ** 30)
    }
  })

  test('without PSI, page-selective invalidation drops the domain and says so', () => {
    const t = stale({ PSI: 0 })
    expect(iotlb(t, SELECTIVE, F.DOMAIN, 0x1000)).toBe(2n)
    expect(answers(t)).toEqual([MOVED, F.TARGET])
  })

  test('holds as many translations as it has entries, and replaces the oldest of a set', () => {
    const t = new TestUnit({ caches: { iotlbSets: 1, iotlbWays: 2 } }).enableTranslation()
    for (let i = 0; i < 3; i++) {
      t.store(F.L1 + i * 8, 0x1_2000_0003 + i * 4096)
      t.dma(0x2_4060_0000 + i * 4096)
    }
    expect(t.unit.caches().iotlb.map(({ address }) => address)).toEqual(['0x240602000', '0x240601000'])
  })
})

describe('register-based invalidation', () => {
  test('is refused with granularity 00 for a reserved granularity, too large a mask, or an enabled queue', () => {
    const t = stale({ MAMV: 9 })
    expect([ccmd(t, 0n), iotlb(t, 0n), iotlb(t, SELECTIVE, F.DOMAIN, F.IOVA, 10)]).toEqual([0n, 0n, 0n])
    t.enableQueue()
    expect([ccmd(t, GLOBAL), iotlb(t, GLOBAL)]).toEqual([0n, 0n])
    expect(t.read64(0x28) >> 63n).toBe(0n)
    expect(answers(t)).toEqual([F.TARGET, F.TARGET])
  })

  test('is refused from major version 6 on, and in other modes than legacy', () => {
    expect(iotlb(stale({ MAJOR: 6 }), GLOBAL)).toBe(0n)
    const t = stale({ ESRTPS: 0 })
    t.write64(0x20, F.ROOT + 0xc00)
    t.command(30)
    expect(iotlb(t, GLOBAL)).toBe(0n)
  })

  test('starts with the write of the upper half only', () => {
    const t = stale()
    t.write32(F.SERVER_IOTLB, 0)
    expect(answers(t)).toEqual([F.TARGET, F.TARGET])
    t.write32(F.SERVER_IOTLB + 4, 0x9000_0000)
    expect(answers(t)).toEqual([MOVED, MOVED])
  })
})

describe('the context cache', () => {
  /** Software moves both functions to the table at 5000h levels below: here, makes the entries not present. */
  const detached = (capabilities = {}) => {
    const t = stale(capabilities)
    for (const devfn of [0x11, 0x18]) t.store(F.CONTEXT + devfn * 16, 0)
    return t
  }
  const GONE = -0x02

  test('answers until it is invalidated; IOTLB invalidation does not touch it', () => {
    const t = detached()
    iotlb(t, GLOBAL)
    expect(answers(t)).toEqual([MOVED, MOVED])
    expect(ccmd(t, GLOBAL)).toBe(1n)
    expect(answers(t)).toEqual([GONE, GONE])
  })

  test('domain-selective', () => {
    const t = detached()
    expect(ccmd(t, DOMAIN, OTHER_DOMAIN)).toBe(2n)
    expect(answers(t)).toEqual([F.TARGET, GONE])
  })

  test('device-selective needs source-id and domain-id to agree', () => {
    const t = detached()
    expect(ccmd(t, SELECTIVE, OTHER_DOMAIN, F.SID)).toBe(3n)
    expect(answers(t)).toEqual([F.TARGET, F.TARGET])
    ccmd(t, SELECTIVE, F.DOMAIN, F.SID)
    expect(answers(t)).toEqual([GONE, F.TARGET])
  })

  test.each([
    [0, [0x0310]],
    [1, [0x0310, 0x0314]],
    [2, [0x0310, 0x0312, 0x0314, 0x0316]],
    [3, [0x0310, 0x0311, 0x0312, 0x0313, 0x0314, 0x0315, 0x0316, 0x0317]],
  ])('function mask %i drops %j', (fm, dropped) => {
    const t = new TestUnit().enableTranslation()
    for (let fn = 0; fn < 8; fn++) {
      t.store(F.CONTEXT + (0x10 + fn) * 16, F.L4 + 1)
      t.store(F.CONTEXT + (0x10 + fn) * 16 + 8, F.DOMAIN * 256 + 2)
      t.dma(F.IOVA, { sid: 0x0310 + fn })
    }
    ccmd(t, SELECTIVE, F.DOMAIN, 0x0310, fm)
    const kept = t.unit.caches().context.map(({ source }) => 0x0310 + Number(source.at(-1)))
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(fn => 0x0310 + fn).filter(sid => !kept.includes(sid))).toEqual(
      dropped,
    )
  })
})

describe('caching mode', () => {
  test('without it, what is not present or erroneous is never cached', () => {
    const t = new TestUnit().enableTranslation()
    t.store(leaf, 0)
    expect(t.dma(F.IOVA)).toBe(-0x06)
    t.store(leaf, F.TARGET + 3)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    expect(t.interrupt(0xfee0_0010)).toBe(0)
  })

  test('with it, a page that was not present stays so until invalidated', () => {
    const t = new TestUnit({ capabilities: { CM: 1 } }).enableTranslation()
    t.store(leaf, 0)
    expect(t.dma(F.IOVA)).toBe(-0x06)
    t.store(leaf, F.TARGET + 3)
    expect(t.dma(F.IOVA)).toBe(-0x06)
    expect(t.dma(F.IOVA, { write: true })).toBe(-0x05)
    iotlb(t, SELECTIVE, F.DOMAIN, F.IOVA)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
  })

  test('with it, an entry with reserved bits stays a fault until invalidated', () => {
    const t = new TestUnit({ capabilities: { CM: 1 } }).enableTranslation()
    t.store(leaf, (2n ** 62n) | 3n)
    expect(t.dma(F.IOVA)).toBe(-0x0c)
    t.store(leaf, F.TARGET + 3)
    expect(t.dma(F.IOVA)).toBe(-0x0c)
    expect(t.request.iotlbHit).toBe(true)
    expect(t.unit.caches().iotlb).toMatchObject([{ fault: '0x0c' }])
    iotlb(t, DOMAIN, F.DOMAIN)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
  })

  test('with it, a context entry that was not present is cached under domain-id 0', () => {
    const t = new TestUnit({ capabilities: { CM: 1 } }).enableTranslation()
    t.store(context, 0)
    expect(t.dma(F.IOVA)).toBe(-0x02)
    t.store(context, F.L4 + 1)
    ccmd(t, DOMAIN, F.DOMAIN)
    expect(t.dma(F.IOVA)).toBe(-0x02)
    ccmd(t, DOMAIN, 0)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
  })

  test('with it, a remapping table entry that was not present is cached', () => {
    const t = new TestUnit({ capabilities: { CM: 1 } }).enableInterruptRemapping().enableQueue()
    expect(t.interrupt(0xfee0_0010)).toBe(0x22)
    t.store(F.IRT, 1)
    expect(t.interrupt(0xfee0_0010)).toBe(0x22)
    t.submit(0x4)
    expect(t.interrupt(0xfee0_0010)).toBe(0)
  })
})
