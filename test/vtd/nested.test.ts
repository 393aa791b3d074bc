import { describe, expect, test } from 'vitest'
import type { RemappingUnitOptions } from '../../src/vtd/index.ts'
import * as S from './scalable-fixture.ts'
import { ScalableUnit } from './scalable-fixture.ts'

type Entry = Partial<Parameters<ScalableUnit['bind']>[0]>

const nested = (entry: Entry = {}, options: Partial<RemappingUnitOptions> = {}) =>
  new ScalableUnit(options).bind({ pgtt: S.NESTED, ...entry })

interface Scenario {
  readonly reason: number
  readonly title: string
  readonly options?: Partial<RemappingUnitOptions>
  readonly entry?: Entry
  readonly prepare?: (t: ScalableUnit) => void
  readonly asked?: S.Asked
}

const PE = S.pasidEntry(S.PASID)
const flip = (address: number, bits: bigint | number) => (t: ScalableUnit) =>
  t.store(address, t.load(address) ^ BigInt(bits))
/** Second-stage PDE that maps all tables of the guest one to one. */
const TABLES = S.SS_TABLES

/** Splits that 2-MiB page into 4-KiB pages, all one to one with R and W. */
const SPLIT = 0x1_0014_0000
function split(t: ScalableUnit): void {
  for (let i = 0; i < 512; i++) t.store(SPLIT + i * 8, 0x1_0000_0000 + i * 4096 + 3)
  t.store(TABLES, SPLIT + 3)
}
/** Leaf that maps a table of the guest, after {@link split}. */
const leafOf = (table: number): number => SPLIT + ((table >>> 12) & 511) * 8

const SCENARIOS: readonly Scenario[] = [
  {
    reason: 0x74,
    title: 'FSPTPTR beyond the width of the second stage',
    prepare: t => t.store(PE + 16, 2n ** 48n),
  },
  {
    reason: 0x74,
    title: 'FSPTPTR with bits that no entry has for an address',
    prepare: t => t.store(PE + 16, 2n ** 60n + BigInt(S.FS[4])),
  },
  {
    reason: 0x74,
    title: 'a first-stage table beyond AW',
    entry: { aw: 1 },
    prepare: t => t.store(S.FSE[4], 2n ** 40n + 0x67n),
  },
  {
    reason: 0x74,
    title: 'a first-stage leaf beyond MGAW',
    options: { capabilities: { MGAW: 38 } },
    prepare: t => t.store(S.FSE[1], 2n ** 40n + 0x67n),
  },
  {
    reason: 0x75,
    title: 'the page of the first-stage top table is not mapped',
    prepare: t => {
      split(t)
      t.store(leafOf(S.FS[4]), 0)
    },
  },
  {
    reason: 0x75,
    title: 'the page of the first-stage top table is write-only',
    prepare: t => {
      split(t)
      t.store(leafOf(S.FS[4]), S.FS[4] + 2)
    },
  },
  {
    reason: 0x76,
    title: 'the page of a lower first-stage table is not mapped',
    prepare: t => {
      split(t)
      t.store(leafOf(S.FS[2]), 0)
    },
  },
  {
    reason: 0x77,
    title: 'A is to be set in a first-stage table that is read-only in the second stage',
    entry: { q1: S.PWSNP },
    prepare: t => {
      split(t)
      t.store(leafOf(S.FS[3]), S.FS[3] + 1)
      flip(S.FSE[3], 0x20)(t)
    },
  },
  { reason: 0x78, title: 'a second-stage table is nowhere', prepare: t => t.store(S.SSE[3], S.NOWHERE + 3) },
  { reason: 0x7b, title: 'SSPTPTR leads nowhere', prepare: t => t.store(PE, S.NOWHERE + 0xc9) },
  { reason: 0x79, title: 'the guest page is not mapped', prepare: t => t.store(S.SSE[1], 0) },
  { reason: 0x7a, title: 'reserved bits on the way to a first-stage table', prepare: flip(TABLES, 0x1000) },
  { reason: 0x7a, title: 'reserved bits on the way to the guest page', prepare: flip(S.SSE[1], 1n << 62n) },
  { reason: 0x7c, title: 'A of the second stage while walks are not snooped', entry: { q0: S.SSADE } },
  { reason: 0x71, title: 'a first-stage entry is not present', prepare: flip(S.FSE[2], 1) },
  { reason: 0x72, title: 'a first-stage entry has reserved bits set', prepare: flip(S.FSE[4], 0x80) },
  {
    reason: 0x73,
    title: 'the second stage leads to no memory for the top table',
    prepare: t => {
      split(t)
      t.store(leafOf(S.FS[4]), S.NOWHERE + 3)
    },
  },
  {
    reason: 0x70,
    title: 'the second stage leads to no memory for a lower table',
    prepare: t => {
      split(t)
      t.store(leafOf(S.FS[1]), S.NOWHERE + 3)
    },
  },
  { reason: 0x81, title: 'U/S is clear in the first stage', prepare: flip(S.FSE[3], 4) },
  {
    reason: 0x85,
    title: 'R/W is clear in the first stage',
    prepare: flip(S.FSE[3], 2),
    asked: { write: true },
  },
  {
    reason: 0x85,
    title: 'W is clear in the second stage',
    prepare: flip(S.SSE[1], 2),
    asked: { write: true },
  },
  { reason: 0x86, title: 'R is clear in the second stage', prepare: flip(S.SSE[1], 1) },
  {
    reason: 0x82,
    title: 'X is clear in the second stage, with SLEE',
    entry: { q0: S.SLEE, q2: S.ERE },
    asked: { execute: true },
  },
  { reason: 0x90, title: 'A of the first stage while walks are not snooped', prepare: flip(S.FSE[2], 0x20) },
  {
    reason: 0x87,
    title: 'the host page is in the interrupt range',
    prepare: t => t.store(S.SSE[1], 0xfee0_0003),
  },
]

const named = SCENARIOS.map(s => [`${s.reason.toString(16)}h: ${s.title}`, s] as const)

describe('fault reasons of nested translation', () => {
  test.each(named)('%s', (_title, { reason, options, entry, prepare, asked = {} }) => {
    const t = nested(entry, options)
    prepare?.(t)
    const foretold = t.foretold(S.IOVA, asked)
    expect(foretold.answer).toBe(-reason)
    expect(foretold.last.outcome).toBe('failed')
    expect(t.ask(S.IOVA + 0x10, asked)).toBe(-reason)
    // The address recorded is the one the device gave.
    expect(t.record()).toMatchObject({ reason, address: BigInt(S.IOVA), set: true })
  })
})

describe('nested translation', () => {
  test('leads through both stages, and reads every entry of both', () => {
    const t = nested()
    expect(t.ask(S.IOVA + 0x123, { write: true })).toBe(S.TARGET + 0x123)
    // 4 structures; four first-stage tables, each found through 3 entries (2 MiB); 4 more for the page, less what the
    // second stage's paging-structure caches may know already: nothing before the first request.
    expect(t.request.tableReads).toBe(4 + 4 * (3 + 1) + 4)
    t.ask(S.IOVA)
    expect(t.request.tableReads).toBe(0)
  })

  test('a second page of the same table reads its first-stage entry and the second stage below its cache', () => {
    const t = nested()
    t.ask(S.IOVA)
    t.store(S.FS[1] + 8 * 8, S.GPA + 0x1000 + S.FS_ALL)
    t.store(S.SS[1] + 8 * 8, S.TARGET + 0x1003)
    expect(t.ask(S.IOVA + 0x1000)).toBe(S.TARGET + 0x1000)
    expect(t.request.tableReads).toBe(2)
  })

  test('5 levels on 5 levels', () => {
    const t = nested({ aw: 3, q2: S.FIVE_LEVELS })
    expect(t.ask(S.IOVA)).toBe(S.TARGET)
    expect(t.request.tableReads).toBe(4 + 5 * (4 + 1) + 5)
  })

  test('the size is the smaller of the two stages, the rights are those that both grant', () => {
    const t = nested()
    t.store(S.FSE[2], 0x40_0000 + 0x80 + 0x65)
    t.store(S.SSE[1], S.TARGET + 3)
    expect(t.ask(S.IOVA)).toBe(S.TARGET)
    expect(t.unit.caches().iotlb).toMatchObject([
      { kind: 'nested', pasid: '0x12345', size: 4096, read: true, write: false },
    ])
    t.store(S.SSE[2], 0x60_0083)
    t.invalidateAll()
    t.ask(S.IOVA)
    expect(t.unit.caches().iotlb).toMatchObject([{ size: 2 ** 21, physicalAddress: '0x600000' }])
  })

  test('explaining tells the walks for tables apart from that for the page', () => {
    const checks = nested()
      .foretold(S.IOVA)
      .told.steps.map(({ check }) => check)
      .filter(check => check.includes('-stage entry'))
    expect(checks.slice(0, 4)).toEqual([
      'second-stage entry of level 4 on the way to the first-stage table at 0x100124000',
      'second-stage entry of level 3 on the way to the first-stage table at 0x100124000',
      'second-stage entry of level 2 on the way to the first-stage table at 0x100124000',
      'first-stage entry of level 4',
    ])
    expect(checks.slice(-4)).toEqual([
      'second-stage entry of level 4',
      'second-stage entry of level 3',
      'second-stage entry of level 2',
      'second-stage entry of level 1',
    ])
  })
})

describe('accessed and dirty flags of both stages', () => {
  function tracked(): ScalableUnit {
    const t = nested({ q0: S.SSADE, q1: S.PWSNP })
    split(t)
    for (const level of [4, 3, 2, 1]) t.store(S.FSE[level]!, t.load(S.FSE[level]!) & ~0x60n)
    return t
  }

  test('setting A in a first-stage table makes its page dirty in the second stage', () => {
    const t = tracked()
    expect(t.ask(S.IOVA)).toBe(S.TARGET)
    for (const level of [4, 3, 2, 1]) {
      expect(t.load(S.FSE[level]!) & 0x60n).toBe(0x20n)
      expect(t.load(leafOf(S.FS[level]!)) & 0x300n).toBe(0x300n)
    }
    expect(t.load(S.SSE[1]) & 0x300n).toBe(0x100n)
    t.ask(S.IOVA, { write: true })
    expect(t.load(S.FSE[1]) & 0x60n).toBe(0x60n)
    expect(t.load(S.SSE[1]) & 0x300n).toBe(0x300n)
  })

  test('tables whose flags are set already are only accessed', () => {
    const t = tracked()
    for (const level of [4, 3, 2, 1]) t.store(S.FSE[level]!, t.load(S.FSE[level]!) | 0x60n)
    t.ask(S.IOVA)
    for (const level of [4, 3, 2, 1]) expect(t.load(leafOf(S.FS[level]!)) & 0x300n).toBe(0x100n)
  })

  test('a table reached through the caches is made dirty all the same', () => {
    const t = tracked()
    for (const level of [4, 3, 2, 1]) t.store(S.FSE[level]!, t.load(S.FSE[level]!) | 0x60n)
    t.ask(S.IOVA)
    t.store(S.FS[1] + 8 * 8, S.GPA + 0x1007)
    t.store(S.SS[1] + 8 * 8, S.TARGET + 0x1003)
    expect(t.ask(S.IOVA + 0x1000)).toBe(S.TARGET + 0x1000)
    expect(t.load(S.FS[1] + 8 * 8) & 0x60n).toBe(0x20n)
    expect(t.load(leafOf(S.FS[1])) & 0x200n).toBe(0x200n)
  })

  test('a request refused sets nothing in either stage', () => {
    const t = tracked()
    t.store(S.SSE[1], S.TARGET + 1)
    expect(t.ask(S.IOVA, { write: true })).toBe(-0x85)
    expect(t.load(S.FSE[4]) & 0x20n).toBe(0n)
    expect(t.load(leafOf(S.FS[4])) & 0x300n).toBe(0n)
  })
})
