import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Claim, entitlements } from '../../src/hypervisor/scheduling/entitlement.ts'
import { type Competitor, nextSlice } from '../../src/hypervisor/scheduling/time-sharing.ts'

const claim = (shares: number, more: Partial<Claim> = {}): Claim => ({
  shares,
  reservation: 0,
  limit: 64,
  demand: 64,
  ...more,
})

describe('entitlement', () => {
  test('shares alone divide by their ratio', () => {
    expect(entitlements([claim(1), claim(2), claim(5)], 16)).toEqual([2, 4, 10])
  })

  test('what somebody does not want goes to the others by their shares', () => {
    expect(entitlements([claim(1, { demand: 1 }), claim(1), claim(2)], 16)).toEqual([1, 5, 10])
  })

  test('a reservation is a floor, a limit a ceiling', () => {
    expect(entitlements([claim(1, { reservation: 8 }), claim(3), claim(1)], 16)).toEqual([8, 6, 2])
    expect(entitlements([claim(8, { limit: 2 }), claim(1), claim(1)], 16)).toEqual([2, 7, 7])
  })

  test('a reservation that is not used is not kept from others', () => {
    expect(entitlements([claim(1, { reservation: 8, demand: 1 }), claim(1)], 16)).toEqual([1, 15])
  })

  test('nobody gets more than he wants where there is enough', () => {
    expect(entitlements([claim(1, { demand: 3 }), claim(7, { demand: 2 })], 16)).toEqual([3, 2])
  })

  test('for any claims: floors and ceilings hold, all is given out, and between them ratios are those of the shares', () => {
    const any = fc.record({
      shares: fc.integer({ min: 1, max: 1000 }),
      reservation: fc.integer({ min: 0, max: 200 }).map(x => x / 100),
      limit: fc.integer({ min: 200, max: 800 }).map(x => x / 100),
      demand: fc.integer({ min: 0, max: 800 }).map(x => x / 100),
    })
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 12 }), claims => {
        const capacity = 24
        const parts = entitlements(claims, capacity)
        const most = claims.map(({ limit, demand }) => Math.min(limit, demand))
        for (const [i, part] of parts.entries()) {
          expect(part).toBeLessThanOrEqual(most[i]! + 1e-9)
          expect(part).toBeGreaterThanOrEqual(Math.min(claims[i]!.reservation, most[i]!) - 1e-9)
        }
        const given = parts.reduce((sum, part) => sum + part, 0)
        expect(given).toBeCloseTo(
          Math.min(
            capacity,
            most.reduce((sum, x) => sum + x, 0),
          ),
          6,
        )
        const free = parts.flatMap((part, i) => {
          const floor = Math.min(claims[i]!.reservation, most[i]!)
          return part > floor + 1e-9 && part < most[i]! - 1e-9 ? [part / claims[i]!.shares] : []
        })
        for (const level of free) expect(level).toBeCloseTo(free[0]!, 6)
      }),
    )
  })
})

describe('slices', () => {
  const machine = (vcpus: number, more: Partial<Competitor> = {}): Competitor => ({
    shares: vcpus * 1000,
    reservation: 0,
    limit: vcpus,
    load: 1,
    runners: Array.from({ length: vcpus }, () => ({ backlog: 0 })),
    owed: 0,
    ...more,
  })

  function slices(competitors: readonly Competitor[], processors: number, count: number): number[] {
    const had = competitors.map(() => 0)
    for (let i = 0; i < count; i++) {
      const { chosen } = nextSlice(competitors, processors)
      expect(chosen.length).toBeLessThanOrEqual(processors)
      expect(new Set(chosen.map(({ competitor, runner }) => `${competitor} ${runner}`)).size).toBe(
        chosen.length,
      )
      for (const { competitor } of chosen) had[competitor]!++
    }
    return had
  }

  test('thirty machines of eight virtual processors on 64 have what they are entitled to, within few slices', () => {
    const shares = Array.from({ length: 30 }, (_, i) => 1000 * (1 + (i % 3)))
    const had = slices(
      shares.map(weight => machine(8, { shares: weight })),
      64,
      500,
    )
    for (const [i, weight] of shares.entries()) {
      expect(Math.abs(had[i]! - (500 * 64 * weight) / 60_000)).toBeLessThan(9)
    }
  })

  test('a machine alone with a limit has its limit, and no more', () => {
    expect(slices([machine(4, { limit: 1.5 })], 8, 400)[0]).toBeCloseTo(600, -1)
  })

  test('a virtual processor never runs twice at a time, whatever its shares', () => {
    expect(slices([machine(1, { shares: 1_000_000 }), machine(4)], 4, 100)).toEqual([100, 300])
  })

  test('who had nothing to do for long gets no more than its part afterwards', () => {
    const sleeper = machine(2, { load: 0 })
    const other = machine(2)
    slices([sleeper, other], 2, 200)
    const awake = { ...sleeper, load: 1 }
    const [a, b] = slices([awake, other], 2, 200)
    expect(Math.abs(a! - b!)).toBeLessThan(20)
  })

  test('a load of a quarter is served by a quarter', () => {
    expect(slices([machine(2, { load: 0.25 }), machine(8)], 8, 400)[0]).toBeCloseTo(200, -1)
  })

  test('for any machines each has what the entitlement says, within a slice for each of its virtual processors', () => {
    const any = fc.record({
      vcpus: fc.integer({ min: 1, max: 6 }),
      shares: fc.integer({ min: 100, max: 4000 }),
      limitPercent: fc.integer({ min: 20, max: 100 }),
    })
    fc.assert(
      fc.property(
        fc.array(any, { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 12 }),
        (list, processors) => {
          const competitors = list.map(({ vcpus, shares, limitPercent }) =>
            machine(vcpus, { shares, limit: (vcpus * limitPercent) / 100 }),
          )
          const claims = competitors.map(({ shares, limit, runners }) =>
            claim(shares, { limit, demand: runners.length }),
          )
          const parts = entitlements(claims, processors)
          const had = slices(competitors, processors, 300)
          for (const [i, part] of parts.entries()) {
            expect(Math.abs(had[i]! - part * 300)).toBeLessThanOrEqual(2 * list[i]!.vcpus + 2)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
