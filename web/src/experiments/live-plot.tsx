/** The points of an experiment as they are simulated: each is on the curve as soon as it is known. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type Experiment } from '../api.ts'
import { Chart } from '../parts/chart.tsx'
import { MetricChoice } from '../parts/metric-choice.tsx'
import { follow } from '../state/events.ts'
import { type Point, seriesOf } from './series.ts'

export function LivePlot({
  experiment: { id, title, state, done, points: all },
}: {
  readonly experiment: Experiment
}) {
  const points = useSignal<readonly Point[]>([])
  const wanted = useSignal<string | undefined>(undefined)
  useEffect(() => {
    const over = new AbortController()
    void follow(
      `/v1/experiments/${encodeURIComponent(id)}/events`,
      0,
      over.signal,
      came => {
        const fresh = came.flatMap(({ detail }) => ('at' in detail ? [detail as unknown as Point] : []))
        if (fresh.length > 0) points.value = [...points.value, ...fresh]
      },
      () => undefined,
      'once',
    )
    return () => over.abort()
  }, [id])
  // What was simulated before this server was started is told by the result only.
  useEffect(() => {
    if (state !== 'done') return
    void api
      .experimentResult({ experiment: id })
      .then(result => {
        points.value = result.points.map(({ at, result: { metrics } }) => ({ at, metrics }))
      })
      .catch(() => undefined)
  }, [id, state])
  const metrics = Object.keys(points.value[0]?.metrics ?? {})
  const metric = metrics.find(name => name === wanted.value) ?? metrics[0]
  if (metric === undefined) return null
  const { series, axis } = seriesOf(points.value, metric)
  return (
    <section>
      <h3>
        {title} <span class="hint">{state === 'done' ? '' : `${done} of ${all} points`}</span>
      </h3>
      <MetricChoice of={metrics} value={metric} choose={chosen => (wanted.value = chosen)} />
      <Chart series={series} title={`${metric}, point by point`} xName={axis} unit="" />
    </section>
  )
}
