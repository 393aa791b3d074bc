import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import { TestUnit } from './fixture.ts'
import * as S from './scalable-fixture.ts'
import { ScalableUnit } from './scalable-fixture.ts'

const STATUS_SUCCESSFUL = 0
const R = 1
const W = 2
const X = 4
const PRIV = 8

/** A translation request; write=false is No Write. Its completion, or minus the reason code. */
function translation(t: ScalableUnit, address: number, asked: S.Asked = {}) {
  const answer = t.ask(address, { ...asked, addressType: 1 })
  const { translatedPage, size, permissions, nonSnooped, untranslatedOnly, global, status } = t.request
  if (answer === null || answer < 0) return answer
  expect(status).toBe(STATUS_SUCCESSFUL)
  expect(untranslatedOnly).toBe(false)
  return { page: translatedPage, size, permissions, nonSnooped, global }
}

const TARGET_PAGE = S.TARGET / 4096

describe('translation requests', () => {
  test('are answered with the host page, its size and its permissions', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    expect(translation(t, S.GPA, { write: true })).toEqual({
      page: TARGET_PAGE,
      size: 1,
      permissions: R | W,
      nonSnooped: false,
      global: false,
    })
    t.store(S.SSE[2], 0x4000_0083)
    t.invalidateAll()
    expect(translation(t, S.GPA, { write: true })).toMatchObject({ page: 0x4_0007, size: 512 })
  })

  test('No Write is honoured with NWFS: write permission is neither asked for nor granted, and D stays clear', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND, q0: S.SSADE, q1: S.PWSNP })
    expect(translation(t, S.GPA)).toMatchObject({ permissions: R })
    expect(t.load(S.SSE[1]) & 0x300n).toBe(0x100n)
    const u = new ScalableUnit({ capabilities: { NWFS: 0 } })
    u.bind({ pgtt: S.SECOND, q0: S.SSADE, q1: S.PWSNP })
    expect(translation(u, S.GPA)).toMatchObject({ permissions: R | W })
    expect(u.load(S.SSE[1]) & 0x300n).toBe(0x300n)
  })

  test('write permission is granted only together with D, also out of the IOTLB', () => {
    const t = new ScalableUnit().bind({ pgtt: S.FIRST, q1: S.PWSNP })
    t.store(S.FSE[1], S.TARGET + 0x27)
    t.ask(S.IOVA)
    expect(translation(t, S.IOVA, { write: true })).toMatchObject({ permissions: R | W })
    expect(t.load(S.FSE[1]) & 0x40n).toBe(0x40n)
  })

  test('get less than they ask for where the tables grant less, and nothing is recorded', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND, q0: S.SSADE, q1: S.PWSNP })
    t.store(S.SSE[1], S.TARGET + 1)
    expect(translation(t, S.GPA, { write: true })).toMatchObject({ permissions: R })
    expect(t.load(S.SSE[1]) & 0x300n).toBe(0x100n)
    t.store(S.SSE[1], S.TARGET + 2)
    t.invalidateAll()
    expect(translation(t, S.GPA, { write: true })).toMatchObject({ permissions: W })
    expect(t.read32(0x34)).toBe(0)
  })

  test('Exe and Priv are answered as asked and granted', () => {
    const t = new ScalableUnit().bind({ pgtt: S.FIRST, q2: S.SRE | S.ERE | S.NXE })
    expect(translation(t, S.IOVA, { execute: true })).toMatchObject({ permissions: R | X })
    expect(translation(t, S.IOVA, { execute: true, privileged: true })).toMatchObject({
      permissions: R | X | PRIV,
    })
    t.store(S.FSE[1], BigInt(S.TARGET + S.FS_ALL) + 2n ** 63n)
    t.invalidateAll()
    expect(translation(t, S.IOVA, { execute: true })).toMatchObject({ permissions: R })
  })

  test('Global is that of the first-stage leaf, for requests with PASID', () => {
    const t = new ScalableUnit().bind({ pgtt: S.FIRST })
    t.store(S.FSE[1], S.TARGET + 0x100 + S.FS_ALL)
    expect(translation(t, S.IOVA)).toMatchObject({ global: true })
  })

  test('N says that accesses must be snooped: SNP of the leaf, or PGSNP', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    t.store(S.SSE[1], S.TARGET + 0x803)
    expect(translation(t, S.GPA)).toMatchObject({ nonSnooped: true })
    t.bind({ pgtt: S.FIRST, pasid: 1, q1: S.PGSNP }).bind({ pgtt: S.PASS_THROUGH, pasid: 2, q1: S.PGSNP })
    expect(translation(t, S.IOVA, { pasid: 1 })).toMatchObject({ nonSnooped: true })
    expect(translation(t, S.IOVA, { pasid: 2 })).toMatchObject({ nonSnooped: true, permissions: R })
  })

  test.each<[string, number, (t: ScalableUnit) => void, S.Asked]>([
    ['not present', S.FIRST, t => t.store(S.FSE[2], 0), {}],
    ['a supervisor page', S.FIRST, t => t.store(S.FSE[2], S.FS[1] + 0x63), {}],
    ['no second-stage right', S.SECOND, t => t.store(S.SSE[1], 0), {}],
    ['guest page not mapped', S.NESTED, t => t.store(S.SSE[1], 0), {}],
    ['first-stage tables not mapped', S.NESTED, t => t.store(S.SS_TABLES, 0), {}],
    ['not readable, and writing not asked for', S.SECOND, t => t.store(S.SSE[1], S.TARGET + 2), {}],
  ])('%s: success with R=W=0, nothing recorded', (_title, pgtt, prepare, asked) => {
    const t = new ScalableUnit().bind({ pgtt })
    prepare(t)
    expect(translation(t, pgtt === S.SECOND ? S.GPA : S.IOVA, asked)).toMatchObject({
      permissions: 0,
      size: 1,
    })
    expect(t.read32(0x34)).toBe(0)
    const { told } = t.foretold(pgtt === S.SECOND ? S.GPA : S.IOVA, { ...asked, addressType: 1 })
    expect(told.fault).toMatchObject({ recorded: false })
  })

  test('addresses out of range are answered with R=W=0 too', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    expect(translation(t, 2 ** 50)).toMatchObject({ permissions: 0 })
    expect(t.read32(0x34)).toBe(0)
  })

  test.each<[number, number, (t: ScalableUnit) => void]>([
    [0x72, S.FIRST, t => t.store(S.FSE[4], 0x81)],
    [0x7a, S.SECOND, t => t.store(S.SSE[4], 0x83)],
    [0x59, S.SECOND, t => t.store(S.pasidEntry(S.PASID), 0)],
    [0x87, S.SECOND, t => t.store(S.SSE[1], 0xfee0_0003)],
    [0x90, S.FIRST, t => t.store(S.FSE[1], S.TARGET + 7)],
  ])('reason %i is not recoverable: recorded with AT=01 and refused', (reason, pgtt, prepare) => {
    const t = new ScalableUnit().bind({ pgtt })
    prepare(t)
    expect(translation(t, pgtt === S.SECOND ? S.GPA : S.IOVA)).toBe(-reason)
    expect(t.record()).toMatchObject({ reason, set: true })
    expect((t.read64(0x408) >> 60n) & 3n).toBe(1n)
  })

  test('without translation enabled are refused, unrecorded', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    t.command(31, 0)
    expect(translation(t, S.GPA)).toBe(null)
    expect(t.read32(0x34)).toBe(0)
    expect(t.foretold(S.GPA, { addressType: 1 }).told.outcome).toBe('blocked')
  })
})

describe('translated requests', () => {
  test('use their address as the host address', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    expect(t.ask(S.TARGET + 8, { addressType: 2, write: true })).toBe(S.TARGET + 8)
    expect(t.plain(S.TARGET + 8, { addressType: 2 })).toBe(S.TARGET + 8)
    expect(t.ask(0xfee0_0000, { addressType: 2 })).toBe(-0x87)
  })

  test('do not reach protected memory', () => {
    const t = new ScalableUnit().bind({ pgtt: S.SECOND })
    t.write32(0x68, 0x4000_0000)
    t.write32(0x6c, 0x4000_0000)
    t.write32(0x64, 0x8000_0000)
    expect(t.ask(0x4000_0000, { addressType: 2 })).toBe(null)
    expect(t.read32(0x34)).toBe(0)
  })
})

describe('in legacy mode', () => {
  const unit = () => {
    const t = new TestUnit({ capabilities: { DT: 1 } }).enableTranslation()
    t.store(F.CONTEXT + 0x11 * 16, F.L4 + 5)
    return t
  }

  test('TT=01 answers translation requests with what the tables grant', () => {
    const t = unit()
    expect(t.dma(F.IOVA, { addressType: 1, write: true })).toBe(F.TARGET)
    expect(t.request).toMatchObject({ permissions: R | W, size: 1, translatedPage: F.TARGET / 4096 })
    t.store(F.L1 + 7 * 8, 0)
    expect(t.dma(F.IOVA + 0x1000, { addressType: 1 })).not.toBeNull()
    expect(t.request).toMatchObject({ permissions: 0, size: 1 })
    expect(t.read32(0x34)).toBe(0)
  })

  test('TT=00 refuses both kinds, with a record', () => {
    const t = new TestUnit({ capabilities: { DT: 1 } }).enableTranslation()
    expect(t.dma(F.IOVA, { addressType: 1 })).toBe(-0x0d)
    expect(t.dma(F.IOVA, { addressType: 2 })).toBe(-0x0d)
  })

  test('reserved bits are recorded, with AT=01', () => {
    const t = unit()
    t.store(F.L1 + 7 * 8, 2n ** 62n + 3n)
    expect(t.dma(F.IOVA, { addressType: 1 })).toBe(-0x0c)
    expect((t.read64(0x408) >> 60n) & 3n).toBe(1n)
  })
})

test('in legacy mode an AtomicOp needs both rights: 05h without W, 06h without R alone', () => {
  const t = new TestUnit().enableTranslation()
  t.request.atomic = true
  for (const [rights, reason] of [
    [3, undefined],
    [1, 0x05],
    [2, 0x06],
    [0, 0x05],
  ] as const) {
    t.store(F.L1 + 7 * 8, F.TARGET + rights)
    t.write64(0x508, 0x9000_0000_0000_0000n)
    const expected = reason === undefined ? F.TARGET : -reason
    expect(t.dma(F.IOVA, { write: true })).toBe(expected)
  }
})
