/**
 * Finds values of the free parameters within their ranges: a pattern search in log space, one parameter after the other, with
 * steps that halve when none helps. No gradients and no chance: the same records give the same values everywhere.
 */
import type { CostBook, FreeParameter, ParameterKey } from '../cost-book.ts'
import { lossOf, type Series } from './score.ts'

const FIRST_STEP = 0.25
const LAST_STEP = 0.02
const LEAST_GAIN = 1e-5
/** Loss for a parameter at the edge of its range: what records do not tell stays in the middle. */
const PRIOR = 0.001

/** -1 at the low end of the range, 1 at the high end, in log space. */
function place(value: number, [low, high]: FreeParameter['range']): number {
  if (low === high) return 0
  const logLow = Math.log(Math.max(low, 1e-3))
  const logHigh = Math.log(Math.max(high, 1e-3))
  return (2 * Math.log(Math.max(value, 1e-3)) - logLow - logHigh) / (logHigh - logLow)
}

export const middleOf = ({ range: [low, high] }: FreeParameter): number =>
  low === 0 ? high / 2 : Math.sqrt(low * high)

export type Values = Map<ParameterKey, number>

/** From the middles of the ranges, or from values that are known to be near. Only what records tell gets a value. */
export function fitParameters(
  series: readonly Series[],
  book: CostBook,
  parameters: readonly FreeParameter[],
  start: ReadonlyMap<ParameterKey, number> = new Map(),
): Values {
  const values: Values = new Map(
    parameters.map(parameter => [parameter.key, start.get(parameter.key) ?? middleOf(parameter)]),
  )
  const used = readers(series, book.with(values), parameters)
  const loss = (key: ParameterKey, trial: Values): number => {
    const parameter = parameters.find(({ key: own }) => own === key)!
    return lossOf(used.get(key)!, book.with(trial)) + PRIOR * place(trial.get(key)!, parameter.range) ** 2
  }
  for (let step = FIRST_STEP; step > LAST_STEP; step /= 2) {
    for (let better = true; better; ) {
      better = false
      for (const { key, range } of parameters) {
        if (used.get(key)!.length === 0) continue
        let best = loss(key, values)
        for (const factor of [1 + step, 1 / (1 + step)]) {
          const trial = new Map(values)
          trial.set(key, Math.min(range[1], Math.max(range[0], values.get(key)! * factor)))
          const now = loss(key, trial)
          if (now < best - LEAST_GAIN) {
            best = now
            better = true
            values.set(key, trial.get(key)!)
          }
        }
      }
    }
  }
  // What no record tells stays as its file has it.
  for (const { key } of parameters) if (used.get(key)!.length === 0) values.delete(key)
  return values
}

/** For each parameter the series that depend on it: the others need no evaluation when it moves. */
function readers(
  series: readonly Series[],
  book: CostBook,
  parameters: readonly FreeParameter[],
): ReadonlyMap<ParameterKey, readonly Series[]> {
  const before = new Map(series.map(each => [each, lossOf([each], book)]))
  return new Map(
    parameters.map(({ key, range: [low, high] }) => {
      const moved = [low, high].map(end => book.with(new Map([[key, end]])))
      return [key, series.filter(each => moved.some(other => lossOf([each], other) !== before.get(each)))]
    }),
  )
}
