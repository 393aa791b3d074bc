/** What a document expects of its points, judged. */
import { METRICS, type MetricName } from '../../timing/index.ts'
import { type Axis, type Labels, tellLabels } from './axes.ts'
import type { Expectation } from './document.ts'
import { pointsAt, type SweepPoint } from './point.ts'
import { quantity } from './quantities.ts'

export interface Judgement {
  readonly say: string
  readonly passed: boolean
  /** What was found: the closest call, or what was not as expected. */
  readonly found: string
}

/** How far a course may stray that is said to rise, fall or stay, as a share. */
const STRAY = 0.02

/** Values of a course that are all told. */
const MOST_TOLD = 8

/** Something that was looked at: how it reads, and whether it is as expected. */
interface Finding {
  readonly passed: boolean
  readonly text: string
  /** How close to failing, the smallest being worth telling. */
  readonly margin: number
}

export const judgeExpectations = (
  expectations: readonly Expectation[],
  axes: readonly Axis[],
  points: readonly SweepPoint[],
): readonly Judgement[] => expectations.map(expectation => judge(expectation, axes, points))

function judge(expectation: Expectation, axes: readonly Axis[], points: readonly SweepPoint[]): Judgement {
  const { say, where, along } = expectation
  const selected = pointsAt(points, where)
  const findings =
    along !== undefined
      ? courses(selected, along, axes).map(course => judgeCourse(expectation, course))
      : selected.map(point => judgePoint(expectation, point, points))
  const worst = findings.toSorted((a, b) => Number(a.passed) - Number(b.passed) || a.margin - b.margin)[0]
  return { say, passed: findings.length > 0 && worst!.passed, found: worst?.text ?? 'no point is there' }
}

function judgePoint(expectation: Expectation, point: SweepPoint, points: readonly SweepPoint[]): Finding {
  const { metric, over, atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = expectation
  const here = tellLabels(point.at)
  if (metric === undefined) return judgeBottleneck(expectation, point)
  const value = point.result.metrics[metric]
  if (value === undefined) return missing(metric, here)
  if (over === undefined) {
    const margin = Math.min(value - atLeast, atMost - value)
    return {
      passed: margin >= 0,
      text: `${metric} is ${quantity(value, METRICS[metric].unit)} at ${here}`,
      margin,
    }
  }
  const there = { ...point.at, ...labelsOf(over) }
  const other = pointsAt(points, there)[0]!.result.metrics[metric]
  if (other === undefined) return missing(metric, tellLabels(there))
  const ratio = value / other
  const margin = Math.min(ratio - atLeast, atMost - ratio)
  const text = `${metric} at ${here} is ${ratio.toPrecision(3)} times that at ${tellLabels(there)}`
  return { passed: margin >= 0, text, margin }
}

function judgeBottleneck({ bottleneck }: Expectation, { at, result }: SweepPoint): Finding {
  const found = result.bottleneck?.resource ?? 'nothing'
  const passed = [bottleneck].flat().includes(found)
  return { passed, text: `${found} is in the way at ${tellLabels(at)}`, margin: 0 }
}

/** Points that differ along one axis only, in its order. */
function courses(points: readonly SweepPoint[], along: string, axes: readonly Axis[]): SweepPoint[][] {
  const order = axes.find(({ name }) => name === along)!.values.map(({ label }) => label)
  const byRest = Map.groupBy(points, ({ at }) => JSON.stringify({ ...at, [along]: '' }))
  return [...byRest.values()].map(course =>
    course.toSorted((a, b) => order.indexOf(a.at[along]!) - order.indexOf(b.at[along]!)),
  )
}

function judgeCourse(
  { metric, goes, along, within = STRAY }: Expectation,
  course: readonly SweepPoint[],
): Finding {
  const values = course.map(({ result }) => result.metrics[metric!])
  const gap = values.indexOf(undefined)
  if (gap >= 0) return missing(metric!, tellLabels(course[gap]!.at))
  const known = values as number[]
  const [first, last] = [known[0]!, known.at(-1)!]
  const steps = known
    .slice(1)
    .map((value, i) => (value - known[i]!) / Math.max(Math.abs(known[i]!), Number.MIN_VALUE))
  const margin =
    goes === 'level'
      ? within - Math.max(...known.map(value => Math.abs(value / first - 1)))
      : goes === 'up'
        ? Math.min(last - first, ...steps.map(step => step + within))
        : Math.min(first - last, ...steps.map(step => within - step))
  const passed = goes === 'level' ? margin >= 0 : margin > 0 || (margin === 0 && first !== last)
  const all = known.map(value => quantity(value, METRICS[metric!].unit))
  const told = all.length > MOST_TOLD ? [...all.slice(0, 3), '…', ...all.slice(-3)] : all
  const { [along!]: _along, ...rest } = course[0]!.at
  const place = Object.keys(rest).length === 0 ? '' : ` at ${tellLabels(rest)}`
  return { passed, text: `${metric} along ${along}${place}: ${told.join(', ')}`, margin }
}

const missing = (metric: MetricName, place: string): Finding => ({
  passed: false,
  text: `there is no ${metric} at ${place}`,
  margin: Number.NEGATIVE_INFINITY,
})

const labelsOf = (place: Readonly<Record<string, string | number | boolean>>): Labels =>
  Object.fromEntries(Object.entries(place).map(([name, value]) => [name, String(value)]))
