/** Why two results differ: point by point, what changed and what it is made of. */
import { NorthbridgeError } from '../../core/index.ts'
import { METRICS, type MetricName, type Result } from '../../timing/index.ts'
import { wrap } from '../story.ts'
import { type Labels, tellLabels } from './axes.ts'
import { pointsAt, type SweepPoint } from './point.ts'
import { change, headOf, inUnit, quantity, unitFor } from './quantities.ts'
import type { SweepResult } from './result.ts'
import { partName, partOf, type TableColumn, tellTable } from './table.ts'

/** One side: a result, and which of its points are meant. */
export interface Side {
  readonly name: string
  readonly sweep: SweepResult
  readonly where: Labels
}

export interface MetricChange {
  readonly metric: MetricName
  readonly unit: string
  readonly a: number
  readonly b: number
}

/** A part of a mean time in both; what they differ by adds up to the difference of the totals. */
export interface PartChange {
  readonly part: string
  readonly a: number
  readonly b: number
  readonly difference: number
}

export interface TimeChange {
  readonly a: number
  readonly b: number
  /** Nanoseconds of an operation, the largest difference first. */
  readonly parts: readonly PartChange[]
}

export interface PairComparison {
  /** What both have in common. */
  readonly at: Labels
  readonly metrics: readonly MetricChange[]
  readonly latency: TimeChange
  readonly processorTime: TimeChange
  readonly bottleneck: { readonly a: string | null; readonly b: string | null }
  /** The reasons, sentence by sentence. */
  readonly why: readonly string[]
}

export interface Comparison {
  readonly a: string
  readonly b: string
  readonly pairs: readonly PairComparison[]
}

/**
 * Pairs points that lie at the same place, leaving out the axes that a side was narrowed to one value of. Throws
 * `invalidArgument` if a side selects nothing, or not one of its points has a partner.
 */
export function compareSweeps(a: Side, b: Side): Comparison {
  const [left, right] = [selected(a), selected(b)]
  const shared = namesOf(left).filter(name => namesOf(right).includes(name))
  const keyOf = ({ at }: SweepPoint): string => JSON.stringify(shared.map(name => at[name]))
  for (const [side, points] of [
    [a, left],
    [b, right],
  ] as const)
    unambiguous(side, points, shared, keyOf)
  const partners = new Map(right.map(point => [keyOf(point), point]))
  const pairs = left.flatMap(point => {
    const partner = partners.get(keyOf(point))
    return partner === undefined ? [] : [{ at: pick(point.at, shared), point, partner }]
  })
  if (pairs.length === 0)
    throw new NorthbridgeError(
      'invalidArgument',
      `${a.name} and ${b.name} have no point in common to compare`,
    )
  const metrics = [...a.sweep.metrics, ...b.sweep.metrics].map(({ name }) => name)
  return {
    a: a.name,
    b: b.name,
    pairs: pairs.map(({ at, point, partner }) =>
      compare(at, point.result, partner.result, [...new Set(metrics)]),
    ),
  }
}

/** The points that are meant, without the axes that they were narrowed by. */
function selected({ name, sweep, where }: Side): readonly SweepPoint[] {
  for (const axis of Object.keys(where)) {
    if (sweep.axes.some(each => each.name === axis)) continue
    const known = sweep.axes.map(each => each.name).join(', ') || 'none'
    throw new NorthbridgeError('invalidArgument', `${name} has no axis "${axis}"; it has ${known}`)
  }
  const points = pointsAt(sweep.points, where)
  if (points.length === 0)
    throw new NorthbridgeError('invalidArgument', `${name} has no point at ${tellLabels(where)}`)
  return points.map(({ at, result }) => ({
    result,
    at: pick(
      at,
      Object.keys(at).filter(axis => !(axis in where)),
    ),
  }))
}

function unambiguous(
  { name }: Side,
  points: readonly SweepPoint[],
  shared: readonly string[],
  keyOf: (point: SweepPoint) => string,
): void {
  if (new Set(points.map(keyOf)).size === points.length) return
  const loose = namesOf(points).filter(axis => !shared.includes(axis))
  throw new NorthbridgeError(
    'invalidArgument',
    `${name} has several points for one of the other: say which ${loose.join(' and ')} is meant, as in "${name}#${loose[0]}=${points[0]!.at[loose[0]!]}"`,
  )
}

const namesOf = (points: readonly SweepPoint[]): readonly string[] => Object.keys(points[0]!.at)

const pick = (at: Labels, names: readonly string[]): Labels =>
  Object.fromEntries(names.map(name => [name, at[name]!]))

function compare(at: Labels, a: Result, b: Result, names: readonly MetricName[]): PairComparison {
  const metrics = names.flatMap(metric => {
    const [before, after] = [a.metrics[metric], b.metrics[metric]]
    return before === undefined || after === undefined
      ? []
      : [{ metric, unit: METRICS[metric].unit, a: before, b: after }]
  })
  const pair = {
    at,
    metrics,
    latency: timeChange(a.breakdown, b.breakdown),
    processorTime: timeChange(a.processorBreakdown, b.processorBreakdown),
    bottleneck: { a: a.bottleneck?.resource ?? null, b: b.bottleneck?.resource ?? null },
  }
  return {
    ...pair,
    why: [
      tellTime('An operation takes', pair.latency),
      tellTime('Processors work', pair.processorTime),
      tellWay(a, b),
    ],
  }
}

function timeChange(a: Result['breakdown'], b: Result['breakdown']): TimeChange {
  const names = [...new Set([...a.parts, ...b.parts].map(partName))]
  const parts = names.map(part => {
    const [before, after] = [partOf(a, part), partOf(b, part)]
    return { part, a: before, b: after, difference: after - before }
  })
  const bySize = parts.sort((x, y) => Math.abs(y.difference) - Math.abs(x.difference))
  return { a: a.total, b: b.total, parts: bySize }
}

/** Parts that are told by name; the others are summed. */
const TOLD = 5

function tellTime(what: string, { a, b, parts }: TimeChange): string {
  const head = `${what} ${quantity(a, 'ns')} in A and ${quantity(b, 'ns')} in B`
  const changed = parts.filter(({ difference }) => Math.abs(difference) > 1e-3 * Math.max(a, b))
  if (changed.length === 0) return `${head}: alike.`
  const told = changed.slice(0, TOLD).map(({ part, difference }) => `${signed(difference)} ${part}`)
  const rest = b - a - changed.slice(0, TOLD).reduce((sum, { difference }) => sum + difference, 0)
  return `${head} (${signed(b - a)}): ${[...told, ...(Math.abs(rest) > 0.5 ? [`${signed(rest)} others`] : [])].join(', ')}.`
}

const signed = (nanoseconds: number): string =>
  `${nanoseconds < 0 ? '−' : '+'}${quantity(Math.abs(nanoseconds), 'ns')}`

function tellWay(a: Result, b: Result): string {
  const [before, after] = [a.bottleneck, b.bottleneck]
  if (before === null || after === null) return 'No resource limits one of them.'
  const limit = (limit: number): string => quantity(limit, '1/s')
  return before.resource === after.resource
    ? `${before.resource} is in the way in both; it allows ${limit(before.limit)} in A and ${limit(after.limit)} in B.`
    : `In A ${before.resource} is in the way (${limit(before.limit)}): ${before.why}. In B it is ${after.resource} (${limit(after.limit)}): ${after.why}.`
}

/** A table of all pairs, then the reasons of the one that differs most in the first metric. */
export function tellSweepComparison({ a, b, pairs }: Comparison): string {
  const first = pairs[0]!
  const columns = [
    ...Object.keys(first.at).map(name => ({
      head: name,
      cells: pairs.map(({ at }) => at[name]!),
      isNumber: pairs.every(({ at }) => Number.isFinite(Number(at[name]))),
    })),
    ...first.metrics.map(({ metric }) => changeColumn(metric, pairs)),
    {
      head: 'bottleneck',
      isNumber: false,
      cells: pairs.map(({ bottleneck }) =>
        [...new Set([bottleneck.a ?? '-', bottleneck.b ?? '-'])].join(' → '),
      ),
    },
  ]
  const most = pairs.reduce((best, pair) => (distance(pair) > distance(best) ? pair : best))
  const place = pairs.length === 1 ? 'Why' : `Why, at ${tellLabels(most.at)}, where they differ most`
  return [
    `A: ${a}`,
    `B: ${b}`,
    '',
    tellTable(columns),
    '',
    `${place}:`,
    ...most.why.map(line => wrap(line, '  ')),
  ].join('\n')
}

/** `9.01 → 4.02 (−55 %)` in a unit that suits all. */
function changeColumn(metric: MetricName, pairs: readonly PairComparison[]): TableColumn {
  const changes = pairs.map(({ metrics }) => metrics.find(each => each.metric === metric))
  const unit = unitFor(
    METRICS[metric].unit,
    changes.flatMap(found => (found === undefined ? [] : [found.a, found.b])),
  )
  const cells = changes.map(found =>
    found === undefined
      ? '-'
      : `${inUnit(found.a, unit)} → ${inUnit(found.b, unit)} (${change(found.a, found.b)})`,
  )
  return { head: headOf(metric, unit), isNumber: false, cells }
}

/** How far apart a pair is in its first metric, as a factor. */
function distance({ metrics }: PairComparison): number {
  const [first] = metrics
  if (first === undefined || first.a === first.b) return 0
  return first.a <= 0 || first.b <= 0 ? Number.POSITIVE_INFINITY : Math.abs(Math.log(first.b / first.a))
}
