/** How far predictions are from measurements: by point in log space, by series so that long curves do not outvote short ones. */
import type { CostBook } from '../cost-book.ts'
import { estimateScenario } from '../predict.ts'
import { isModelled, type Prediction } from '../prediction.ts'
import { type FigureRecord, isMeasurement, type Measurement } from '../record.ts'
import { type Scenario, scenarioOf } from '../scenario.ts'

export interface Point {
  readonly record: Measurement
  readonly scenario: Scenario
}

export interface Series {
  readonly name: string
  readonly study: string
  readonly points: readonly Point[]
  readonly weight: number
}

/** A share of the weight for curves that are known to be odd (the README of the records names them). */
const ODD_WEIGHT = 0.2
const isOdd = ({ cpu, configuration, metric }: FigureRecord): boolean =>
  metric === 'dma_bandwidth' && /sandy bridge/i.test(cpu) && /^on/.test(String(configuration['iommu']))

export function seriesOf(records: readonly FigureRecord[]): readonly Series[] {
  const byName = new Map<string, Point[]>()
  for (const record of records) {
    if (!isMeasurement(record)) continue
    const point = { record, scenario: scenarioOf(record) }
    const points = byName.get(record.series)
    if (points === undefined) byName.set(record.series, [point])
    else points.push(point)
  }
  return [...byName].map(([name, points]) => ({
    name,
    study: points[0]!.record.study,
    points,
    weight: isOdd(points[0]!.record) ? ODD_WEIGHT : 1,
  }))
}

/** A prediction that is off by more than this factor is wrong anyway: one such point must not bend the fit of the others. */
const WORST = Math.log(3)

/** Mean over the series, by weight, of the mean distance of their points. */
export function lossOf(series: readonly Series[], book: CostBook): number {
  let sum = 0
  let weights = 0
  for (const { points, weight } of series) {
    let distance = 0
    let modelled = 0
    for (const { record, scenario } of points) {
      const prediction = estimateScenario(scenario, book)
      if (!isModelled(prediction)) continue
      distance += Math.min(WORST, Math.abs(Math.log(prediction.value / record.value)))
      modelled++
    }
    if (modelled === 0) continue
    sum += (weight * distance) / modelled
    weights += weight
  }
  return weights === 0 ? 0 : sum / weights
}

export interface Compared {
  readonly record: Measurement
  readonly prediction: Prediction
}

export interface SeriesErrors {
  readonly name: string
  readonly study: string
  readonly points: readonly Compared[]
  /** Relative errors of the points that are modelled. */
  readonly errors: readonly number[]
}

export type Predictor = (scenario: Scenario, book: CostBook) => Prediction

export function errorsOf(
  { name, study, points }: Series,
  book: CostBook,
  predictor: Predictor,
): SeriesErrors {
  const compared = points.map(({ record, scenario }) => ({ record, prediction: predictor(scenario, book) }))
  const errors = compared.flatMap(({ record, prediction }) =>
    isModelled(prediction) ? [Math.abs(prediction.value / record.value - 1)] : [],
  )
  return { name, study, points: compared, errors }
}

/** By linear interpolation between the sorted values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)]!
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at))
}
