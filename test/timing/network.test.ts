import { describe, expect, it } from 'vitest'
import type { Result } from '../../src/timing/index.ts'
import { network } from './run.ts'

const gbps = (result: Result): number => result.metrics.throughput!
/** Payload of full frames at 10 Gb/s: 1,448 of 1,538 bytes. */
const LINE_RATE = (10 * 1448) / 1538

describe('virtual functions', () => {
  const at = (vms: number): Result =>
    network({ model: 'sriov', vms }, { iommu: { mode: 'strict', pageSize: '2MiB' } })

  it('reach line rate, however many machines share it', () => {
    for (const vms of [1, 10, 60]) expect(gbps(at(vms)) / LINE_RATE).toBeGreaterThan(0.99)
  })

  it('cost a little more processor time with each machine, for each has interrupts of its own', () => {
    const [one, thirty, sixty] = [1, 30, 60].map(vms => at(vms).metrics.processors!)
    expect(thirty!).toBeGreaterThan(one!)
    expect((sixty! - one!) / 59, 'of a processor, for each machine').toBeLessThan(0.1)
  })

  it('are translated: with 4-KiB pages the buffers of many machines do not fit the IOTLB', () => {
    const small = network({ model: 'sriov', vms: 8 }, { iommu: { mode: 'strict' } })
    expect(small.metrics.iotlbMisses!).toBeGreaterThan(0.9)
    expect(at(8).metrics.iotlbMisses!).toBeLessThan(0.1)
  })
})

describe('VMDq', () => {
  // A hypervisor of 2008: one processor looks at each packet and copies it.
  const at = (model: 'paravirtual' | 'vmdq', vms: number): Result =>
    network(
      { model, vms, structure: 'onePiece', offload: false },
      { machine: { cores: 64, costs: 'nehalem' } },
    )

  it('takes the sorting from the one processor that received for everybody', () => {
    const without = at('paravirtual', 8)
    const queues = at('vmdq', 8)
    expect(gbps(without)).toBeLessThan(0.5 * LINE_RATE)
    expect(gbps(queues)).toBeGreaterThan(0.95 * LINE_RATE)
    expect(without.bottleneck).toMatchObject({ resource: expect.stringMatching(/^processor/) })
    expect(queues.bottleneck).toMatchObject({ resource: expect.stringMatching(/^wire/) })
  })

  it('helps more, the more machines there are to receive in parallel', () => {
    const [one, two, eight] = [1, 2, 8].map(vms => gbps(at('vmdq', vms)))
    expect(two!).toBeGreaterThanOrEqual(one!)
    expect(eight!).toBeGreaterThan(gbps(at('paravirtual', 8)) * 2)
  })
})

describe('the models side by side', () => {
  const models = ['emulated', 'paravirtual', 'vmdq', 'sriov', 'direct', 'native'] as const

  it('need less processor time for a packet, the less software touches it', () => {
    const cost = models.map(model => network({ model, offload: false }).metrics.processorTime!)
    expect(cost.toSorted((a, b) => b - a)).toEqual(cost)
  })

  it('answer sooner, the fewer hand it on', () => {
    const time = (model: (typeof models)[number]): number =>
      network({ model, pattern: 'requestResponse', messageBytes: 64 }, { adapter: { moderation: 0 } }).metrics
        .latencyP50!
    const [emulated, paravirtual, sriov, native] = (
      ['emulated', 'paravirtual', 'sriov', 'native'] as const
    ).map(time)
    expect([emulated!, paravirtual!, sriov!, native!].toSorted((a, b) => b - a)).toEqual([
      emulated,
      paravirtual,
      sriov,
      native,
    ])
  })

  it('copy once in software what the device cannot deliver itself', () => {
    const copies = models.map(model => network({ model }, { duration: 1e7 }).metrics.copies!)
    for (const [i, count] of copies.entries()) expect(count).toBeCloseTo(i < 3 ? 1 : 0, 1)
  })
})

describe('a host that switches in software', () => {
  const at = (more: object): Result => network({ model: 'paravirtual', ...more }, { adapter: { gbps: 40 } })

  it('is held back by the processor that receives for everybody, however many machines there are', () => {
    const [one, eight] = [1, 8].map(vms => at({ vms }))
    expect(one!.bottleneck).toMatchObject({ resource: expect.stringMatching(/^processor/) })
    expect(gbps(eight!) / gbps(one!)).toBeLessThan(1.1)
    expect(gbps(at({ vms: 8, hostQueues: 4 })) / gbps(eight!)).toBeGreaterThan(2)
  })

  it('switches several packets for the price of one where it joins them first', () => {
    expect(gbps(at({ hostOffload: true })) / gbps(at({}))).toBeGreaterThan(1.5)
  })

  it('hands on what guests send as large as it came, and an emulated adapter cuts it', () => {
    const sent = (model: 'paravirtual' | 'emulated'): number => gbps(at({ model, direction: 'transmit' }))
    expect(sent('paravirtual')).toBeGreaterThan(3 * sent('emulated'))
  })

  it('in one piece has no thread between its processor and the guest', () => {
    const activities = (structure: 'kernel' | 'onePiece'): string[] =>
      at({ structure }).processorBreakdown.parts.map(({ activity }) => activity)
    expect(activities('onePiece')).toContain('sorting')
    for (const missing of ['back end', 'switch']) {
      expect(activities('onePiece')).not.toContain(missing)
      expect(activities('kernel')).toContain(missing)
    }
  })
})

describe('interrupts', () => {
  const lone = { model: 'sriov', pattern: 'datagrams', messageBytes: 64, rate: 200_000 } as const

  it('are fewer and later, the more the adapter holds them back', () => {
    const [none, some, much] = [0, 50_000, 200_000].map(moderation =>
      network(lone, { adapter: { moderation } }),
    )
    for (const [less, more] of [
      [none!, some!],
      [some!, much!],
    ] as const) {
      expect(more.metrics.interrupts!).toBeLessThan(less.metrics.interrupts!)
      expect(more.metrics.latencyMean!).toBeGreaterThan(less.metrics.latencyMean!)
      expect(more.metrics.processors!).toBeLessThan(less.metrics.processors!)
    }
    expect(much!.metrics.interrupts!).toBeLessThanOrEqual(1e9 / 200_000 + 1)
  })

  it('exit a running guest unless they are posted, or the guest takes them itself', () => {
    const busy = { ...lone, rate: 600_000, apicVirtualization: false } as const
    const exits = (more: object): number =>
      network({ ...busy, ...more }, { adapter: { moderation: 2000 } }).counts[
        'host: exit: external interrupt'
      ] ?? 0
    expect(exits({})).toBeGreaterThan(100)
    expect(exits({ posted: true })).toBe(0)
    expect(exits({ exitless: true })).toBe(0)
  })

  it('find a guest running that never halts, and cost it no more than a posted interrupt takes', () => {
    const at = (more: object): Result =>
      network({ ...lone, idle: 'poll', ...more }, { adapter: { moderation: 0 } })
    const [exiting, posted] = [at({}), at({ posted: true })]
    expect(exiting.counts['host: exit: HLT']).toBeUndefined()
    expect(exiting.counts['host: exit: external interrupt']).toBe(exiting.counts['interrupts'])
    expect(posted.metrics.exits).toBe(0)
    expect(posted.metrics.latencyMean!).toBeLessThan(exiting.metrics.latencyMean!)
  })
})

describe('the host’s own mappings', () => {
  const at = (mode: 'off' | 'passThrough' | 'strict' | 'deferred', more = {}, around = {}): Result =>
    network(
      { model: 'native', vcpus: 8, flows: 8, mtu: 4096 },
      {
        adapter: { gbps: 100 },
        link: { lanes: 16 },
        iommu: { mode, ...more },
        warmUp: 3e5,
        duration: 5e5,
        ...around,
      },
    )

  it('cost throughput at 100 Gb/s: strict more than deferred, and pass-through or a page pool nothing', () => {
    const [off, pass, deferred, strict] = (['off', 'passThrough', 'deferred', 'strict'] as const).map(mode =>
      gbps(at(mode)),
    )
    expect(pass! / off!).toBeGreaterThan(0.99)
    expect(deferred!).toBeLessThan(off!)
    expect(strict!).toBeLessThan(deferred!)
    expect(gbps(at('strict', { buffers: 'pool', pageSize: '2MiB' })) / off!).toBeGreaterThan(0.99)
  })

  it('of what is sent are three for a large segment, its headers and two fragments, each with an invalidation', () => {
    const sent = (pattern: 'stream' | 'datagrams'): Result =>
      network(
        { direction: 'transmit', messageBytes: 65_536, pattern },
        { iommu: { mode: 'strict' }, duration: 5e6 },
      )
    const each = ({ counts, metrics }: Result, activity: string): number =>
      counts[`host: ${activity}`]! / (metrics.maps! * counts['operations']!)
    expect(
      each(sent('stream'), 'mapping, the rest') / each(sent('datagrams'), 'mapping, the rest'),
    ).toBeCloseTo(3, 1)
    expect(
      each(sent('stream'), 'invalidation submitted') / each(sent('datagrams'), 'invalidation submitted'),
    ).toBeCloseTo(3, 1)
  })

  it('miss the IOTLB once for every page that was unmapped since it was used', () => {
    const { metrics } = at('strict', {}, { warmUp: 1e6, duration: 1e6 })
    expect(metrics.iotlbMisses!).toBeGreaterThan(1)
    expect(metrics.maps!).toBeCloseTo(1, 1)
  })

  it('keep paging-structure entries if invalidations name leaves only', () => {
    const [all, leaves] = [false, true].map(leafOnly => at('strict', { leafOnly }).metrics)
    expect(leaves!.pagingMissesLevel2Per4KiB!).toBeLessThan(0.2 * all!.pagingMissesLevel2Per4KiB!)
  })
})

describe('datagrams at line rate', () => {
  it('are worked off as fast as the processor can: the driver does not starve the application', () => {
    const offered = (rate: number): number =>
      network({ model: 'native', pattern: 'datagrams', messageBytes: 256, rate }, { duration: 4e6 }).metrics
        .operationsPerSecond!
    expect(offered(4e6) / offered(6e5)).toBeGreaterThan(0.9)
  })

  it('are lost for want of descriptors when they come faster than they are worked off', () => {
    const flood = network({ model: 'native', pattern: 'datagrams', messageBytes: 18 })
    expect(flood.metrics.dropShare!).toBeGreaterThan(50)
    // What came is what a wire of 10 Gb/s carries: 14.88 million smallest frames a second.
    expect((flood.metrics.operationsPerSecond! + flood.metrics.drops!) / 14.88e6).toBeCloseTo(1, 1)
  })
})

describe('many machines on few processors', () => {
  it('share them: nobody gets more than there is, and siblings slow each other', () => {
    const at = (threadsPerCore: 1 | 2): Result =>
      network(
        { model: 'paravirtual', vms: 30, hostQueues: 4 },
        { adapter: { gbps: 100 }, machine: { cores: 32, threadsPerCore } },
      )
    const [single, double] = [at(1), at(2)]
    expect(single.metrics.processors!).toBeLessThanOrEqual(32)
    expect(double.counts['host: sibling thread busy']!).toBeGreaterThan(0)
    expect(single.counts['host: sibling thread busy']).toBeUndefined()
  })
})
