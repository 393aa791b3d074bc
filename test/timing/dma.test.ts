import { describe, expect, it } from 'vitest'
import { costsOf, parseConfiguration } from '../../src/timing/index.ts'
import { LinkTiming } from '../../src/timing/paths/link.ts'
import { dma } from './run.ts'

const KIB = 1024
const MIB = 1024 * KIB
const ENTRIES = 64
const engine = { deviceReadIssue: 15, deviceReadTags: 32, iotlbEntries: ENTRIES, pageWalkers: 6 }
const window = (windowBytes: number, pageSize: '4KiB' | '2MiB', more = {}) =>
  dma(
    { windowBytes, bytes: 64, ...more },
    { iommu: { mode: 'strict', pageSize }, machine: { overrides: engine } },
  )
const gbps = (result: ReturnType<typeof dma>): number => result.metrics.throughput!

describe('random reads of 64 bytes through the remapping unit', () => {
  it('are as fast as without it while the window fits the IOTLB', () => {
    const off = dma({ windowBytes: 128 * KIB, bytes: 64 }, { machine: { overrides: engine } })
    expect(gbps(window(ENTRIES * 4 * KIB, '4KiB')) / gbps(off)).toBeGreaterThan(0.98)
  })

  it('fall off a knee behind the reach of the IOTLB, and end on a plateau that the page walkers set', () => {
    const [knee, behind, far, further] = [256 * KIB, 768 * KIB, 16 * MIB, 64 * MIB].map(size =>
      window(size, '4KiB'),
    )
    expect(gbps(behind!)).toBeLessThan(0.7 * gbps(knee!))
    expect(gbps(far!)).toBeLessThan(0.6 * gbps(behind!) + 0.4 * gbps(knee!))
    expect(gbps(further!) / gbps(far!)).toBeGreaterThan(0.85)
    expect(knee!.metrics.iotlbMisses).toBe(0)
    expect(behind!.metrics.iotlbMisses).toBeCloseTo(1 - (ENTRIES * 4) / 768, 1)
    const walkers = further!.resources.find(({ name }) => name === 'page walkers')!
    expect(walkers.utilisation).toBeGreaterThan(0.95)
  })

  it('show no knee with superpages', () => {
    const [near, far] = [128 * KIB, 64 * MIB].map(size => window(size, '2MiB'))
    expect(gbps(far!) / gbps(near!)).toBeGreaterThan(0.98)
  })

  it('take longer by a walk each, one at a time', () => {
    const latency = (size: number): number =>
      window(size, '4KiB', { measure: 'latency' }).metrics.latencyMean!
    const { walkStart, tableRead } = costsOf(parseConfiguration({ workload: { kind: 'dma' } }))
    const walk = walkStart + tableRead
    const extra = (latency(4 * MIB) - latency(64 * KIB)) / (1 - ENTRIES / 1024)
    expect(extra / walk).toBeGreaterThan(0.95)
    // Entries that point to page tables are read too, now and then.
    expect(extra / walk).toBeLessThan(1.3)
  })
})

describe('transfers by their size', () => {
  const link = parseConfiguration({ workload: { kind: 'dma' } }).link
  const timing = new LinkTiming(link, costsOf(parseConfiguration({ workload: { kind: 'dma' } })))

  it('are cut at Max_Payload_Size, Max_Read_Request_Size and the Read Completion Boundary', () => {
    expect([64, 256, 257, 1024].map(size => timing.writes(size))).toEqual([1, 1, 2, 4])
    expect([64, 512, 513].map(size => timing.requests(size))).toEqual([1, 1, 2])
    expect([64, 256, 320, 512, 1024].map(size => timing.completions(size))).toEqual([1, 1, 2, 2, 4])
  })

  it('follow a saw-tooth: a byte more than a TLP holds costs a TLP more', () => {
    const write = (bytes: number): number => gbps(dma({ operation: 'write', bytes }))
    const [full, more, twice, moreAgain] = [256, 257, 512, 513].map(write)
    expect(more! / full!).toBeLessThan(0.95)
    expect(twice!).toBeGreaterThan(more!)
    expect(moreAgain! / twice!).toBeLessThan(0.98)
  })

  it('never exceed what the link carries', () => {
    for (const bytes of [64, 256, 2048]) {
      for (const operation of ['read', 'write'] as const) {
        const result = dma({ operation, bytes })
        const time = operation === 'read' ? timing.completionTime(bytes) : timing.writeTime(bytes)
        expect(gbps(result)).toBeLessThanOrEqual(((bytes * 8) / time) * 1.005)
      }
    }
  })

  it('are slower from cold memory and from another socket, by what those cost', () => {
    const latency = (more: object): number => dma({ measure: 'latency', ...more }).metrics.latencyMean!
    const { dramExtra, remoteSocketExtra } = costsOf(parseConfiguration({ workload: { kind: 'dma' } }))
    expect(latency({ cache: 'cold' }) - latency({})).toBeGreaterThanOrEqual(dramExtra)
    expect(latency({ remote: true }) - latency({})).toBeCloseTo(remoteSocketExtra, 6)
  })

  it('are partly cold where the window is larger than what the cache keeps for devices', () => {
    const { inputOutputCacheMiB, dramExtra } = costsOf(parseConfiguration({ workload: { kind: 'dma' } }))
    const at = (size: number): number =>
      dma({ windowBytes: size, measure: 'latency' }, { duration: 1e6 }).metrics.latencyMean!
    const cache = Math.round(inputOutputCacheMiB * MIB)
    expect((at(4 * cache) - at(cache)) / dramExtra).toBeCloseTo(0.75, 1)
  })

  it('go at the pace of the slower direction when reads and writes are made in turn', () => {
    const slow = { machine: { overrides: { deviceWriteIssue: 50 } } }
    const [write, both] = (['write', 'readWrite'] as const).map(operation => gbps(dma({ operation }, slow)))
    expect(both! / write!).toBeCloseTo(2, 1)
  })

  it('are ordered: a read behind a write waits until the write is made', () => {
    const one = dma({ operation: 'read', measure: 'latency' }).metrics.latencyMean!
    const both = dma({ operation: 'writeThenRead', measure: 'latency' }).metrics.latencyMean!
    expect(both).toBeGreaterThan(one + 100)
  })
})
