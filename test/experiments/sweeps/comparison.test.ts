import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareSweeps, type SweepResult, tellSweepComparison } from '../../../src/experiments/index.ts'
import type { Labels } from '../../../src/experiments/sweeps/axes.ts'
import { resultOf, SIZES } from './documents.ts'

/** Reads copy; writes exit as well, and take a third longer. */
const numbers = ({ engine, size }: Labels) => ({
  metrics: { throughput: engine === 'writes' ? 3 : 4 },
  latency: engine === 'writes' ? { copy: 200, exit: 700 } : { copy: 100 + Number(size), wait: 50 },
  bottleneck: engine === 'writes' ? 'backend' : 'wire',
})
const sweep = resultOf(numbers)
const side = (where: Labels, of: SweepResult = sweep, name = 'S') => ({ name, sweep: of, where })

describe('a comparison', () => {
  it('pairs the points of one result by the axes that are left', () => {
    const { pairs } = compareSweeps(side({ engine: 'reads' }), side({ engine: 'writes' }))
    expect(pairs.map(({ at }) => at)).toEqual([{ size: '64' }, { size: '256' }, { size: '1024' }])
    expect(pairs[0]!.metrics).toEqual([{ metric: 'throughput', unit: 'Gb/s', a: 4, b: 3 }])
    expect(pairs[0]!.bottleneck).toEqual({ a: 'wire', b: 'backend' })
  })

  it('pairs points of two results by their common axes', () => {
    const other = resultOf(numbers, { axes: [SIZES] })
    const { pairs } = compareSweeps(side({ engine: 'reads' }), side({}, other))
    expect(pairs.map(({ at }) => at)).toEqual([{ size: '64' }, { size: '256' }, { size: '1024' }])
  })

  it('has parts whose differences sum to the difference of the totals', () => {
    const times = fc.dictionary(fc.constantFrom('copy', 'exit', 'wait', 'walk'), fc.nat(1e6))
    fc.assert(
      fc.property(times, times, (a, b) => {
        const result = resultOf(({ engine }) => ({ metrics: {}, latency: engine === 'reads' ? a : b }))
        for (const { latency } of compareSweeps(
          side({ engine: 'reads' }, result),
          side({ engine: 'writes' }, result),
        ).pairs)
          expect(latency.parts.reduce((sum, part) => sum + part.difference, 0)).toBe(latency.b - latency.a)
      }),
    )
  })

  it('tells the reasons, the largest difference first', () => {
    const { pairs } = compareSweeps(side({ engine: 'reads' }), side({ engine: 'writes' }))
    expect(pairs[0]!.why).toEqual([
      'An operation takes 214 ns in A and 900 ns in B (+686 ns): +700 ns exit, −50 ns wait, +36 ns copy.',
      'Processors work 0 ns in A and 0 ns in B: alike.',
      'In A wire is in the way (1 M/s): wire is slow. In B it is backend (1 M/s): backend is slow.',
    ])
  })

  it('tells what is alike as alike', () => {
    const { pairs } = compareSweeps(side({}), side({}))
    expect(pairs).toHaveLength(6)
    expect(pairs[0]!.why[0]).toBe('An operation takes 214 ns in A and 214 ns in B: alike.')
  })

  it('is told as a table of all pairs and the reasons of the one that differs most', () => {
    const rising = resultOf(({ engine, size }) => ({
      metrics: { throughput: engine === 'reads' ? 1 : Number(size) },
    }))
    const text = tellSweepComparison(
      compareSweeps(
        side({ engine: 'reads' }, rising, 'a.json'),
        side({ engine: 'writes' }, rising, 'b.json'),
      ),
    )
    expect(text).toContain('A: a.json\nB: b.json')
    expect(text).toContain('  64  1 → 64 (+6300 %)')
    expect(text).toContain('Why, at size 1024, where they differ most:')
  })

  it.each([
    [{ motor: 'reads' }, 'S has no axis "motor"; it has engine, size'],
    [{ engine: 'none' }, 'S has no point at engine none'],
    [{}, 'S has several points for one of the other: say which engine is meant, as in "S#engine=reads"'],
  ])('of a side at %j is refused', (where, message) => {
    expect(() => compareSweeps(side(where as Labels), side({ engine: 'writes' }))).toThrow(message)
  })

  it('needs points in common', () => {
    const other = resultOf(numbers, { axes: [{ ...SIZES, values: [65] }] })
    expect(() => compareSweeps(side({ engine: 'reads' }), side({}, other))).toThrow('no point in common')
  })
})
