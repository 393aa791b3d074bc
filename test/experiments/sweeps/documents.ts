/** Documents and results of sweeps for tests. */
import { planSweep, type SweepPlan, type SweepResult, sweepResult } from '../../../src/experiments/index.ts'
import type { Labels } from '../../../src/experiments/sweeps/axes.ts'
import { parseTopology, type Topology } from '../../../src/platform/index.ts'
import type { MetricName, Result } from '../../../src/timing/index.ts'

/** Transfers of 64 bytes, for a moment: a point takes a few milliseconds. */
export const QUICK = {
  warmUp: 1000,
  duration: 20_000,
  workload: { kind: 'dma', operation: 'read', bytes: 64 },
} as const

export const SIZES = { name: 'size', field: '/workload/bytes', values: [64, 256, 1024] } as const
export const ENGINES = {
  name: 'engine',
  cases: { reads: { '/workload/operation': 'read' }, writes: { '/workload/operation': 'write' } },
} as const

export const documentWith = (fields: object = {}): object => ({
  title: 'A sweep',
  configuration: QUICK,
  axes: [ENGINES, SIZES],
  ...fields,
})

const MINIMAL: Topology = parseTopology({ name: 'm', iommu: { kind: 'none' }, hostBridges: [{}] })

export const plan = (fields: object = {}): SweepPlan => planSweep(documentWith(fields), () => MINIMAL)

interface Sketch {
  readonly metrics: Partial<Record<MetricName, number>>
  readonly latency?: Readonly<Record<string, number>>
  readonly bottleneck?: string
}

/** A result with these numbers, for what is said about results. */
export function sketch({ metrics, latency = {}, bottleneck }: Sketch): Result {
  const parts = Object.entries(latency).map(([activity, nanoseconds]) => ({
    resource: '',
    activity,
    nanoseconds,
  }))
  const total = parts.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0)
  const way = (resource: string) => ({ resource, utilisation: 0.98, limit: 1e6, why: `${resource} is slow` })
  return {
    metrics,
    breakdown: { total, parts },
    processorBreakdown: { total: 0, parts: [] },
    resources: [],
    bottleneck: bottleneck === undefined ? null : way(bottleneck),
    next: null,
    counts: {},
    duration: 1000,
    events: 0,
    traceHash: JSON.stringify(metrics),
    notes: [],
  }
}

/** The result of a sweep of two axes, each point made by `make`. */
export const resultOf = (make: (at: Labels) => Sketch, fields: object = {}): SweepResult => {
  const planned = plan({ metrics: ['throughput'], ...fields })
  return sweepResult(
    planned,
    planned.points.map(({ at }) => sketch(make(at))),
  )
}
