/**
 * Requests of one function, one after another: context and PASID-table entries are not looked up again while nothing has
 * come or gone, and nothing of what follows may show that.
 */
import { describe, expect, test } from 'vitest'
import * as F from './fixture.ts'
import * as S from './scalable-fixture.ts'
import { ScalableUnit } from './scalable-fixture.ts'

const OTHER_SID = S.SID + 1
const OTHER_PASID = S.PASID + 1
const PASS_THROUGH = { pgtt: S.PASS_THROUGH } as const
const ONE_ENTRY = { contextSets: 1, contextWays: 1, pasidSets: 1, pasidWays: 1 }

/** Pages are passed through, so that each request is judged by context and PASID-table entry alone. */
function settled(options: ConstructorParameters<typeof ScalableUnit>[0] = {}): ScalableUnit {
  const t = new ScalableUnit(options).bind(PASS_THROUGH).bind({ ...PASS_THROUGH, pasid: OTHER_PASID })
  t.store(S.CONTEXT_ENTRY + 32, t.load(S.CONTEXT_ENTRY))
  const reads = [1, 2, 3].map(page => {
    expect(t.ask(page * 4096)).toBe(page * 4096)
    return t.request.tableReads
  })
  expect(reads).toEqual([4, 0, 0])
  return t
}

/** Has the unit take one 256-bit descriptor, its first. */
function invalidate(t: ScalableUnit, descriptor: bigint): void {
  t.write64(0x90, F.QUEUE + 0x800)
  t.write64(0x88, 0)
  t.command(26)
  t.store(F.QUEUE, descriptor)
  t.write64(0x88, 32)
  expect(t.read64(0x80)).toBe(32n)
}

const ALL_CONTEXTS = 0x11n
const ALL_PASIDS = 0x37n

const clearPresent = (t: ScalableUnit, at: number): void => t.store(at, t.load(at) & ~1n)

describe('a function that asks again', () => {
  test('is known until the context-cache is invalidated', () => {
    const t = settled()
    clearPresent(t, S.CONTEXT_ENTRY)
    expect(t.ask(0x4000)).toBe(0x4000)
    invalidate(t, ALL_CONTEXTS)
    expect(t.ask(0x5000)).toBe(-0x41)
  })

  test('has its PASID known until the PASID-cache is invalidated', () => {
    const t = settled()
    clearPresent(t, S.pasidEntry(S.PASID))
    expect(t.ask(0x4000)).toBe(0x4000)
    invalidate(t, ALL_PASIDS)
    expect(t.ask(0x5000)).toBe(-0x59)
  })

  test('is looked up anew when another function has taken its place in the context-cache', () => {
    const t = settled({ caches: { ...ONE_ENTRY, pasidWays: 4 } })
    clearPresent(t, S.CONTEXT_ENTRY)
    expect(t.ask(0x4000, { sid: OTHER_SID })).toBe(0x4000)
    expect(t.ask(0x5000)).toBe(-0x41)
  })

  test('is looked up anew when another PASID has taken the place of its PASID in the PASID-cache', () => {
    const t = settled({ caches: ONE_ENTRY })
    clearPresent(t, S.pasidEntry(S.PASID))
    expect(t.ask(0x4000, { pasid: OTHER_PASID })).toBe(0x4000)
    expect(t.ask(0x5000)).toBe(-0x59)
  })

  test('is known as the caches knew it when a saved state is loaded', () => {
    const t = settled()
    const known = t.unit.save()
    t.unit.reset()
    t.write64(0x20, S.ROOT + 0x400)
    t.command(30)
    t.command(31)
    const unknown = t.unit.save()
    expect([t.ask(0x4000), t.ask(0x5000)]).toEqual([0x4000, 0x5000])
    clearPresent(t, S.CONTEXT_ENTRY)
    t.unit.load(unknown)
    expect(t.ask(0x6000)).toBe(-0x41)
    t.unit.load(known)
    expect(t.ask(0x7000)).toBe(0x7000)
  })

  test('is judged by what it asks for this time', () => {
    const t = settled()
    expect(t.ask(0x4000, { privileged: true })).toBe(-0x5d)
    expect(t.ask(0x4000, { execute: true })).toBe(-0x5c)
    expect(t.ask(0x4000)).toBe(0x4000)
    t.store(S.CONTEXT_ENTRY, t.load(S.CONTEXT_ENTRY) & ~4n)
    invalidate(t, ALL_CONTEXTS)
    expect([t.ask(0x5000), t.ask(0x6000)]).toEqual([0x5000, 0x6000])
    expect(t.ask(0x7000, { addressType: 1 })).toBe(-0x44)
    expect(t.ask(0x7000)).toBe(0x7000)
  })
})

test('a fault of a function that asked before is not recorded if FPD says so', () => {
  const t = new ScalableUnit().bind({ pgtt: S.SECOND, q0: 2n })
  expect([t.ask(S.GPA), t.ask(S.GPA), t.ask(S.GPA + 0x1000), t.ask(S.GPA + 0x2000)]).toEqual([
    F.TARGET,
    F.TARGET,
    -0x79,
    -0x79,
  ])
  expect(t.unit.faultRecords()).toEqual([])
})
