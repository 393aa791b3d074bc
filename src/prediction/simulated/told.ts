/** What a simulation says, as a prediction. */
import type { Costs, MetricName, Result } from '../../timing/index.ts'
import { type Modelled, part } from '../prediction.ts'
import type { Scenario } from '../scenario.ts'

/** Undefined where the closed form is to answer. */
export type Simulated = (scenario: Scenario, costs: Costs) => Modelled | undefined

export function told({ metrics, breakdown, bottleneck, next }: Result, metric: MetricName): Modelled {
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
