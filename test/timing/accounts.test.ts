import { describe, expect, it } from 'vitest'
import type { Result } from '../../src/timing/index.ts'
import { dma, mapping, network, storage } from './run.ts'

const strict = { iommu: { mode: 'strict' } } as const
const examples: Record<string, () => Result> = {
  'random reads': () => dma({ windowBytes: 2 ** 24 }, strict),
  'maps of 16 cores': () => mapping({ cores: 16 }, strict),
  // Its model works at a batch for long: at the ends of a short run one would count for much.
  'a stream to an emulated adapter': () => network({ model: 'emulated' }, { duration: 2e7 }),
  'streams to paravirtual adapters': () =>
    network({ model: 'paravirtual', vms: 12 }, { machine: { cores: 8, threadsPerCore: 2 } }),
  'a polled back end': () => network({ model: 'paravirtual', backend: 'sidecore', direction: 'both' }),
  'streams from virtual functions': () => network({ model: 'sriov', vms: 4, direction: 'transmit' }, strict),
  'messages through VMDq': () => network({ model: 'vmdq', pattern: 'requestResponse', messageBytes: 256 }),
  'a host that maps each buffer': () => network({ vcpus: 4, flows: 4 }, { ...strict, adapter: { gbps: 40 } }),
  'blocks read by polling': () => storage({ model: 'sriov', depth: 8, completion: 'poll' }),
  'blocks written through a back end': () =>
    storage({ model: 'paravirtual', operation: 'write', jobs: 2, depth: 16 }, strict),
}

describe.each(Object.entries(examples))('%s', (_, run) => {
  const result = run()
  const sum = (parts: readonly { readonly nanoseconds: number }[]): number =>
    parts.reduce((total, { nanoseconds }) => total + nanoseconds, 0)

  it('give every nanosecond of an operation to one part', () => {
    const { breakdown, processorBreakdown, metrics } = result
    expect(sum(breakdown.parts)).toBeCloseTo(breakdown.total, 3)
    // Begin and end of an operation are measured by themselves. A mapping thread is measured by what it was busy with.
    expect(Math.abs(breakdown.total / metrics.latencyMean! - 1)).toBeLessThan(
      metrics.maps === 1 ? 0.02 : 1e-9,
    )
    expect(sum(processorBreakdown.parts)).toBeCloseTo(processorBreakdown.total, 3)
  })

  it('give every busy nanosecond of a processor to one activity', () => {
    const { processorBreakdown, metrics } = result
    const charged = processorBreakdown.total * metrics.operationsPerSecond!
    const busy = metrics.processors! * 1e9
    // Work that was under way when the measurement began or ended is told apart by nobody.
    expect(Math.abs(charged - busy)).toBeLessThanOrEqual(0.02 * busy + 1e6)
  })

  it('use no resource for longer than there is time', () => {
    for (const { name, utilisation } of result.resources) {
      expect(utilisation, name).toBeGreaterThanOrEqual(0)
      expect(utilisation, name).toBeLessThanOrEqual(1)
    }
  })

  it("obey Little's law at every resource: those inside are arrivals by their time inside", () => {
    for (const { name, occupancy, arrivals, wait, service, kind } of result.resources) {
      if (kind === 'pool' || arrivals < 500) continue
      const rate = arrivals / result.duration
      // Who was there when the measurement began or ended is counted on one side only.
      expect(Math.abs(occupancy - rate * (wait + service)), name).toBeLessThan(0.05 * occupancy + 0.05)
    }
  })

  it('happen in the same way every time', () => {
    const again = run()
    expect(again.traceHash).toBe(result.traceHash)
    expect(again).toEqual(result)
  })
})
