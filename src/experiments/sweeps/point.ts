/** One point of a sweep: simulated, and found again by its place. */
import { assert } from '../../core/index.ts'
import { type Configuration, type Result, simulate } from '../../timing/index.ts'
import type { Labels } from './axes.ts'
import type { Place } from './document.ts'

export interface SweepPoint {
  readonly at: Labels
  readonly result: Result
}

/** Rounding of sums of many parts. */
const CLOSE = 1e-6

/** Simulates one point, and holds the answer against what is always true. */
export function runPoint(configuration: Configuration): Result {
  const result = simulate(configuration)
  for (const { total, parts } of [result.breakdown, result.processorBreakdown]) {
    const sum = parts.reduce((before, { nanoseconds }) => before + nanoseconds, 0)
    assert(
      Math.abs(sum - total) <= CLOSE * Math.max(1, total),
      `parts of ${sum} ns make the total of ${total} ns`,
    )
  }
  for (const { name, utilisation } of result.resources)
    assert(utilisation >= 0 && utilisation <= 1 + CLOSE, `${name} is used for ${utilisation} of the time`)
  return result
}

/** Points at a place. */
export const pointsAt = <Point extends { readonly at: Labels }>(
  points: readonly Point[],
  where: Place,
): Point[] =>
  points.filter(({ at }) =>
    Object.entries(where).every(([name, wanted]) =>
      [wanted].flat().some(value => String(value) === at[name]),
    ),
  )
