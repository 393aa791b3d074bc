/** Records to predictions. */
import { NorthbridgeError } from '../core/index.ts'
import type { CostBook } from './cost-book.ts'
import { METRICS } from './metrics.ts'
import { notModelled, type Prediction } from './prediction.ts'
import type { FigureRecord } from './record.ts'
import { type Scenario, scenarioOf } from './scenario.ts'
import { SIMULATED } from './simulated/index.ts'

export type Answer = { readonly id: string } & Prediction

/** By the closed form of the mechanism: quick enough to be asked a hundred thousand times in a fit. */
export function estimateScenario(scenario: Scenario, book: CostBook): Prediction {
  const { metric } = scenario.record
  const mechanism = METRICS[metric]
  if (mechanism === undefined) return notModelled(`there is no metric called "${metric}" in the model`)
  return mechanism(scenario, book.costs(scenario.system))
}

/** By simulation where the mechanism is one of queues and caches, else by the closed form. */
export function predictScenario(scenario: Scenario, book: CostBook): Prediction {
  try {
    const simulated = SIMULATED[scenario.record.metric]?.(scenario, book.costs(scenario.system))
    return simulated ?? estimateScenario(scenario, book)
  } catch (error) {
    // A record may describe what cannot be built: five lanes, payloads of three bytes. The others are answered.
    if (error instanceof NorthbridgeError) return notModelled(error.message)
    throw error
  }
}

export const predict = (records: readonly FigureRecord[], book: CostBook): readonly Answer[] =>
  records.map(record => ({ id: record.id, ...predictScenario(scenarioOf(record), book) }))
