/** How well a study is predicted that the parameters have never seen: the trust that the model deserves elsewhere. */
import type { CostBook, FreeParameter, ParameterKey } from '../cost-book.ts'
import { fitParameters, middleOf, type Values } from './fit.ts'
import { errorsOf, lossOf, type Predictor, type Series, type SeriesErrors } from './score.ts'

export interface LeftOut {
  readonly study: string
  readonly series: readonly SeriesErrors[]
}

/**
 * Fits again without each study in turn. What it told the fit is forgotten first: its parameters begin in the middle of their
 * ranges, the others where the fit with all studies left them.
 */
export function leaveOneOut(
  series: readonly Series[],
  book: CostBook,
  parameters: readonly FreeParameter[],
  fitted: Values,
  predictor: Predictor,
): readonly LeftOut[] {
  const studies = [...new Set(series.map(({ study }) => study))]
  return studies.map(study => {
    const own = series.filter(each => each.study === study)
    const others = series.filter(each => each.study !== study)
    const taught = taughtBy(own, book.with(fitted), parameters)
    const start = new Map([...fitted].filter(([key]) => !taught.has(key)))
    const forgotten = unfitted(parameters.filter(({ key }) => taught.has(key)))
    const values = new Map([...forgotten, ...fitParameters(others, book, parameters, start)])
    return { study, series: own.map(each => errorsOf(each, book.with(values), predictor)) }
  })
}

function taughtBy(
  series: readonly Series[],
  book: CostBook,
  parameters: readonly FreeParameter[],
): ReadonlySet<ParameterKey> {
  const before = lossOf(series, book)
  const moved = parameters.filter(({ key, range }) =>
    range.some(end => lossOf(series, book.with(new Map([[key, end]]))) !== before),
  )
  return new Set(moved.map(({ key }) => key))
}

/** Nothing fitted at all: every free parameter in the middle of its range. */
export const unfitted = (parameters: readonly FreeParameter[]): Values =>
  new Map(parameters.map(parameter => [parameter.key, middleOf(parameter)]))
