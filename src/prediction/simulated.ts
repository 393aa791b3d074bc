/**
 * Records whose value is the outcome of queues and caches: the configuration that stands for them is simulated. What only adds up
 * steps of software is left to the closed forms, with which simulations agree where both can answer.
 */
import {
  type Configuration,
  type ConfigurationInput,
  type Costs,
  type MetricName,
  parseConfiguration,
  type Result,
  simulate,
} from '../timing/index.ts'
import { streamOf } from './mechanisms/network/throughput.ts'
import { type Modelled, part, valued } from './prediction.ts'
import type { Scenario } from './scenario.ts'

type Simulated = (scenario: Scenario, costs: Costs) => Modelled | undefined

function told({ metrics, breakdown, bottleneck, next }: Result, metric: MetricName): Modelled {
  return {
    value: metrics[metric] ?? 0,
    breakdown: {
      unit: 'ns',
      total: breakdown.total,
      parts: breakdown.parts.map(({ resource, activity, nanoseconds }) =>
        part(resource, activity, nanoseconds),
      ),
      ...(bottleneck !== null && { bottleneck: bottleneck.resource }),
      ...(next !== null && { next: next.resource }),
    },
  }
}

const OPERATIONS = {
  read: 'read',
  write: 'write',
  readWrite: 'readWrite',
  writeRead: 'writeThenRead',
} as const
const DEFAULT_BYTES = 64
const TRANSFER_TIMES = {
  bandwidth: { warmUp: 20_000, duration: 60_000 },
  latency: { warmUp: 10_000, duration: 120_000 },
}

function transfers(scenario: Scenario, measure: 'bandwidth' | 'latency'): Configuration {
  const { link, translated, superpages, direction, windowBytes, coldCache, remoteMemory } = scenario
  return parseConfiguration({
    ...TRANSFER_TIMES[measure],
    link,
    // A static map: nothing is unmapped, whatever the mode.
    iommu: { mode: translated ? 'strict' : 'off', pageSize: superpages ? '2MiB' : '4KiB' },
    workload: {
      kind: 'dma',
      operation: OPERATIONS[direction],
      measure,
      bytes: scenario.messageBytes ?? DEFAULT_BYTES,
      windowBytes,
      cache: coldCache ? 'cold' : 'warm',
      remote: remoteMemory,
    },
  })
}

const bandwidth: Simulated = (scenario, costs) => {
  const modelled = told(simulate(transfers(scenario, 'bandwidth'), costs), 'throughput')
  // Benchmarks that read and write in turn tell the bytes of one direction.
  return scenario.direction === 'readWrite' ? valued(modelled, modelled.value / 2) : modelled
}

const latency: Simulated = (scenario, costs) =>
  told(simulate(transfers(scenario, 'latency'), costs), 'latencyP50')

/** The adapter is the owner's own: no back end stands between it and the one who maps buffers and takes interrupts. */
const ownsAdapter = ({ model, bounced, guestIommu }: Scenario): boolean =>
  (model === 'native' || model === 'sriov' || model === 'direct') && !bounced && guestIommu === 'none'

/** As many packets, by the pace of the closed form, as make it unimportant where the first and the last message end. */
const PACKETS = { warmUp: 2000, duration: 4000 }
const LEAST_TIMES = { warmUp: 500_000, duration: 1_000_000 }
const LARGE_MESSAGE = 65_536
const CONTIGUOUS_BATCH = 64
const MOST_PROCESSORS = 64

function iommuOf(scenario: Scenario): NonNullable<ConfigurationInput['iommu']> {
  const { translated, invalidation, superpages } = scenario
  const allocator = scenario.cachedAddresses ? 'cached' : 'tree'
  const pageSize = superpages ? '2MiB' : '4KiB'
  if (!translated) return { mode: 'off' }
  if (invalidation === 'none') return { mode: 'passThrough' }
  if (invalidation === 'deferred') return { mode: 'deferred', allocator, pageSize }
  if (invalidation === 'optimistic') return { mode: 'strict', allocator, pageSize, buffers: 'pool' }
  const batched = { leafOnly: true, contiguous: true, batch: CONTIGUOUS_BATCH }
  return { mode: 'strict', allocator, pageSize, ...(invalidation === 'batched' && batched) }
}

function stream(scenario: Scenario, costs: Costs): Configuration {
  const { model, vms, cores, link, lineGbps, mtu, receiving, system } = scenario
  const processors = Math.min(MOST_PROCESSORS, Math.max(1, cores))
  const pace = streamOf(scenario, costs).pace.value
  return parseConfiguration({
    warmUp: Math.max(LEAST_TIMES.warmUp, PACKETS.warmUp * pace),
    duration: Math.max(LEAST_TIMES.duration, PACKETS.duration * pace),
    machine: { cores: Math.max(system.cores, processors, 2 * vms) },
    link,
    adapter: {
      gbps: lineGbps,
      moderation: costs.interruptInterval,
      ringSize: scenario.ring,
    },
    iommu: iommuOf(scenario),
    workload: {
      kind: 'network',
      model,
      vms: Math.max(1, vms),
      vcpus: model === 'native' ? processors : 1,
      exitless: scenario.exitless,
      apicVirtualization: costs.completionExits === 0,
      direction: receiving ? 'receive' : 'transmit',
      mtu,
      messageBytes: scenario.messageBytes ?? LARGE_MESSAGE,
      offload: receiving ? scenario.receiveOffload : !scenario.datagrams,
    },
  })
}

const ofStream =
  (metric: MetricName): Simulated =>
  (scenario, costs) =>
    ownsAdapter(scenario) ? told(simulate(stream(scenario, costs), costs), metric) : undefined

const MEGABITS = 1000
const throughput: Simulated = (scenario, costs) => {
  const modelled = ofStream('throughput')(scenario, costs)
  const megabits = scenario.record.unit === 'Mb/s'
  return modelled && valued(modelled, modelled.value * (megabits ? MEGABITS : 1))
}

const MAPPING_WARM_UP = 100_000
/** Of each processor that competes for the queue. */
const MAPPING_TIME = 5000
const LEAST_MAPPING_TIME = 200_000

/** Processors that do nothing but map and unmap, as benchmarks of the DMA interface do. */
const mappingRate: Simulated = (scenario, costs) => {
  const { cores, pages, queuedOnce, invalidation } = scenario
  // Whoever defers does not meet the others: there is nothing to simulate.
  if (invalidation !== 'strict') return undefined
  const configuration = parseConfiguration({
    warmUp: MAPPING_WARM_UP,
    duration: Math.max(LEAST_MAPPING_TIME, cores * MAPPING_TIME),
    machine: { cores },
    iommu: iommuOf(scenario),
    workload: { kind: 'mapping', cores, pages },
  })
  const queue = queuedOnce ? { lockWaiterExtra: costs.queuedWaiterExtra } : {}
  const modelled = told(simulate(configuration, { ...costs, ...queue }), 'operationsPerSecond')
  return valued(modelled, modelled.value / cores)
}

/** By metric; undefined where the closed form is to answer. */
export const SIMULATED: Readonly<Record<string, Simulated>> = {
  dma_bandwidth: bandwidth,
  dma_latency_median: latency,
  dma_read_latency_median: latency,
  map_unmap_rate_per_cpu: mappingRate,
  throughput,
  aggregate_throughput: throughput,
  rx_throughput: throughput,
  tx_throughput: throughput,
  iotlb_misses_per_4KB: ofStream('iotlbMissesPer4KiB'),
  // Level 3 is what studies call the cache nearest to the leaf.
  ptcache_L3_misses_per_4KB: ofStream('pagingMissesLevel2Per4KiB'),
  ptcache_L2_misses_per_4KB: ofStream('pagingMissesLevel3Per4KiB'),
  ptcache_L1_misses_per_4KB: ofStream('pagingMissesLevel4Per4KiB'),
  iommu_memory_reads_per_4KB: ofStream('tableReadsPer4KiB'),
}
