/** Where the time went: shares that sum to the whole, the resource that held the work back, and the next one. */
import { Pool } from './resources/pool.ts'
import type { Bottleneck, Breakdown, Part, ResourceReport } from './result.ts'
import type { Simulation } from './simulation.ts'

const SECOND = 1e9

const breakdown = (parts: readonly Part[]): Breakdown => {
  const used = parts
    .filter(({ nanoseconds }) => nanoseconds > 0)
    .sort((a, b) => b.nanoseconds - a.nanoseconds)
  return { total: used.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0), parts: used }
}

/** The mean latency of an item by parts. */
export function latencyBreakdown({ journeys }: Simulation): Breakdown {
  const { count } = journeys.latencies
  return breakdown(
    journeys.parts.map((name, part) => ({
      ...name,
      nanoseconds: count === 0 ? 0 : journeys.sumOf(part) / count,
    })),
  )
}

/** Processor time by activities, divided among operations. */
export function processorBreakdown({ activities }: Simulation, operations: number): Breakdown {
  return breakdown(
    activities.list.map(({ name, side }, activity) => ({
      resource: `${side} processors`,
      activity: name,
      nanoseconds: operations === 0 ? 0 : activities.timeOf(activity) / operations,
    })),
  )
}

export function resourceReports(simulation: Simulation, operations: number): ResourceReport[] {
  const { duration } = simulation.configuration
  return simulation.stations.map(station => {
    const { name, units, arrivals, waited } = station
    const busy = station.busy
    const utilisation = Math.min(1, Math.max(0, busy / (units * duration)))
    return {
      name,
      units,
      utilisation,
      arrivals,
      occupancy: station.occupancy(duration),
      wait: arrivals === 0 ? 0 : waited / arrivals,
      service: arrivals === 0 ? 0 : busy / arrivals,
      limit: station.demand === 0 || operations === 0 ? null : (operations * units * SECOND) / station.demand,
      kind: station instanceof Pool ? 'pool' : 'station',
    }
  })
}

/** From this utilisation on a resource is full: nothing waits in front of one that is not. */
const FULL = 0.95

/**
 * "Utilization Law": at a throughput X and utilisation U a resource allows X / U, whatever happens elsewhere. The least of
 * these is the bottleneck, and the second least is what would hold the work back without it. Where somebody is busy all the
 * time, descriptors and tags are all taken because their holders wait for that: they come after it. Among equals the one
 * comes first that work waits for longest.
 */
export function bottlenecks(reports: readonly ResourceReport[]): [Bottleneck | null, Bottleneck | null] {
  const held = ({ kind, utilisation }: ResourceReport): boolean => kind === 'pool' && utilisation >= FULL
  const someoneFull = reports.some(({ kind, utilisation }) => kind === 'station' && utilisation >= FULL)
  const rank = (report: ResourceReport): number => (someoneFull && held(report) ? 1 : 0)
  const byLimit = reports
    .filter(({ limit }) => limit !== null)
    .sort((a, b) => rank(a) - rank(b) || digits(a.limit!) - digits(b.limit!) || b.wait - a.wait)
    .map(
      (report): Bottleneck => ({
        resource: report.name,
        utilisation: report.utilisation,
        limit: report.limit!,
        why: whyLimiting(report),
      }),
    )
  return [byLimit[0] ?? null, byLimit[1] ?? null]
}

/** Without the last bits, in which two that are busy all the time may differ. */
const digits = (limit: number): number => Number(limit.toPrecision(9))

function whyLimiting({ kind, utilisation, wait }: ResourceReport): string {
  if (utilisation >= FULL) {
    return kind === 'pool' ? 'all of them are taken nearly all the time' : 'busy nearly all the time'
  }
  if (kind === 'pool' && wait > 0) return 'some are left, but not as many as are asked for at once'
  return 'no resource is full: the work waits for latency or for more to be offered'
}
