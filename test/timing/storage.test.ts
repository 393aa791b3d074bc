import { describe, expect, it } from 'vitest'
import { costsOf, parseConfiguration } from '../../src/timing/index.ts'
import { storage } from './run.ts'

const models = ['emulated', 'paravirtual', 'sriov', 'native'] as const

describe('one block at a time', () => {
  it('takes longer, the more software stands between', () => {
    const times = models.map(model => storage({ model }).metrics.latencyMean!)
    expect(times.toSorted((a, b) => b - a)).toEqual(times)
  })

  it('takes the medium and little else, natively', () => {
    const { diskLatency } = costsOf(parseConfiguration({ workload: { kind: 'storage' } }))
    const { latencyMean } = storage({ model: 'native' }).metrics
    expect(latencyMean!).toBeGreaterThan(diskLatency)
    expect(latencyMean!).toBeLessThan(diskLatency + 15_000)
  })

  it('is sooner there for one who looks than for one who is interrupted, at the price of a processor', () => {
    const [interrupt, poll] = (['interrupt', 'poll'] as const).map(
      completion => storage({ model: 'sriov', completion }).metrics,
    )
    expect(poll!.latencyMean!).toBeLessThan(interrupt!.latencyMean!)
    expect(poll!.processors!).toBeCloseTo(1, 2)
    expect(interrupt!.processors!).toBeLessThan(0.3)
  })
})

describe('many blocks at a time', () => {
  it('are as many as the medium serves at once, then as many as its transfers allow', () => {
    const { diskLatency, diskGBps, diskChannels } = costsOf(
      parseConfiguration({ workload: { kind: 'storage' } }),
    )
    const at = (jobs: number, depth: number): number =>
      storage({ jobs, depth, vcpus: jobs }).metrics.operationsPerSecond!
    expect(at(1, 8) / (8e9 / diskLatency)).toBeGreaterThan(0.8)
    const most = Math.min((diskChannels * 1e9) / diskLatency, (diskGBps * 1e9) / 4096)
    expect(at(8, 32) / most).toBeCloseTo(1, 1)
  })

  it('wait for a back end that is one thread', () => {
    const { bottleneck } = storage({ model: 'emulated', depth: 32 })
    expect(bottleneck!.resource).toMatch(/^processor/)
  })

  it('are written the other way round: data first, then the medium', () => {
    const { breakdown } = storage({ operation: 'write', depth: 4 })
    expect(breakdown.parts.find(({ activity }) => activity === 'completions')!.nanoseconds).toBeGreaterThan(
      100,
    )
  })
})
