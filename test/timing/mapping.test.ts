import { describe, expect, it } from 'vitest'
import { machineCosts } from '../../src/timing/index.ts'
import { mapping } from './run.ts'

const rate = (result: ReturnType<typeof mapping>): number => result.metrics.operationsPerSecond!
const strict = (cores: number, more = {}) => mapping({ cores }, { iommu: { mode: 'strict', ...more } })

describe('strict invalidation', () => {
  it('collapses as cores are added: beyond what one queue takes, each gets a share of the same', () => {
    const [one, eight, thirtyTwo, sixtyFour] = [1, 8, 32, 64].map(cores => strict(cores))
    const each = (result: ReturnType<typeof mapping>, cores: number): number => rate(result) / cores
    expect(each(eight!, 8)).toBeLessThan(0.6 * each(one!, 1))
    expect(each(thirtyTwo!, 32)).toBeLessThan(0.3 * each(eight!, 8))
    expect(rate(sixtyFour!)).toBeLessThan(1.05 * rate(thirtyTwo!))
    expect(thirtyTwo!.bottleneck!.resource).toMatch(/invalidation queue/)
  })

  it('makes a wait longer in proportion to those who wait', () => {
    const time = (cores: number): number => strict(cores).metrics.invalidationTime!
    expect(time(64) / time(32)).toBeGreaterThan(1.8)
    expect(time(64) / time(32)).toBeLessThan(2.2)
  })

  it('loses even more where every waiter looks at the lock itself', () => {
    const contended = (cores: number): number =>
      rate(
        mapping(
          { cores },
          { iommu: { mode: 'strict' }, machine: { overrides: { lockWaiterExtra: 15, lockedPoll: 0 } } },
        ),
      )
    expect(contended(64)).toBeLessThan(0.7 * contended(16))
  })

  it('serves many buffers at once if they are unmapped together', () => {
    const one = strict(8)
    const together = strict(8, { batch: 32, contiguous: true })
    expect(rate(together)).toBeGreaterThan(3 * rate(one))
    expect(together.metrics.invalidations).toBeCloseTo(1 / 32, 2)
  })
})

describe('deferred invalidation', () => {
  it('scales with cores, for an invalidation serves as many unmaps as the queue holds', () => {
    const deferred = (cores: number) =>
      mapping({ cores }, { iommu: { mode: 'deferred' }, warmUp: 1e6, duration: 5e5 })
    const [one, sixteen] = [1, 16].map(deferred)
    expect(rate(sixteen!) / rate(one!)).toBeGreaterThan(14)
    expect(sixteen!.metrics.invalidations).toBeCloseTo(1 / 256, 3)
  })

  it('does not, if addresses come from one tree under one lock', () => {
    const tree = (cores: number) => mapping({ cores }, { iommu: { mode: 'deferred', allocator: 'tree' } })
    const [one, thirtyTwo] = [1, 32].map(tree)
    expect(rate(thirtyTwo!) / rate(one!)).toBeLessThan(5)
    expect(thirtyTwo!.bottleneck!.resource).toBe('lock of the address tree')
  })
})

describe('what a map and an unmap take', () => {
  it('grows with the pages: one walk to the table, and an entry for each', () => {
    const { pageTableFurther, clockGHz } = machineCosts('default')
    const time = (pages: number): number =>
      mapping({ cores: 1, pages }, { iommu: { mode: 'strict' } }).metrics.mapTime!
    expect(time(8) - time(1)).toBeCloseTo((7 * pageTableFurther) / clockGHz, 6)
  })

  it('is accounted for to the last nanosecond', () => {
    const { metrics, breakdown } = strict(16)
    const sum = breakdown.parts.reduce((total, { nanoseconds }) => total + nanoseconds, 0)
    expect(sum).toBeCloseTo(breakdown.total, 6)
    expect(breakdown.total / metrics.latencyMean!).toBeCloseTo(1, 1)
  })

  it('is more under a virtual IOMMU, whose every change exits', () => {
    const nested = strict(1, { nested: true })
    expect(rate(nested)).toBeLessThan(0.5 * rate(strict(1)))
    expect(nested.metrics.exits! / rate(nested)).toBeCloseTo(2, 1)
  })

  it('is refused where nothing is mapped', () => {
    expect(() => mapping({ cores: 1 }, { iommu: { mode: 'off' } })).toThrow('/iommu/mode')
    expect(() => mapping({ cores: 65 }, { iommu: { mode: 'strict' } })).toThrow('/workload/cores')
  })
})
