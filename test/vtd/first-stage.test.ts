import { describe, expect, test } from 'vitest'
import type { RemappingUnitOptions } from '../../src/vtd/index.ts'
import * as S from './scalable-fixture.ts'
import { ScalableUnit } from './scalable-fixture.ts'

type Entry = Partial<Parameters<ScalableUnit['bind']>[0]>

const first = (entry: Entry = {}, options: Partial<RemappingUnitOptions> = {}) =>
  new ScalableUnit(options).bind({ pgtt: S.FIRST, ...entry })

interface Scenario {
  readonly reason: number
  readonly title: string
  readonly options?: Partial<RemappingUnitOptions>
  readonly entry?: Entry
  readonly prepare?: (t: ScalableUnit) => void
  readonly address?: number | bigint
  readonly asked?: S.Asked
}

const XD = 2n ** 63n
const PE = S.pasidEntry(S.PASID)
const flip = (address: number, bits: bigint | number) => (t: ScalableUnit) =>
  t.store(address, t.load(address) ^ BigInt(bits))

const SCENARIOS: readonly Scenario[] = [
  {
    reason: 0x5a,
    title: 'FSPTPTR beyond the host',
    prepare: flip(PE + 16, 1n << 50n),
  },
  {
    reason: 0x5b,
    title: 'five levels without FS5LP',
    options: { capabilities: { FS5LP: 0 } },
    entry: { q2: S.FIVE_LEVELS },
  },
  { reason: 0x5b, title: 'FSPM 10', entry: { q2: 8n } },
  { reason: 0x80, title: 'bit 47 without those above (4 levels)', address: 2n ** 47n },
  { reason: 0x80, title: 'bit 63 without those below (4 levels)', address: 2n ** 63n },
  {
    reason: 0x80,
    title: 'bit 56 without those above (5 levels)',
    entry: { q2: S.FIVE_LEVELS },
    address: 2n ** 56n,
  },
  { reason: 0x73, title: 'FSPTPTR leads nowhere', prepare: t => t.store(PE + 16, S.NOWHERE) },
  { reason: 0x70, title: 'a lower table is nowhere', prepare: t => t.store(S.FSE[3], S.NOWHERE + S.FS_ALL) },
  { reason: 0x71, title: 'P is clear', prepare: flip(S.FSE[2], 1) },
  {
    reason: 0x71,
    title: 'P is clear in an entry whose reserved bits are set',
    prepare: t => t.store(S.FSE[4], 0x80),
  },
  { reason: 0x72, title: 'PS in a PML4E', prepare: flip(S.FSE[4], 0x80) },
  { reason: 0x72, title: 'PS in a PML5E', entry: { q2: S.FIVE_LEVELS }, prepare: flip(S.FSE[5], 0x80) },
  {
    reason: 0x72,
    title: 'a 1-GiB page without FS1GP',
    options: { capabilities: { FS1GP: 0 } },
    prepare: t => t.store(S.FSE[3], 0x4000_0000 + 0x80 + S.FS_ALL),
  },
  {
    reason: 0x72,
    title: 'a 1-GiB page that is not aligned',
    prepare: t => t.store(S.FSE[3], 0x4000_2000 + 0x80 + S.FS_ALL),
  },
  {
    reason: 0x72,
    title: 'a 2-MiB page that is not aligned',
    prepare: t => t.store(S.FSE[2], 0x4010_0000 + 0x80 + S.FS_ALL),
  },
  { reason: 0x72, title: 'ADDR beyond the host', prepare: flip(S.FSE[1], 1n << 48n) },
  { reason: 0x72, title: 'XD while NXE is clear', prepare: flip(S.FSE[1], XD) },
  {
    reason: 0x72,
    title: 'reserved bits below come before U/S above',
    prepare: t => {
      flip(S.FSE[4], 4)(t)
      flip(S.FSE[1], XD)(t)
    },
  },
  { reason: 0x81, title: 'U/S clear at one level, for a user request', prepare: flip(S.FSE[3], 4) },
  {
    reason: 0x82,
    title: 'XD at one level, for an execute request',
    entry: { q2: S.ERE | S.NXE },
    prepare: flip(S.FSE[2], XD),
    asked: { execute: true },
  },
  {
    reason: 0x82,
    title: 'SMEP: a privileged request executes a user page',
    entry: { q2: S.ERE | S.SRE | S.SMEP },
    asked: { execute: true, privileged: true },
  },
  { reason: 0x85, title: 'R/W clear at one level', prepare: flip(S.FSE[4], 2), asked: { write: true } },
  {
    reason: 0x85,
    title: 'R/W clear, for a privileged write with WPE',
    entry: { q2: S.SRE | S.WPE },
    prepare: flip(S.FSE[1], 2),
    asked: { write: true, privileged: true },
  },
  { reason: 0x85, title: 'R/W clear, for an AtomicOp', prepare: flip(S.FSE[1], 2), asked: { atomic: true } },
  { reason: 0x90, title: 'A to be set by a walk not snooped', prepare: flip(S.FSE[3], 0x20) },
  {
    reason: 0x90,
    title: 'D to be set by a walk not snooped',
    prepare: flip(S.FSE[1], 0x40),
    asked: { write: true },
  },
  { reason: 0x90, title: 'EA to be set by a walk not snooped', entry: { q2: S.EAFE } },
  {
    reason: 0x87,
    title: 'a page that leads to the interrupt range',
    prepare: t => t.store(S.FSE[1], 0xfeef_f000 + S.FS_ALL),
  },
]

function build({ options, entry, prepare }: Scenario): ScalableUnit {
  const t = first(entry, options)
  prepare?.(t)
  return t
}

const named = SCENARIOS.map(s => [`${s.reason.toString(16)}h: ${s.title}`, s] as const)

describe('fault reasons of first-stage translation', () => {
  test.each(named)('%s', (_title, scenario) => {
    const t = build(scenario)
    const { address = S.IOVA, asked = {} } = scenario
    const foretold = t.foretold(address, asked)
    expect(foretold.answer).toBe(-scenario.reason)
    expect(foretold.last.outcome).toBe('failed')
    expect(t.ask(address, asked)).toBe(-scenario.reason)
    expect(t.record()).toMatchObject({ reason: scenario.reason, set: true })
  })

  test.each(named)('suppressed by FPD: %s', (_title, scenario) => {
    const t = build(scenario)
    t.store(PE, t.load(PE) | 2n)
    expect(t.ask(scenario.address ?? S.IOVA, scenario.asked)).toBe(-scenario.reason)
    expect(t.record().set).toBe(false)
  })
})

describe('first-stage translation', () => {
  test('of 4 levels translates canonical addresses, the upper half too', () => {
    const t = first()
    expect(t.ask(S.IOVA + 0x321, { write: true })).toBe(S.TARGET + 0x321)
    t.store(S.FS[4] + 511 * 8, S.FS[3] + S.FS_ALL)
    expect(t.ask(2n ** 64n - 2n ** 39n + BigInt(S.IOVA) + 0x10n)).toBe(S.TARGET + 0x10)
  })

  test('of 5 levels reads one entry more; FSPM decides about the width, not AW', () => {
    const t = first({ q2: S.FIVE_LEVELS, aw: 1 })
    expect(t.ask(S.IOVA)).toBe(S.TARGET)
    expect(t.request.tableReads).toBe(9)
    t.store(S.FS[5] + 255 * 8, S.FS[4] + S.FS_ALL)
    expect(t.ask(255n * 2n ** 48n + BigInt(S.IOVA))).toBe(S.TARGET)
  })

  test('large pages: bit 12 of the entry is PAT', () => {
    const t = first()
    t.store(S.FSE[2], 0x5000_1000 + 0x80 + S.FS_ALL)
    expect(t.ask(S.IOVA + 4)).toBe(0x5000_7004)
    t.store(S.FSE[3], 0x4000_1000 + 0x80 + S.FS_ALL)
    t.invalidateAll()
    expect(t.ask(S.IOVA + 4)).toBe(0x4060_7004)
  })

  test('a page that is present can be read, and written by privileged requests unless WPE', () => {
    const t = first({ q2: S.SRE })
    t.store(S.FSE[1], S.TARGET + 0x61)
    expect(t.ask(S.IOVA)).toBe(-0x81)
    expect(t.ask(S.IOVA, { privileged: true })).toBe(S.TARGET)
    expect(t.ask(S.IOVA, { privileged: true, write: true })).toBe(S.TARGET)
  })

  test('the permissions of a cached translation are judged as those of a walk', () => {
    const t = first({ q2: S.SRE | S.ERE | S.NXE | S.SMEP | S.WPE })
    t.store(S.FSE[1], BigInt(S.TARGET + 0x61) + XD)
    expect(t.ask(S.IOVA, { privileged: true })).toBe(S.TARGET)
    expect(t.ask(S.IOVA)).toBe(-0x81)
    expect(t.request.iotlbHit).toBe(true)
    expect(t.ask(S.IOVA, { privileged: true, write: true })).toBe(-0x85)
    expect(t.ask(S.IOVA, { privileged: true, execute: true })).toBe(-0x82)
  })

  test('privilege and execution mean nothing without PASID; RID_PRIV does', () => {
    const t = first({ pasid: 7, q2: S.SRE })
    t.store(S.CONTEXT_ENTRY + 8, 7)
    t.store(S.FSE[1], S.TARGET + 0x63)
    expect(t.plain(S.IOVA, { privileged: true, execute: true })).toBe(-0x81)
    t.store(S.CONTEXT_ENTRY + 8, 7 + (1 << 20))
    t.invalidateAll()
    expect(t.plain(S.IOVA)).toBe(S.TARGET)
  })

  test('G does not make an entry shared by PASIDs', () => {
    const t = first()
    t.store(S.FSE[1], S.TARGET + 0x100 + S.FS_ALL)
    t.ask(S.IOVA)
    t.bind({ pgtt: S.FIRST, pasid: 2 })
    t.ask(S.IOVA, { pasid: 2 })
    expect(t.request.iotlbHit).toBe(false)
  })
})

describe('accessed, extended accessed and dirty flags of the first stage', () => {
  const tracked = (q2 = 0n) => {
    const t = first({ q1: S.PWSNP, q2 })
    for (const level of [4, 3, 2, 1]) t.store(S.FSE[level]!, t.load(S.FSE[level]!) & ~0x60n)
    return t
  }

  test('A is set at every level, D in the leaf by a write', () => {
    const t = tracked()
    t.ask(S.IOVA)
    for (const level of [4, 3, 2, 1]) expect(t.load(S.FSE[level]!) & 0x460n).toBe(0x20n)
    t.ask(S.IOVA)
    t.ask(S.IOVA, { write: true })
    expect(t.load(S.FSE[1]) & 0x60n).toBe(0x60n)
    expect(t.load(S.FSE[2]) & 0x60n).toBe(0x20n)
  })

  test('EA is set beside A with EAFE', () => {
    const t = tracked(S.EAFE)
    t.ask(S.IOVA)
    for (const level of [4, 3, 2, 1]) expect(t.load(S.FSE[level]!) & 0x460n).toBe(0x420n)
  })

  test('nothing is set by a request that is refused, at whatever level, or explained', () => {
    const t = tracked()
    t.store(S.FSE[1], S.TARGET + 1)
    expect(t.ask(S.IOVA)).toBe(-0x81)
    t.foretold(S.IOVA)
    expect(t.load(S.FSE[4]) & 0x20n).toBe(0n)
  })

  test('an entry known to the paging-structure caches has its A already', () => {
    const t = tracked()
    t.ask(S.IOVA)
    t.store(S.FS[1] + 8 * 8, S.TARGET + 0x1007)
    t.store(S.FSE[3], t.load(S.FSE[3]) & ~0x20n)
    expect(t.ask(S.IOVA + 0x1000)).toBe(S.TARGET + 0x1000)
    expect(t.request.tableReads).toBe(1)
    expect(t.load(S.FS[1] + 8 * 8) & 0x60n).toBe(0x20n)
    expect(t.load(S.FSE[3]) & 0x20n).toBe(0n)
  })
})
