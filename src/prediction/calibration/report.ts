/** The report of a calibration, as the generated part of docs/calibration.md. */
import { isModelled } from '../prediction.ts'
import { type Calibration, summaryOf } from './calibrate.ts'
import { quantile, type SeriesErrors } from './score.ts'

/** A series that is further off than this in the median is told by name. */
const POOR = 0.15
const EDGE = 0.002

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`
export const row = (...cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
export const table = (head: readonly string[], rows: readonly string[]): string[] => [
  row(...head),
  row(...head.map(() => '---')),
  ...rows,
]
const share = ({ errors }: SeriesErrors, at: number): string =>
  errors.length === 0 ? '–' : percent(quantile(errors, at))

export function reportOf(calibration: Calibration): string {
  const { fitted, leftOut, unfitted } = calibration
  return [
    ...summary(calibration),
    '',
    '### Errors by study',
    '',
    ...byStudy(fitted, leftOut, unfitted),
    '',
    '### Errors by series',
    '',
    'Relative errors of the points of a curve: fitted, and with the study left out of the fit.',
    '',
    ...table(
      ['series', 'points', 'median', '90th percentile', 'left out: median', '90th percentile'],
      fitted.map((each, i) =>
        row(
          `\`${each.name}\``,
          each.errors.length,
          share(each, 0.5),
          share(each, 0.9),
          share(leftOut[i]!, 0.5),
          share(leftOut[i]!, 0.9),
        ),
      ),
    ),
    '',
    '### Series that are not reproduced',
    '',
    ...poor(fitted),
    '',
    '### Free parameters',
    '',
    'At the edge of its range the fit would go further; what is untold no record depends on.',
    '',
    ...parametersOf(calibration),
    '',
  ].join('\n')
}

function summary({ fitted, leftOut, unfitted, parameters }: Calibration): string[] {
  const points = fitted.reduce((sum, { errors }) => sum + errors.length, 0)
  const line = (name: string, series: readonly SeriesErrors[]): string => {
    const { median, ninetieth } = summaryOf(series)
    return row(name, percent(median), percent(ninetieth))
  }
  return [
    `${points} measured points in ${fitted.length} series; ${parameters.length} free parameters.`,
    '',
    ...table(
      ['over the series', 'median of medians', 'median of 90th percentiles'],
      [
        line('fitted', fitted),
        line('each study left out of the fit', leftOut),
        line('nothing fitted: free parameters in the middle of their ranges', unfitted),
      ],
    ),
  ]
}

function byStudy(...all: readonly (readonly SeriesErrors[])[]): string[] {
  const studies = [...new Set(all[0]!.map(({ study }) => study))]
  const median = (series: readonly SeriesErrors[], study: string): string => {
    const own = series.filter(each => each.study === study && each.errors.length > 0)
    return own.length === 0 ? '–' : percent(summaryOf(own).median)
  }
  return table(
    ['study', 'series', 'fitted', 'left out', 'nothing fitted'],
    studies.map(study =>
      row(
        `\`${study}\``,
        all[0]!.filter(each => each.study === study).length,
        ...all.map(series => median(series, study)),
      ),
    ),
  )
}

function poor(fitted: readonly SeriesErrors[]): string[] {
  const lines = fitted
    .filter(({ errors }) => errors.length > 0 && quantile(errors, 0.5) > POOR)
    .map(({ name, errors }) => `- \`${name}\`: ${percent(quantile(errors, 0.5))} in the median`)
  const refused = fitted.flatMap(({ name, points }) =>
    points.flatMap(({ prediction }) =>
      isModelled(prediction) ? [] : [`- \`${name}\`: ${prediction.notModelled}`],
    ),
  )
  return [...lines, ...new Set(refused)]
}

export const shortNumber = (value: number): string => String(Number(value.toPrecision(4)))

function parametersOf({ parameters, values }: Calibration): string[] {
  return table(
    ['file and parameter', 'value', 'unit', 'range', 'source of the range'],
    parameters.map(({ key, value: shipped, unit, range: [low, high], source }) => {
      const told = values.has(key)
      const value = values.get(key) ?? shipped
      const atEdge = value <= low * (1 + EDGE) || value >= high * (1 - EDGE)
      return row(
        `\`${key}\``,
        `${shortNumber(value)}${told ? (atEdge ? ' (edge)' : '') : ' (untold)'}`,
        unit,
        `${shortNumber(low)} to ${shortNumber(high)}`,
        source,
      )
    }),
  )
}
