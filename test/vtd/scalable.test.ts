import { describe, expect, test } from 'vitest'
import { faultReason } from '../../src/vtd/formats/index.ts'
import type { RemappingUnitOptions } from '../../src/vtd/index.ts'
import * as S from './scalable-fixture.ts'
import { ScalableUnit } from './scalable-fixture.ts'

const second = (entry: Partial<Parameters<ScalableUnit['bind']>[0]> = {}, options = {}) =>
  new ScalableUnit(options).bind({ pgtt: S.SECOND, ...entry })

interface Scenario {
  readonly reason: number
  readonly title: string
  readonly options?: Partial<RemappingUnitOptions>
  readonly prepare?: (t: ScalableUnit) => void
  readonly address?: number | bigint
  readonly asked?: S.Asked
  /** What the PASID is bound to before `prepare`: second-stage tables unless it says otherwise. */
  readonly entry?: Partial<Parameters<ScalableUnit['bind']>[0]>
}

const capabilities = (c: Record<string, number>) => ({ capabilities: c })
const PE = S.pasidEntry(S.PASID)
const flip = (address: number, bits: bigint | number) => (t: ScalableUnit) =>
  t.store(address, t.load(address) ^ BigInt(bits))

/** Each breaks one thing between root table and the end of a second-stage walk. */
const SCENARIOS: readonly Scenario[] = [
  { reason: 0x30, title: 'the reserved mode', prepare: t => mode(t, 0x800) },
  { reason: 0x30, title: 'abort-DMA mode without ADMS', prepare: t => mode(t, 0xc00) },
  { reason: 0x38, title: 'the root table is nowhere', prepare: t => mode(t, 0x400, S.NOWHERE) },
  { reason: 0x39, title: 'LP is clear', prepare: flip(S.ROOT + 48, 1) },
  { reason: 0x39, title: 'UP is clear, for devfn from 128 on', asked: { sid: 0x0391 } },
  { reason: 0x3a, title: 'a reserved bit of the lower half', prepare: flip(S.ROOT + 48, 0x10) },
  { reason: 0x3a, title: 'LCTP beyond the host', prepare: flip(S.ROOT + 48, 1n << 48n) },
  { reason: 0x40, title: 'LCTP leads nowhere', prepare: t => t.store(S.ROOT + 48, S.NOWHERE + 1) },
  { reason: 0x41, title: 'the context entry has P clear', prepare: flip(S.CONTEXT_ENTRY, 1) },
  { reason: 0x42, title: 'context bits 8:5', prepare: flip(S.CONTEXT_ENTRY, 0x20) },
  { reason: 0x42, title: 'PASIDDIRPTR beyond the host', prepare: flip(S.CONTEXT_ENTRY, 1n << 60n) },
  { reason: 0x42, title: 'context bits 127:85', prepare: flip(S.CONTEXT_ENTRY + 8, 1n << 21n) },
  { reason: 0x42, title: 'context bits 255:128', prepare: flip(S.CONTEXT_ENTRY + 24, 1n << 63n) },
  {
    reason: 0x42,
    title: 'DTE without ECAP.DT',
    options: capabilities({ DT: 0, PRS: 0, NWFS: 0 }),
    prepare: flip(S.CONTEXT_ENTRY, 4),
  },
  {
    reason: 0x42,
    title: 'PASIDE without ECAP.PASID',
    options: capabilities({ PASID: 0, ERS: 0, PSS: 0 }),
    prepare: flip(S.CONTEXT_ENTRY, 8),
  },
  {
    reason: 0x42,
    title: 'PRE without ECAP.PRS',
    options: capabilities({ PRS: 0 }),
    prepare: flip(S.CONTEXT_ENTRY, 16),
  },
  {
    reason: 0x42,
    title: 'RID_PASID without ECAP.RPS',
    options: capabilities({ RPS: 0 }),
    prepare: flip(S.CONTEXT_ENTRY + 8, 5),
  },
  {
    reason: 0x42,
    title: 'RID_PRIV without ECAP.RPRIVS',
    options: capabilities({ RPRIVS: 0 }),
    prepare: flip(S.CONTEXT_ENTRY + 8, 1n << 20n),
  },
  {
    reason: 0x43,
    title: 'RID_PASID beyond the directory',
    prepare: t => {
      t.store(S.CONTEXT_ENTRY, S.DIRECTORY + 0x1d)
      t.store(S.CONTEXT_ENTRY + 8, 1 << 13)
    },
  },
  {
    reason: 0x44,
    title: 'a translation request while DTE is clear',
    prepare: flip(S.CONTEXT_ENTRY, 4),
    asked: { addressType: 1 },
  },
  {
    reason: 0x44,
    title: 'a translated request while DTE is clear',
    prepare: flip(S.CONTEXT_ENTRY, 4),
    asked: { addressType: 2 },
  },
  { reason: 0x45, title: 'PASIDE is clear', prepare: flip(S.CONTEXT_ENTRY, 8) },
  {
    reason: 0x46,
    title: 'PASID is 2^(PDTS+13)',
    prepare: flip(S.CONTEXT_ENTRY, 0xe00),
    asked: { pasid: 1 << 13 },
  },
  {
    reason: 0x46,
    title: 'PASID is wider than PSS',
    options: capabilities({ PSS: 9 }),
    asked: { pasid: 1024 },
  },
  {
    reason: 0x48,
    title: 'RID_PASID is wider than PSS',
    options: capabilities({ PSS: 9 }),
    prepare: t => t.store(S.CONTEXT_ENTRY + 8, 1024),
    asked: { pasid: -1 },
  },
  {
    reason: 0x50,
    title: 'PASIDDIRPTR leads nowhere',
    prepare: t => t.store(S.CONTEXT_ENTRY, S.NOWHERE + 0xe1d),
  },
  { reason: 0x51, title: 'the directory entry has P clear', asked: { pasid: 64 } },
  { reason: 0x52, title: 'directory bits 11:2', prepare: flip(S.DIRECTORY + 8 * (S.PASID >> 6), 4) },
  {
    reason: 0x52,
    title: 'SMPTBLPTR beyond the host',
    prepare: flip(S.DIRECTORY + 8 * (S.PASID >> 6), 1n << 50n),
  },
  {
    reason: 0x58,
    title: 'SMPTBLPTR leads nowhere',
    prepare: t => t.store(S.DIRECTORY, S.NOWHERE + 1),
    asked: { pasid: 3 },
  },
  { reason: 0x59, title: 'the PASID-table entry has P clear', asked: { pasid: S.PASID + 1 } },
  { reason: 0x5a, title: 'PASID entry bits 11:10', prepare: flip(PE, 0x400) },
  { reason: 0x5a, title: 'SSPTPTR beyond the host', prepare: flip(PE, 1n << 52n) },
  { reason: 0x5a, title: 'PASID entry bits 86:80', prepare: flip(PE + 8, 1 << 16) },
  { reason: 0x5a, title: 'DID beyond ND', options: capabilities({ ND: 0 }), entry: { did: 16 } },
  { reason: 0x5a, title: 'PASID entry bits 139:136', prepare: flip(PE + 16, 0x100) },
  { reason: 0x5a, title: 'PASID entry bits 511:192', prepare: flip(PE + 56, 1) },
  { reason: 0x5a, title: 'CD without ECAP.MTS', prepare: flip(PE + 8, 1 << 25) },
  { reason: 0x5a, title: 'PAT without ECAP.MTS', prepare: flip(PE + 8, 1n << 63n) },
  {
    reason: 0x5a,
    title: 'PGSNP without ECAP.SC',
    options: capabilities({ SC: 0 }),
    prepare: flip(PE + 8, 1 << 24),
  },
  {
    reason: 0x5a,
    title: 'SLEE without ECAP.ERS',
    options: capabilities({ ERS: 0 }),
    prepare: flip(PE, 0x20),
  },
  {
    reason: 0x5a,
    title: 'PWSNP without ECAP.SMPWCS',
    options: capabilities({ SMPWCS: 0, SSADS: 0, EAFS: 0 }),
    prepare: flip(PE + 8, 1 << 23),
  },
  {
    reason: 0x5a,
    title: 'SSADE without ECAP.SSADS',
    options: capabilities({ SSADS: 0 }),
    prepare: flip(PE, 0x200),
  },
  {
    reason: 0x5a,
    title: 'EAFE without ECAP.EAFS',
    options: capabilities({ EAFS: 0 }),
    prepare: flip(PE + 16, 0x80),
  },
  {
    reason: 0x5a,
    title: 'AW without ECAP.SSTS, even for pass-through',
    options: capabilities({ SSTS: 0, NEST: 0, SSADS: 0 }),
    prepare: t => t.store(PE, 4 * 64 + 2 * 4 + 1),
  },
  {
    reason: 0x5a,
    title: 'FSPTPTR without ECAP.FSTS, even for pass-through',
    options: capabilities({ FSTS: 0, NEST: 0, EAFS: 0 }),
    entry: { pgtt: S.PASS_THROUGH },
  },
  { reason: 0x5b, title: 'PGTT 000', entry: { pgtt: 0 } },
  { reason: 0x5b, title: 'PGTT 101', entry: { pgtt: 5 } },
  {
    reason: 0x5b,
    title: 'PGTT 001 without ECAP.FSTS',
    options: capabilities({ FSTS: 0, NEST: 0, EAFS: 0 }),
    prepare: t => {
      t.store(PE, 64 + 1)
      t.store(PE + 16, 0)
    },
  },
  {
    reason: 0x5b,
    title: 'PGTT 011 without ECAP.NEST',
    options: capabilities({ NEST: 0 }),
    entry: { pgtt: S.NESTED },
  },
  {
    reason: 0x5b,
    title: 'PGTT 100 without ECAP.PT',
    options: capabilities({ PT: 0 }),
    entry: { pgtt: S.PASS_THROUGH },
  },
  { reason: 0x5b, title: 'AW that SAGAW lacks', options: capabilities({ SAGAW: 0b0110 }), entry: { aw: 3 } },
  { reason: 0x5b, title: 'reserved AW', entry: { aw: 4 } },
  { reason: 0x5c, title: 'an execute request while ERE is clear', asked: { execute: true } },
  { reason: 0x5d, title: 'a privileged request while SRE is clear', asked: { privileged: true } },
  {
    reason: 0x5d,
    title: 'RID_PRIV while SRE is clear',
    prepare: t => {
      t.store(S.CONTEXT_ENTRY + 8, (1 << 20) + S.PASID)
    },
    asked: { pasid: -1 },
  },
  { reason: 0x84, title: 'the address is beyond AW', address: 2 ** 48 },
  {
    reason: 0x84,
    title: 'the address is beyond MGAW, though within AW',
    options: capabilities({ MGAW: 38 }),
    address: 2 ** 39,
  },
  { reason: 0x7b, title: 'SSPTPTR leads nowhere', prepare: t => t.store(PE, S.NOWHERE + 0x89) },
  { reason: 0x78, title: 'a lower table is nowhere', prepare: t => t.store(S.SSE[3], S.NOWHERE + 3) },
  { reason: 0x79, title: 'an entry with R=W=0', prepare: t => t.store(S.SSE[2], S.SS[1]) },
  {
    reason: 0x79,
    title: 'R above and W below leave nothing',
    prepare: t => {
      t.store(S.SSE[3], S.SS[2] + 1)
      t.store(S.SSE[1], S.TARGET + 2)
    },
  },
  { reason: 0x7a, title: 'SNP in an entry that points to a table', prepare: flip(S.SSE[2], 0x800) },
  {
    reason: 0x7a,
    title: 'SNP without ECAP.SC',
    options: capabilities({ SC: 0 }),
    prepare: flip(S.SSE[1], 0x800),
  },
  { reason: 0x7a, title: 'bit 62', prepare: flip(S.SSE[1], 1n << 62n) },
  { reason: 0x7a, title: 'ADDR beyond the host', prepare: flip(S.SSE[2], 1n << 48n) },
  { reason: 0x7a, title: 'PS in a PML4E', prepare: flip(S.SSE[4], 0x80) },
  { reason: 0x7a, title: 'PS in a PML5E', entry: { aw: 3 }, prepare: flip(S.SSE[5], 0x80) },
  { reason: 0x7a, title: 'a 2-MiB page that is not aligned', prepare: flip(S.SSE[2], 0x80) },
  {
    reason: 0x7a,
    title: 'a 2-MiB page without SSLPS',
    options: capabilities({ SSLPS: 0 }),
    prepare: t => t.store(S.SSE[2], 0x40_0083),
  },
  {
    reason: 0x7a,
    title: 'a 1-GiB page without SSLPS',
    options: capabilities({ SSLPS: 1 }),
    prepare: t => t.store(S.SSE[3], 0x4000_0083),
  },
  { reason: 0x85, title: 'a write without W', prepare: flip(S.SSE[3], 2), asked: { write: true } },
  { reason: 0x85, title: 'an AtomicOp without W', prepare: flip(S.SSE[1], 2), asked: { atomic: true } },
  { reason: 0x86, title: 'an AtomicOp without R', prepare: flip(S.SSE[1], 1), asked: { atomic: true } },
  { reason: 0x86, title: 'a read without R', prepare: flip(S.SSE[2], 1) },
  { reason: 0x7c, title: 'A to be set by a walk not snooped', entry: { q0: S.SSADE } },
  {
    reason: 0x82,
    title: 'an execute request without X, with SLEE',
    entry: { q0: S.SLEE, q2: S.ERE },
    asked: { execute: true },
  },
  {
    reason: 0x87,
    title: 'a page that leads to the interrupt range',
    prepare: t => t.store(S.SSE[1], 0xfee0_1003),
  },
  {
    reason: 0x87,
    title: 'pass-through with PASID to the interrupt range',
    entry: { pgtt: S.PASS_THROUGH },
    address: 0xfee0_1000,
  },
  {
    reason: 0x83,
    title: 'a pass-through address beyond the host',
    entry: { pgtt: S.PASS_THROUGH },
    address: 2 ** 48,
  },
  {
    reason: 0x83,
    title: 'a translated address beyond the host',
    asked: { addressType: 2 },
    address: 2 ** 48,
  },
]

function mode(t: ScalableUnit, bits: number, table = S.ROOT): void {
  t.write64(0x20, table + bits)
  t.command(30)
}

function build({ options, entry, prepare }: Scenario): ScalableUnit {
  const t = second(entry, options)
  prepare?.(t)
  return t
}

const named = SCENARIOS.map(s => [`${s.reason.toString(16)}h: ${s.title}`, s] as const)

describe('fault reasons of scalable mode', () => {
  test.each(named)('%s', (_title, scenario) => {
    const t = build(scenario)
    const { address = S.GPA, asked = {} } = scenario
    expect(t.ask(address, asked)).toBe(-scenario.reason)
    expect(t.record()).toMatchObject({ reason: scenario.reason, set: true })
    // Asked again, out of whatever was cached, the answer is the same.
    expect(t.ask(address, asked)).toBe(-scenario.reason)
  })

  test.each(named)('explained: %s', (_title, scenario) => {
    const t = build(scenario)
    const { answer, last, told } = t.foretold(scenario.address ?? S.GPA, scenario.asked)
    expect(answer).toBe(-scenario.reason)
    expect(last.outcome).toBe('failed')
    expect(told.steps.slice(0, -1).every(({ outcome }) => outcome === 'passed')).toBe(true)
    expect(t.read32(0x34)).toBe(0)
  })

  test.each(named)('with FPD in every entry: %s', (_title, scenario) => {
    const t = build(scenario)
    for (const entry of [S.CONTEXT_ENTRY, S.DIRECTORY, S.DIRECTORY + (S.PASID >> 6) * 8, PE]) {
      t.store(entry, t.load(entry) | 2n)
    }
    expect(t.ask(scenario.address ?? S.GPA, scenario.asked)).toBe(-scenario.reason)
    expect(t.record().set).toBe(!faultReason(scenario.reason)!.qualified)
  })
})

describe('second-stage translation in scalable mode', () => {
  test.each([
    [1, 3],
    [2, 4],
    [3, 5],
  ])('AW %i selects %i levels', (aw, levels) => {
    const t = second({ aw })
    expect(t.ask(S.GPA + 0x10, { write: true })).toBe(S.TARGET + 0x10)
    // Root, context, directory, PASID entry, and one entry a level.
    expect(t.request.tableReads).toBe(4 + levels)
  })

  test('without PASID, RID_PASID selects the entry; 0 without ECAP.RPS', () => {
    const t = second({ pasid: 0x33 })
    t.store(S.CONTEXT_ENTRY + 8, 0x33)
    expect(t.plain(S.GPA)).toBe(S.TARGET)
    const u = second({ pasid: 0 }, { capabilities: { RPS: 0 } })
    expect(u.plain(S.GPA)).toBe(S.TARGET)
  })

  test('a fault of a request without PASID records none, though RID_PASID was used', () => {
    const t = second({ pasid: 0x33 })
    t.store(S.CONTEXT_ENTRY + 8, 0x33)
    t.plain(0)
    expect((t.read64(0x408) >> 31n) & 1n).toBe(0n)
    t.bind({ pgtt: S.SECOND })
    t.ask(0)
    expect((t.read64(0x418) >> 31n) & 1n).toBe(1n)
    expect((t.read64(0x418) >> 40n) & 0xf_ffffn).toBe(BigInt(S.PASID))
  })

  test('FPD of any entry on the way counts, that of the directory too', () => {
    const t = second()
    t.store(S.DIRECTORY + 8 * (S.PASID >> 6), S.PASIDS + 3)
    expect(t.ask(0)).toBe(-0x79)
    expect(t.record().set).toBe(false)
    // From the PASID cache as from memory.
    expect(t.ask(0)).toBe(-0x79)
    expect(t.record().set).toBe(false)
  })

  test('the upper half of a root entry serves devfn 128 to 255, and is judged only then', () => {
    const t = second()
    t.store(S.ROOT + 56, 0xffe)
    expect(t.ask(S.GPA)).toBe(S.TARGET)
    t.store(S.ROOT + 56, 0x1_0014_0001)
    t.store(0x1_0014_0000 + 0x11 * 32, t.load(S.CONTEXT_ENTRY))
    expect(t.ask(S.GPA, { sid: 0x0391 })).toBe(S.TARGET)
  })

  test('large pages of 2 MiB and 1 GiB', () => {
    const t = second()
    t.store(S.SSE[2], 0x4000_0083)
    expect(t.ask(S.GPA + 0x123)).toBe(0x4000_7123)
    t.store(S.SSE[3], 0x1_0000_0083)
    t.invalidateAll()
    expect(t.ask(S.GPA + 0x123)).toBe(0x1_0040_7123)
  })

  test('a zero-length read needs either right with ZLR, R without', () => {
    const t = second()
    t.store(S.SSE[1], S.TARGET + 2)
    expect(t.ask(S.GPA, { zeroLength: true })).toBe(S.TARGET)
    const u = second({}, { capabilities: { ZLR: 0 } })
    u.store(S.SSE[1], S.TARGET + 2)
    expect(u.ask(S.GPA, { zeroLength: true })).toBe(-0x86)
  })

  test('pass-through uses the address unchanged, limited by the host only', () => {
    const t = second({ pgtt: S.PASS_THROUGH }, { capabilities: { MGAW: 38 } })
    expect(t.ask(2 ** 47)).toBe(2 ** 47)
    expect(t.ask(2 ** 47, { write: true })).toBe(2 ** 47)
    expect(t.foretold(2 ** 47).told.outcome).toBe('passedThrough')
  })

  test('abort-DMA mode aborts without a fault', () => {
    const t = second({}, { capabilities: { ADMS: 1 } })
    mode(t, 0xc00)
    expect(t.ask(S.GPA)).toBe(null)
    expect(t.read32(0x34)).toBe(0)
  })

  test('a request with PASID to the interrupt range is ordinary DMA', () => {
    const t = second()
    t.store(S.SS[3] + 3 * 8, S.SS_TABLES + 3)
    t.store(S.SS_TABLES + 0x1f7 * 8, 0x4000_0083)
    expect(t.ask(0xfee0_0000, { write: true })).toBe(0x4000_0000)
  })

  test('a legacy context entry in the cache is not taken for a scalable one', () => {
    const t = second({ pasid: 0 }, { capabilities: { ESRTPS: 0 } })
    t.store(S.ROOT, S.CONTEXT + 1)
    mode(t, 0)
    t.store(0x1_0000_1000 + 0x11 * 16, 9)
    t.store(0x1_0000_1000 + 0x11 * 16 + 8, 0x103)
    expect(t.plain(0x5000, { sid: 0x0011 })).toBe(0x5000)
    t.store(0x1_0000_1000 + 0x11 * 16, 0)
    t.store(0x1_0000_1000 + 0x11 * 16 + 8, 0)
    t.store(S.CONTEXT_ENTRY, S.DIRECTORY + 0xe1d)
    mode(t, 0x400)
    expect(t.plain(S.GPA, { sid: 0x0011 })).toBe(S.TARGET)
  })
})

describe('accessed and dirty flags of the second stage', () => {
  const tracked = () => second({ q0: S.SSADE, q1: S.PWSNP })

  test('a read sets A in every entry of the way, a write D in the leaf', () => {
    const t = tracked()
    expect(t.ask(S.GPA)).toBe(S.TARGET)
    for (const level of [4, 3, 2, 1]) expect(t.load(S.SSE[level]!) & 0x300n).toBe(0x100n)
    expect(t.ask(S.GPA, { write: true })).toBe(S.TARGET)
    expect(t.load(S.SSE[1]) & 0x300n).toBe(0x300n)
    expect(t.load(S.SSE[2]) & 0x300n).toBe(0x100n)
  })

  test('a cached translation that was only read does not spare the first write its D', () => {
    const t = tracked()
    for (let i = 0; i < 3; i++) t.ask(S.GPA)
    expect(t.request.iotlbHit).toBe(true)
    t.ask(S.GPA, { write: true })
    expect(t.request.iotlbHit).toBe(false)
    expect(t.load(S.SSE[1]) & 0x200n).toBe(0x200n)
    t.ask(S.GPA, { write: true })
    expect(t.request.iotlbHit).toBe(true)
  })

  test('nothing is set for a request that is refused, or explained', () => {
    const t = tracked()
    t.store(S.SSE[1], S.TARGET + 1)
    expect(t.ask(S.GPA, { write: true })).toBe(-0x85)
    t.foretold(S.GPA)
    expect(t.load(S.SSE[4]) & 0x100n).toBe(0n)
  })

  test('without SSADE the flags are ignored', () => {
    const t = second()
    t.ask(S.GPA, { write: true })
    expect(t.load(S.SSE[1])).toBe(BigInt(S.TARGET + 3))
  })
})

describe('explaining in scalable mode', () => {
  test('tells every entry with its whole raw value', () => {
    const t = second()
    const { told } = t.foretold(S.GPA)
    expect(told.steps.map(({ check, entryAddress, raw }) => [check, entryAddress, raw?.length])).toEqual([
      ['translation is enabled', undefined, 10],
      ['translation table mode', undefined, undefined],
      ['lower half of the root entry', '0x100000030', 18],
      ['context entry', '0x100001220', 66],
      ['the context entry allows the kind of request and its PASID', undefined, undefined],
      ['PASID directory entry', '0x100102468', 18],
      ['PASID table entry', '0x100110140', 130],
      ['the address is within the width of the second stage', undefined, undefined],
      ['second-stage entry of level 4', '0x100134000', 18],
      ['second-stage entry of level 3', '0x100133000', 18],
      ['second-stage entry of level 2', '0x100132010', 18],
      ['second-stage entry of level 1', '0x100131038', 18],
      ['the permissions along the way suffice', undefined, undefined],
      ['accessed and dirty flags are set, or can be', undefined, undefined],
      ['the result is outside the interrupt range', undefined, undefined],
    ])
    expect(told.steps[6]!.fields).toMatchObject({ P: 1, PGTT: 2, AW: 2, DID: '0x9', SSPTPTR: '0x100134000' })
    expect(told.steps[3]!.fields).toMatchObject({ PDTS: 7, PASIDDIRPTR: '0x100100000', DTE: 1, PASIDE: 1 })
  })

  test('names the caches that answer', () => {
    const t = second()
    t.ask(S.GPA)
    const from = (address: number) => t.foretold(address).told.steps.flatMap(({ from }) => from ?? [])
    expect(from(S.GPA)).toEqual(['contextCache', 'pasidCache', 'iotlb'])
    t.store(S.SS[1] + 8 * 8, S.TARGET + 3)
    expect(from(S.GPA + 0x1000)).toEqual(['contextCache', 'pasidCache', 'pagingStructureCache', 'memory'])
  })

  test('the caches are shown decoded', () => {
    const t = second()
    t.ask(S.GPA)
    expect(t.unit.caches()).toMatchObject({
      context: [{ source: '03:02.1', fields: { PDTS: 7 } }],
      pasid: [{ source: '03:02.1', pasid: '0x12345', fields: { PGTT: 2 } }],
      iotlb: [{ kind: 'secondStage', domainId: '0x9', address: '0x407000', size: 4096 }],
      paging: [
        { kind: 'secondStage', level: 2, address: '0x400000', size: 2 ** 21, table: '0x100131000' },
        { level: 3, size: 2 ** 30 },
        { level: 4, size: 2 ** 39 },
      ],
    })
  })
})
