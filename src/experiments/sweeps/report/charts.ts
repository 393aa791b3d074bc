/** Which charts show a sweep: metrics along an axis of numbers, or as bars; and what times are made of. */
import { barChart, lineChart } from '../../../charts/index.ts'
import { METRICS, type MetricName } from '../../../timing/index.ts'
import { type Axis, axisOf } from '../axes.ts'
import type { Plot } from '../document.ts'
import { pointsAt, type SweepPoint } from '../point.ts'
import { headOf, unitFor } from '../quantities.ts'
import type { SweepResult } from '../result.ts'
import { partName, partOf } from '../table.ts'

/** More curves than this cannot be told apart. */
const MOST_CURVES = 20
/** More bars than this cannot be read. */
const MOST_BARS = 30

/** Charts of the metrics, as markup. */
export function metricCharts(sweep: SweepResult): readonly string[] {
  const axes = sweep.document.axes.map(axisOf)
  const plots = sweep.document.plots ?? usualPlots(sweep, axes)
  if (plots.length > 0) return plots.flatMap(plot => curves(sweep, axes, plot))
  return sweep.metrics.flatMap(({ name }) => bars(sweep.points, name))
}

/** Every metric along the axis that has the most numbers. */
function usualPlots({ metrics }: SweepResult, axes: readonly Axis[]): readonly Plot[] {
  const [longest] = axes
    .filter(({ numbers }) => numbers !== null && numbers.length > 2)
    .toSorted((a, b) => b.values.length - a.values.length)
  return longest === undefined
    ? []
    : metrics.map(({ name }) => ({ metric: name, along: longest.name, where: {} }))
}

function curves(
  { points }: SweepResult,
  axes: readonly Axis[],
  { metric, along, scale, where }: Plot,
): readonly string[] {
  const axis = axes.find(({ name }) => name === along)!
  const there = pointsAt(points, where)
  const selected = there.filter(({ result }) => result.metrics[metric] !== undefined)
  if (selected.length === 0) return []
  if (axis.numbers === null) return bars(selected, metric)
  const unit = unitFor(
    METRICS[metric].unit,
    selected.map(({ result }) => result.metrics[metric]!),
  )
  const others = axes.filter(({ name }) => name !== along)
  const varying = others.filter(({ name }) => new Set(there.map(({ at }) => at[name])).size > 1)
  const series = Map.groupBy(selected, ({ at }) => curveName(at, varying))
  if (series.size > MOST_CURVES) return []
  // One curve has one colour in all charts, whichever of the others are there.
  const colours = [...new Set(points.map(({ at }) => curveName(at, others)))]
  const xOf = ({ at }: SweepPoint): number =>
    axis.numbers![axis.values.findIndex(({ label }) => label === at[along])]!
  return [
    lineChart({
      title: titleOf(metric, where),
      x: { label: along, scale: scale ?? (axis.multiplies ? 'log' : 'linear') },
      y: { label: headOf(metric, unit) },
      series: [...series].map(([name, group]) => ({
        name: name || metric,
        colour: colours.indexOf(curveName(group[0]!.at, others)),
        points: group.map(point => [xOf(point), point.result.metrics[metric]! / unit.size] as const),
      })),
    }),
  ]
}

/** Words speak for themselves; a number has the name of its axis before it. */
const curveName = (at: SweepPoint['at'], axes: readonly Axis[]): string =>
  axes.map(({ name, numbers }) => (numbers === null ? at[name]! : `${name} ${at[name]}`)).join(', ')

const titleOf = (metric: MetricName, where: Plot['where']): string => {
  const place = Object.entries(where).map(([name, value]) => `${name} ${[value].flat().join(' or ')}`)
  return place.length === 0 ? metric : `${metric}, ${place.join(', ')}`
}

function bars(points: readonly SweepPoint[], metric: MetricName): readonly string[] {
  const known = points.filter(({ result }) => result.metrics[metric] !== undefined)
  if (known.length === 0 || known.length > MOST_BARS) return []
  const values = known.map(({ result }) => result.metrics[metric]!)
  const unit = unitFor(METRICS[metric].unit, values)
  return [
    barChart({
      title: metric,
      y: { label: headOf(metric, unit) },
      parts: [metric],
      bars: known.map(({ at }, i) => ({ label: barLabel(at), values: [values[i]! / unit.size] })),
    }),
  ]
}

const barLabel = (at: SweepPoint['at']): string => Object.values(at).join(', ') || 'all'

/** Where the time of an operation goes: at every point, or at some along axes that have too many. */
export function breakdownCharts(sweep: SweepResult): readonly string[] {
  const points = thinned(sweep)
  return [
    ...stacked(points, 'breakdown', 'Time of an operation'),
    ...stacked(points, 'processorBreakdown', 'Processor time of an operation'),
  ]
}

/** As many points as bars can be read: of the longest axes, first, middle and last. */
function thinned({ points, axes }: SweepResult): readonly SweepPoint[] {
  let left = points
  for (const { name, values } of axes.toSorted((a, b) => b.values.length - a.values.length)) {
    if (left.length <= MOST_BARS) break
    const kept = [values[0]!, values[values.length >>> 1]!, values.at(-1)!]
    left = left.filter(({ at }) => kept.includes(at[name]!))
  }
  return left.slice(0, MOST_BARS)
}

/** Parts beyond these are drawn as one. */
const MOST_PARTS = 9

function stacked(
  points: readonly SweepPoint[],
  kind: 'breakdown' | 'processorBreakdown',
  title: string,
): readonly string[] {
  const totals = points.map(({ result }) => result[kind].total)
  if (totals.every(total => total === 0)) return []
  const unit = unitFor('ns', totals)
  const names = [...new Set(points.flatMap(({ result }) => result[kind].parts.map(partName)))]
  const share = (name: string): number =>
    points.reduce(
      (sum, { result }) => sum + partOf(result[kind], name) / Math.max(result[kind].total, 1e-9),
      0,
    )
  const bySize = names.toSorted((a, b) => share(b) - share(a))
  const shown = bySize.slice(0, MOST_PARTS)
  const others = bySize.slice(MOST_PARTS)
  return [
    barChart({
      title,
      y: { label: `mean, ${unit.name}` },
      parts: [...shown, ...(others.length > 0 ? [`${others.length} others`] : [])],
      bars: points.map(({ at, result }) => ({
        label: barLabel(at),
        values: [
          ...shown.map(name => partOf(result[kind], name)),
          others.reduce((sum, name) => sum + partOf(result[kind], name), 0),
        ].map(value => value / unit.size),
      })),
    }),
  ]
}
