import { describe, expect, test } from 'vitest'
import { TranslationCaches } from '../../src/vtd/translation-caches.ts'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'
import * as S from './scalable-fixture.ts'
import { ScalableUnit } from './scalable-fixture.ts'

const SIZES = {
  contextSets: 4,
  contextWays: 2,
  pasidSets: 4,
  pasidWays: 2,
  iotlbSets: 4,
  iotlbWays: 2,
  pagingSets: [4, 4, 4, 4],
  pagingWays: 2,
  replacement: 'fifo',
} as const

describe('paging-structure caches', () => {
  test('spare a neighbouring page all levels but the last', () => {
    const t = new TestUnit().enableTranslation()
    t.store(F.L1 + 8 * 8, F.TARGET + 0x1003)
    t.dma(F.IOVA)
    expect(t.request.tableReads).toBe(6)
    expect(t.dma(F.IOVA + 0x1000)).toBe(F.TARGET + 0x1000)
    expect(t.request.tableReads).toBe(1)
  })

  test('begin at the lowest level that is known', () => {
    const t = new TestUnit().enableTranslation()
    t.store(F.L2 + 4 * 8, 0x4000_0083)
    t.dma(F.IOVA)
    expect(t.dma(F.IOVA + 0x20_0000)).toBe(0x4000_7000)
    expect(t.request.tableReads).toBe(1)
  })

  test('can be turned off, each level by itself', () => {
    const t = new TestUnit({ caches: { pagingSets: [0, 0, 0, 0] } }).enableTranslation()
    t.store(F.L1 + 8 * 8, F.TARGET + 0x1003)
    t.dma(F.IOVA)
    t.dma(F.IOVA + 0x1000)
    expect(t.request.tableReads).toBe(4)
    const u = new TestUnit({ caches: { pagingSets: [0, 4, 0, 0] } }).enableTranslation()
    u.store(F.L1 + 8 * 8, F.TARGET + 0x1003)
    u.dma(F.IOVA)
    u.dma(F.IOVA + 0x1000)
    expect(u.request.tableReads).toBe(2)
  })

  test('keep a stale way to a table until it is invalidated', () => {
    const t = new TestUnit().enableTranslation()
    const other = F.L1 + 0x10_0000
    t.store(F.L1 + 8 * 8, F.TARGET + 0x1003)
    t.store(other + 8 * 8, 0x4000_0003)
    t.dma(F.IOVA)
    t.store(F.L2 + 3 * 8, other + 3)
    expect(t.dma(F.IOVA + 0x1000)).toBe(F.TARGET + 0x1000)
    t.write64(0x508, 0x9000_0000_0000_0000n)
    expect(t.dma(F.IOVA + 0x1000)).toBe(0x4000_0000)
  })

  test('the rights of the whole way are kept', () => {
    const t = new TestUnit().enableTranslation()
    t.store(F.L3 + 9 * 8, F.L2 + 1)
    t.store(F.L1 + 8 * 8, F.TARGET + 0x1003)
    expect(t.dma(F.IOVA)).toBe(F.TARGET)
    expect(t.dma(F.IOVA + 0x1000, { write: true })).toBe(-0x05)
    expect(t.dma(F.IOVA + 0x1000)).toBe(F.TARGET + 0x1000)
  })

  test('a walk that faults leaves nothing in them', () => {
    const t = new TestUnit().enableTranslation()
    expect(t.dma(F.IOVA + 0x1000)).toBe(-0x06)
    expect(t.unit.caches().paging).toEqual([])
  })

  test('a page-selective invalidation drops the way to the page, with IH only the page', () => {
    for (const [ih, reads] of [
      [0x40, 1],
      [0, 4],
    ] as const) {
      const t = new TestUnit().enableTranslation()
      t.dma(F.IOVA)
      t.write64(0x500, F.IOVA + ih)
      t.write64(0x508, 0xb000_0000_0000_0000n + (BigInt(F.DOMAIN) << 32n))
      t.dma(F.IOVA)
      expect([t.request.iotlbHit, t.request.tableReads]).toEqual([false, reads])
    }
  })

  test('explaining names the one that knew the way', () => {
    const t = new TestUnit().enableTranslation()
    t.dma(F.IOVA)
    const { steps } = t.unit.explain(F.SID, F.IOVA / 4096 + 1, 0, false)
    expect(steps.filter(({ check }) => check.startsWith('second-stage entry'))).toMatchObject([
      {
        check: 'second-stage entry of level 2',
        from: 'pagingStructureCache',
        fields: { table: '0x100005000' },
      },
      { check: 'second-stage entry of level 1', from: 'memory', outcome: 'failed' },
    ])
  })
})

describe('what each invalidation of translations drops', () => {
  const [ss, fs, nested] = [0, 1, 2]
  const MIB2 = 512

  /** IOTLB entries of three kinds and two domains, and the way to each of them. */
  function filled() {
    const caches = new TranslationCaches({ ...SIZES, iotlbWays: 16, pagingWays: 16 }, 48)
    for (const did of [1, 2]) {
      for (const [kind, pasid] of [
        [ss, 0],
        [fs, 5],
        [fs, 6],
        [nested, 5],
      ] as const) {
        for (const page of [MIB2, 2 * MIB2]) {
          caches.iotlb.fill(did * 4 + kind, pasid, 1, page, 0x1000, 3)
          caches.paging.fill(did * 4 + kind, pasid, 2, page, 0x2000, 3)
        }
      }
    }
    return caches
  }

  /** What is left of the entries, as domain, kind, PASID and page. */
  const left = (caches: TranslationCaches, where: 'iotlb' | 'paging') =>
    (where === 'iotlb'
      ? [...caches.iotlb.entries()].map(slot => [caches.iotlb, slot] as const)
      : [...caches.paging.entries()]
    )
      .map(([c, slot]) => `${c.domainIdOf(slot)}/${c.kindOf(slot)}/${c.pasidOf(slot)}/${c.firstPageOf(slot)}`)
      .sort()

  const everything = left(filled(), 'iotlb')
  const without = (...patterns: RegExp[]) => everything.filter(e => !patterns.some(p => p.test(e)))

  test.each<[string, (c: TranslationCaches) => void, string[], string[]]>([
    ['global', c => c.invalidateIotlb(), [], []],
    ['domain', c => c.invalidateIotlbOfDomain(1), without(/^1/), without(/^1/)],
    [
      'page: second-stage in range, all first-stage and nested ones of the domain',
      c => c.invalidateIotlbPages(1, MIB2, 0, false),
      without(/^1\/0\/0\/512/, /^1\/[12]/),
      without(/^1\/0\/0\/512/, /^1\/[12]/),
    ],
    [
      'page with IH: leaves only',
      c => c.invalidateIotlbPages(1, MIB2, 0, true),
      without(/^1\/0\/0\/512/, /^1\/[12]/),
      everything,
    ],
    [
      'PASID: first-stage and nested of it, nothing of the second stage',
      c => c.invalidatePasidIotlb(1, 5),
      without(/^1\/[12]\/5/),
      without(/^1\/[12]\/5/),
    ],
    [
      'page in PASID: those in range',
      c => c.invalidatePasidIotlbPages(1, 5, 2 * MIB2, 0, false),
      without(/^1\/[12]\/5\/1024/),
      without(/^1\/[12]\/5\/1024/),
    ],
    [
      'page in PASID with IH: leaves only',
      c => c.invalidatePasidIotlbPages(1, 5, 2 * MIB2, 0, true),
      without(/^1\/[12]\/5\/1024/),
      everything,
    ],
  ])('%s', (_title, invalidate, iotlb, paging) => {
    const caches = filled()
    invalidate(caches)
    expect(left(caches, 'iotlb')).toEqual(iotlb)
    expect(left(caches, 'paging')).toEqual(paging)
  })

  test('a range touches every entry that it overlaps, however large', () => {
    const caches = new TranslationCaches(SIZES, 48)
    caches.iotlb.fill(4, 0, 3, 2 ** 18 + 7, 0x1000, 3)
    caches.invalidateIotlbPages(1, 2 ** 18 + 9, 0, false)
    expect(left(caches, 'iotlb')).toEqual([])
  })

  test('scalable context entries have no domain-id: a domain-selective invalidation drops them', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    t.ask(S.GPA)
    expect(t.unit.caches().context).toHaveLength(1)
    const caches = new TranslationCaches(SIZES, 48)
    caches.contexts.decodeScratch(-1, 0x10, 0, 0, 0)
    caches.contexts.keepScratch(0x311)
    caches.contexts.decodeScratch(3, 0, 4, 0, 0)
    caches.contexts.keepScratch(0x312)
    caches.invalidateContextsOfDomain(7)
    expect([...caches.contexts.entries()].map(slot => caches.contexts.sourceIdOf(slot))).toEqual([0x312])
  })

  test('PASID entries go by domain, by PASID, or all', () => {
    const caches = new TranslationCaches({ ...SIZES, pasidSets: 64 }, 48)
    const fill = () => {
      for (const [did, pasid] of [
        [1, 5],
        [1, 6],
        [2, 5],
      ] as const) {
        caches.pasids.decodeScratch(did, 1, 4, 0, 0)
        caches.pasids.keep(0x300 + did, pasid)
      }
    }
    const pasids = () =>
      [...caches.pasids.entries()]
        .map(s => `${caches.pasids.domainIdOf(s)}/${caches.pasids.pasidOf(s)}`)
        .sort()
    fill()
    caches.invalidatePasidEntry(1, 5)
    expect(pasids()).toEqual(['1/6', '2/5'])
    caches.invalidatePasidEntriesOfDomain(1)
    expect(pasids()).toEqual(['2/5'])
    caches.invalidatePasidEntries()
    expect(pasids()).toEqual([])
  })
})

describe('sizes and replacement', () => {
  const run = (replacement: 'fifo' | 'lru' | 'random') => {
    const t = new TestUnit({
      caches: { iotlbSets: 1, iotlbWays: 2, replacement, pagingSets: [1, 1, 1, 1] },
    }).enableTranslation()
    for (let i = 0; i < 512; i++) t.store(F.L1 + i * 8, F.TARGET + 3)
    return t
  }
  const base = F.IOVA - 7 * 4096
  const hits = (t: TestUnit, pages: readonly number[]) =>
    pages.map(page => {
      t.dma(base + page * 4096)
      return t.request.iotlbHit
    })

  test('fifo: the entry that came first goes first, though it was used since', () => {
    expect(hits(run('fifo'), [1, 2, 1, 3, 1, 3])).toEqual([false, false, true, false, false, true])
  })

  test('lru: the entry that was not used for longest goes first, however often others were', () => {
    expect(hits(run('lru'), [1, 2, 1, 3, 1, 3])).toEqual([false, false, true, false, true, true])
    expect(hits(run('lru'), [1, 2, 1, 1, 1, 2, 3, 2, 1])).toEqual([
      ...[false, false, true, true, true, true],
      ...[false, true, false],
    ])
  })

  test('lru: an entry that was invalidated makes room before one in use', () => {
    const t = run('lru')
    hits(t, [1, 2])
    const address = base + 2 * 4096
    t.unit.writeDword(F.SERVER_IVA, address % 2 ** 32, F.ALL)
    t.unit.writeDword(F.SERVER_IVA + 4, Math.floor(address / 2 ** 32), F.ALL)
    t.unit.writeDword(F.SERVER_IOTLB + 4, 0xb000_0000 | F.DOMAIN, F.ALL)
    expect(hits(t, [3, 1])).toEqual([false, true])
  })

  test('lru: explaining a request is no use of the entries that would answer it', () => {
    const t = run('lru')
    hits(t, [1, 2])
    t.unit.explain(F.SID, base / 4096 + 1, 0, false)
    expect(hits(t, [3, 2, 1])).toEqual([false, true, false])
  })

  test('lru: goes on after a unit is saved and loaded', () => {
    const t = run('lru')
    hits(t, [1, 2, 1])
    const u = run('lru')
    u.unit.load(t.unit.save())
    expect(hits(u, [3, 1, 2])).toEqual([false, true, false])
  })

  test('random: a full set never grows, and the same history gives the same victims', () => {
    const pages = Array.from({ length: 60 }, (_, i) => (i * 7) % 5)
    const t = run('random')
    const first = hits(t, pages)
    expect(hits(run('random'), pages)).toEqual(first)
    expect(first).toContain(true)
    expect(first.slice(5)).toContain(false)
    expect(t.unit.caches().iotlb).toHaveLength(2)
  })

  test('a saved unit goes on with the same entries in all its caches', () => {
    const t = new ScalableUnit({ caches: { replacement: 'random' } }).bind({ pgtt: S.NESTED })
    t.ask(S.IOVA)
    const u = new ScalableUnit({ caches: { replacement: 'random' } })
    u.unit.load(t.unit.save())
    expect(u.unit.caches()).toEqual(t.unit.caches())
    expect(u.ask(S.IOVA)).toBe(S.TARGET)
    expect(u.request.iotlbHit).toBe(true)
  })

  test('caching mode keeps what is not present, until it is invalidated; first-stage entries never', () => {
    const t = new ScalableUnit({ capabilities: { CM: 1 } }).bind({ pgtt: S.SECOND })
    t.store(S.SSE[1], 0)
    expect(t.ask(S.GPA)).toBe(-0x79)
    t.store(S.SSE[1], S.TARGET + 3)
    expect(t.ask(S.GPA)).toBe(-0x79)
    t.invalidateAll()
    expect(t.ask(S.GPA)).toBe(S.TARGET)
    t.bind({ pgtt: S.FIRST, pasid: 1 })
    t.store(S.FSE[1], 0)
    expect(t.ask(S.IOVA, { pasid: 1 })).toBe(-0x71)
    t.store(S.FSE[1], S.TARGET + S.FS_ALL)
    expect(t.ask(S.IOVA, { pasid: 1 })).toBe(S.TARGET)
    expect(t.ask(S.IOVA, { pasid: 3 })).toBe(-0x59)
    t.bind({ pgtt: S.FIRST, pasid: 3 })
    expect(t.ask(S.IOVA, { pasid: 3 })).toBe(-0x59)
  })
})
