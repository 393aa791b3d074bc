/** Predictions of measurements that no fit has seen, and none ever may: what the model is worth elsewhere. */
import type { CostBook } from '../cost-book.ts'
import { predict } from '../predict.ts'
import { isModelled } from '../prediction.ts'
import { type FigureRecord, isMeasurement, type Measurement } from '../record.ts'
import { row, shortNumber, table } from './report.ts'
import { quantile } from './score.ts'

export interface Checked {
  readonly record: Measurement
  /** Predicted over measured; or why there is no prediction. */
  readonly outcome: { readonly predicted: number; readonly factor: number } | string
}

export function checkIndependent(records: readonly FigureRecord[], book: CostBook): readonly Checked[] {
  const measured = records.filter(isMeasurement)
  return predict(measured, book).map((answer, i) => {
    const record = measured[i]!
    const outcome = isModelled(answer)
      ? { predicted: answer.value, factor: answer.value / record.value }
      : answer.notModelled
    return { record, outcome }
  })
}

/** How far off in either direction, as a factor of 1 or more: half of the answers, and nine in ten, are nearer. */
export function factorsOf(checked: readonly Checked[]): {
  readonly median: number
  readonly ninetieth: number
} {
  const factors = checked.flatMap(({ outcome }) =>
    typeof outcome === 'string' ? [] : [Math.exp(Math.abs(Math.log(outcome.factor)))],
  )
  return { median: quantile(factors, 0.5), ninetieth: quantile(factors, 0.9) }
}

export function independentReport(checked: readonly Checked[]): string {
  const { median, ninetieth } = factorsOf(checked)
  const answered = checked.filter(({ outcome }) => typeof outcome !== 'string').length
  const studies = new Set(checked.map(({ record }) => record.study)).size
  return [
    `${answered} of ${checked.length} measurements of ${studies} studies are answered: half of them within a factor of ` +
      `${median.toFixed(2)}, nine in ten within ${ninetieth.toFixed(2)}.`,
    '',
    ...table(
      ['measurement', 'metric', 'at', 'measured', 'predicted', 'factor'],
      checked.map(({ record: { id, metric, unit, value, x }, outcome }) =>
        row(
          `\`${id}\``,
          `\`${metric}\``,
          String(x?.value ?? ''),
          `${shortNumber(value)} ${unit}`,
          ...(typeof outcome === 'string'
            ? [outcome, '–']
            : [shortNumber(outcome.predicted), outcome.factor.toFixed(2)]),
        ),
      ),
    ),
    '',
  ].join('\n')
}
