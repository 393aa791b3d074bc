/** The whole calibration: fit, errors, errors without each study, and without any fit. */
import type { CostBook, FreeParameter } from '../cost-book.ts'
import { predictScenario } from '../predict.ts'
import type { FigureRecord } from '../record.ts'
import { fitParameters, type Values } from './fit.ts'
import { type LeftOut, leaveOneOut, unfitted } from './leave-one-out.ts'
import { errorsOf, quantile, type SeriesErrors, seriesOf } from './score.ts'

export interface Calibration {
  readonly parameters: readonly FreeParameter[]
  readonly values: Values
  /** Of the fit, left out of it, and with every free parameter in the middle of its range; by series in the same order. */
  readonly fitted: readonly SeriesErrors[]
  readonly leftOut: readonly SeriesErrors[]
  readonly unfitted: readonly SeriesErrors[]
}

/** Cost files tell so many digits; the errors are those of the numbers told. */
const DIGITS = 4

export function calibrate(records: readonly FigureRecord[], book: CostBook): Calibration {
  const series = seriesOf(records)
  const parameters = book.free()
  const exact = fitParameters(series, book, parameters)
  const values: Values = new Map([...exact].map(([key, value]) => [key, Number(value.toPrecision(DIGITS))]))
  const errors = (of: Values): SeriesErrors[] =>
    series.map(each => errorsOf(each, book.with(of), predictScenario))
  const without = leaveOneOut(series, book, parameters, values, predictScenario)
  return {
    parameters,
    values,
    fitted: errors(values),
    leftOut: inOrder(
      without,
      series.map(({ name }) => name),
    ),
    unfitted: errors(unfitted(parameters)),
  }
}

function inOrder(leftOut: readonly LeftOut[], names: readonly string[]): SeriesErrors[] {
  const byName = new Map(leftOut.flatMap(({ series }) => series).map(each => [each.name, each]))
  return names.map(name => byName.get(name)!)
}

export interface Summary {
  /** Over the series: the median of their medians, and of their 90th percentiles. */
  readonly median: number
  readonly ninetieth: number
}

export function summaryOf(series: readonly SeriesErrors[]): Summary {
  const told = series.filter(({ errors }) => errors.length > 0)
  return {
    median: quantile(
      told.map(({ errors }) => quantile(errors, 0.5)),
      0.5,
    ),
    ninetieth: quantile(
      told.map(({ errors }) => quantile(errors, 0.9)),
      0.5,
    ),
  }
}
