/** Points of a sweep as curves: along its last axis of numbers, one for each place on the others. */
import type { Series } from '../parts/chart.tsx'

export interface Point {
  readonly at: Readonly<Record<string, string>>
  readonly metrics: Readonly<Record<string, number>>
}

/** The axis along which curves go: the last one of numbers, or else the last. */
export function axisOf(places: readonly Readonly<Record<string, string>>[]): string {
  const names = Object.keys(places[0] ?? {})
  const numeric = names.filter(name => places.every(at => Number.isFinite(Number(at[name]))))
  return numeric.at(-1) ?? names.at(-1) ?? ''
}

export function seriesOf(
  points: readonly Point[],
  metric: string,
): { readonly axis: string; readonly series: readonly Series[] } {
  const axis = axisOf(points.map(({ at }) => at))
  const series = new Map<string, { x: string; y: number }[]>()
  for (const { at, metrics } of points) {
    const value = metrics[metric]
    if (value === undefined) continue
    const name = Object.entries(at)
      .filter(([each]) => each !== axis)
      .map(([each, place]) => `${each} ${place}`)
      .join(', ')
    const curve = series.get(name) ?? []
    curve.push({ x: at[axis] ?? '', y: value })
    series.set(name, curve)
  }
  return { axis, series: [...series].map(([name, curve]) => ({ name, points: curve })) }
}
