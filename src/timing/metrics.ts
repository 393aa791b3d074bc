/** Metrics of a simulation that has run. */
import type { Histogram } from './resources/histogram.ts'
import type { Metrics } from './result.ts'
import type { Simulation } from './simulation.ts'

const SECOND = 1e9
const PAGE = 4096

export function metricsOf(simulation: Simulation): Metrics {
  const { journeys, operations, operationCount } = simulation
  const seconds = simulation.configuration.duration / SECOND
  const latencies = journeys.latencies.count > 0 ? journeys.latencies : operations
  return {
    operationsPerSecond: operationCount / seconds,
    throughput: (journeys.bytes * 8) / SECOND / seconds,
    ...latencyMetrics(latencies),
    ...processorMetrics(simulation),
    ...countMetrics(simulation),
    ...remappingMetrics(simulation),
    ...mappingMetrics(simulation),
  }
}

const latencyMetrics = (latencies: Histogram): Metrics => ({
  latencyMean: latencies.mean,
  latencyP50: latencies.quantile(0.5),
  latencyP99: latencies.quantile(0.99),
  latencyP999: latencies.quantile(0.999),
})

function processorMetrics({ processors, activities, configuration, operationCount }: Simulation): Metrics {
  const { duration } = configuration
  const busy = processors.reduce((sum, processor) => sum + processor.busy, 0)
  const guest = activities.list.reduce(
    (sum, { side }, activity) => sum + (side === 'guest' ? activities.timeOf(activity) : 0),
    0,
  )
  const all = activities.list.reduce((sum, _, activity) => sum + activities.timeOf(activity), 0)
  const guestShare = all === 0 ? 0 : guest / all
  return {
    processors: busy / duration,
    processorShare: (100 * busy) / duration / processors.length,
    guestProcessors: (busy / duration) * guestShare,
    hostProcessors: (busy / duration) * (1 - guestShare),
    ...(operationCount > 0 ? { processorTime: all / operationCount } : {}),
  }
}

function countMetrics({ activities, counts, configuration, operationCount }: Simulation): Metrics {
  const seconds = configuration.duration / SECOND
  const exits = activities.list.reduce((sum, { exit }, i) => sum + (exit ? activities.countOf(i) : 0), 0)
  const rate = (name: string): number => (counts.get(name)?.count ?? 0) / seconds
  const each = (name: string): number => (counts.get(name)?.count ?? 0) / Math.max(1, operationCount)
  const happened = (activity: string): number =>
    activities.list.reduce((sum, { name }, i) => sum + (name === activity ? activities.countOf(i) : 0), 0)
  const drops = counts.get('drops')?.count ?? 0
  const came = drops + operationCount
  return {
    drops: drops / seconds,
    dropShare: came === 0 ? 0 : (100 * drops) / came,
    exits: exits / seconds,
    interrupts: rate('interrupts'),
    injections: happened('interrupt injected') / seconds,
    copies: each('copies'),
    transfers: each('transfers'),
    doorbells: each('doorbells') + happened('doorbell') / Math.max(1, operationCount),
  }
}

function remappingMetrics({ remapping, journeys, operationCount }: Simulation): Metrics {
  if (remapping === undefined) return {}
  const operations = Math.max(1, operationCount)
  const pages = Math.max(1, journeys.bytes / PAGE)
  const { misses, reads } = remapping
  return {
    iotlbMisses: misses / operations,
    iotlbMissesPer4KiB: misses / pages,
    tableReads: reads / operations,
    tableReadsPer4KiB: reads / pages,
    pagingMissesLevel2Per4KiB: remapping.walksOf(2) / pages,
    pagingMissesLevel3Per4KiB: remapping.walksOf(3) / pages,
    pagingMissesLevel4Per4KiB: remapping.walksOf(4) / pages,
  }
}

function mappingMetrics({ mapping, operationCount }: Simulation): Metrics {
  const { address, map, unmap, invalidation } = mapping
  if (map.count === 0) return {}
  const operations = Math.max(1, operationCount)
  return {
    maps: map.count / operations,
    invalidations: invalidation.count / operations,
    invalidationTime: invalidation.mean,
    addressTime: address.mean,
    mapTime: map.mean,
    unmapTime: unmap.mean,
  }
}
