import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../../src/core/index.ts'
import { isStory, isSweep } from '../../../src/experiments/index.ts'
import { documentWith, ENGINES, plan, SIZES } from './documents.ts'

/** Paths and messages of what is wrong. */
function issues(fields: object): string[] {
  try {
    plan(fields)
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    expect(error.code).toBe('invalidDocument')
    return (error.details.issues ?? []).map(({ path, message }) => `${path} ${message}`)
  }
  return []
}

const labelsOf = (axis: object): string[] =>
  plan({ axes: [axis] }).points.map(({ at }) => Object.values(at).join())

describe('the points of a sweep', () => {
  it('are all combinations of the axes, the last changing fastest', () => {
    expect(plan().points.map(({ at }) => `${at['engine']} ${at['size']}`)).toEqual([
      'reads 64',
      'reads 256',
      'reads 1024',
      'writes 64',
      'writes 256',
      'writes 1024',
    ])
  })

  it('have what the axes set over what they have in common', () => {
    const [, second] = plan().points
    expect(second!.configuration.workload).toMatchObject({ kind: 'dma', operation: 'read', bytes: 256 })
    expect(second!.configuration.duration).toBe(20_000)
  })

  it('are one without axes', () => {
    expect(plan({ axes: [] }).points).toHaveLength(1)
  })

  it('have the seed of the document', () => {
    expect(plan({ seed: 77 }).points.every(({ configuration }) => configuration.seed === 77)).toBe(true)
  })

  it('leave each other alone', () => {
    const { points } = plan()
    expect(new Set(points.map(({ configuration }) => JSON.stringify(configuration))).size).toBe(points.length)
  })

  it('count as many as the values of the axes multiplied', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(lengths, counts => {
        const axes = counts.map((count, i) => ({
          name: `axis ${i}`,
          field: '/workload/bytes',
          values: Array.from({ length: count }, (_, n) => 64 + n),
        }))
        const { points } = plan({ axes })
        expect(points).toHaveLength(counts.reduce((product, count) => product * count, 1))
        expect(new Set(points.map(({ at }) => JSON.stringify(at))).size).toBe(points.length)
      }),
      { numRuns: 20 },
    )
  })
})

describe('a range', () => {
  it('goes by steps up to its end', () => {
    expect(labelsOf({ field: '/workload/bytes', from: 64, to: 100, step: 16 })).toEqual(['64', '80', '96'])
  })

  it('goes by factors up to its end, which belongs to it', () => {
    expect(labelsOf({ field: '/workload/bytes', from: 64, to: 512, times: 2 })).toEqual([
      '64',
      '128',
      '256',
      '512',
    ])
  })

  it('does not drift by adding fractions', () => {
    expect(labelsOf({ field: '/adapter/gbps', from: 0.1, to: 0.7, step: 0.1 })).toEqual([
      '0.1',
      '0.2',
      '0.3',
      '0.4',
      '0.5',
      '0.6',
      '0.7',
    ])
  })

  it.each([
    [[1, 2, 4, 8, 16, 32], true],
    [[64, 1024, 65_536], true],
    [[1, 10, 20, 30], false],
    [[1, 5, 10, 20, 30, 40, 50, 60], false],
    [[0, 1000, 100_000], false],
    [[1, 2, 3], false],
  ])('of %j is plotted on a logarithmic axis: %s', (values, multiplies) => {
    expect(plan({ axes: [{ field: '/warmUp', values }] }).axes[0]!.multiplies).toBe(multiplies)
  })

  it('is named after the last part of its field', () => {
    expect(plan({ axes: [{ field: '/workload/bytes', values: [64] }] }).points[0]!.at).toEqual({
      bytes: '64',
    })
  })
})

describe('a document that is wrong', () => {
  it.each([
    [{ titel: 'x' }, '/titel is not a known field'],
    [{ configuration: { workload: { kind: 'dma', bites: 4 } } }, '/configuration/workload'],
    [{ axes: [{ ...SIZES, values: [0] }] }, '/configuration/workload/bytes'],
    [{ axes: [{ field: '/workload/bytes', from: 64, to: 128 }] }, '/axes/0'],
    [{ axes: [{ field: 'workload.bytes', values: [1] }] }, '/axes/0'],
    [{ axes: [SIZES, SIZES] }, '/axes/1 is called "size" as another axis is: give it a name'],
    [{ axes: [{ ...SIZES, values: [64, 64] }] }, '/axes/0 has "64" twice'],
    [{ axes: [{ name: 'x', cases: { 1: { '/seed': 1 } } }] }, '/axes/0'],
    [{ expect: [{ say: 's', metric: 'throughput' }] }, '/expect/0 says nothing about its metric'],
    [{ expect: [{ say: 's', metric: 'speed', atLeast: 1 }] }, '/expect/0/metric'],
    [
      { expect: [{ say: 's', metric: 'throughput', atLeast: 1, where: { vms: 4 } }] },
      '/expect/0/where/vms there is no axis "vms"; there are engine, size',
    ],
    [
      { expect: [{ say: 's', metric: 'throughput', atLeast: 1, where: { size: [64, 65] } }] },
      '/expect/0/where/size "65" is no value of it: 64, 256, 1024',
    ],
    [{ plots: [{ metric: 'throughput', along: 'bytes' }] }, '/plots/0/along there is no axis "bytes"'],
    [
      { topology: { name: 'm', iommu: { kind: 'none' }, hostBridges: [{}] }, adapter: 'x' },
      '/adapter m has no "x"',
    ],
  ])('%j is told where', (fields, issue) => {
    expect(issues(fields).join('\n')).toContain(issue)
  })

  it('is told at which point a configuration breaks a rule', () => {
    expect(issues({ axes: [ENGINES, { ...SIZES, values: [64, -1] }] }).join()).toContain(
      '(at engine reads, size -1)',
    )
  })

  it('is refused before anything is simulated if it makes too many points', () => {
    const axis = (name: string) => ({ name, field: '/workload/bytes', from: 1, to: 200, step: 1 })
    expect(issues({ axes: [axis('a'), axis('b')] })).toEqual([
      '/axes make 40000 points; at most 10000 are simulated',
    ])
  })

  it('cannot reach what is not its own by a pointer', () => {
    expect(issues({ axes: [{ field: '/__proto__/polluted', values: [1] }] })).not.toEqual([])
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })
})

describe('a document', () => {
  it('is a sweep if it has a configuration, and a story if it has steps', () => {
    const story = { title: 't', topology: 'x', steps: [] }
    expect([documentWith(), story, {}, null].map(isSweep)).toEqual([true, false, false, false])
    expect([documentWith(), story, {}, null].map(isStory)).toEqual([false, true, false, false])
  })
})
