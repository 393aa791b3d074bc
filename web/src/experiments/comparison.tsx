/** Two results side by side: a curve for each, their numbers, and what the difference is made of. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type Experiment, type ExperimentComparison } from '../api.ts'
import { Chart, short, time } from '../parts/chart.tsx'
import { MetricChoice } from '../parts/metric-choice.tsx'
import { attempt } from '../state/world.ts'
import { axisOf } from './series.ts'

type Pair = ExperimentComparison['pairs'][number]

export function ExperimentComparisonPart({ of }: { readonly of: readonly Experiment[] }) {
  const a = useSignal(of.at(-2)!.id)
  const b = useSignal(of.at(-1)!.id)
  const comparison = useSignal<ExperimentComparison | undefined>(undefined)
  useEffect(() => {
    comparison.value = undefined
    if (a.value === b.value) return
    void attempt(() =>
      api.compareExperiments({ a: { experiment: a.value }, b: { experiment: b.value } }),
    ).then(answer => {
      comparison.value = answer
    })
  }, [a.value, b.value])
  const titleOf = (id: string): string => of.find(each => each.id === id)?.title ?? id
  return (
    <section aria-label="Side by side">
      <h3>Side by side</h3>
      <div class="form">
        {(
          [
            ['A', a],
            ['B', b],
          ] as const
        ).map(([name, side]) => (
          <label key={name} class="field">
            <span>{name}</span>
            <select
              value={side.value}
              onChange={event => {
                side.value = event.currentTarget.value
              }}
            >
              {of.map(({ id, title }) => (
                <option key={id} value={id}>
                  {title} ({id})
                </option>
              ))}
            </select>
          </label>
        ))}
      </div>
      {a.value === b.value && <p class="hint">Choose two different ones.</p>}
      {comparison.value && <Sides comparison={comparison.value} a={titleOf(a.value)} b={titleOf(b.value)} />}
    </section>
  )
}

function Sides({
  comparison: { pairs },
  a,
  b,
}: {
  readonly comparison: ExperimentComparison
  readonly a: string
  readonly b: string
}) {
  const wanted = useSignal<string | undefined>(undefined)
  const place = useSignal<number | undefined>(undefined)
  const metrics = pairs[0]!.metrics.map(({ metric }) => metric)
  const metric = metrics.find(each => each === wanted.value) ?? metrics[0]!
  const axis = axisOf(pairs.map(({ at }) => at))
  const valueIn = (pair: Pair) => pair.metrics.find(each => each.metric === metric)!
  const unit = valueIn(pairs[0]!).unit
  const chosen = pairs[place.value ?? mostDifferent(pairs, valueIn)]!
  const curve = (side: 'a' | 'b') => pairs.map(pair => ({ x: pair.at[axis] ?? '', y: valueIn(pair)[side] }))
  return (
    <>
      <MetricChoice of={metrics} value={metric} choose={chosen => (wanted.value = chosen)} />
      <Chart
        series={[
          { name: `A: ${a}`, points: curve('a') },
          { name: `B: ${b}`, points: curve('b') },
        ]}
        title={`${metric} of both`}
        xName={axis}
        unit={unit}
      />
      <div class="wide">
        <table>
          <thead>
            <tr>
              {Object.keys(pairs[0]!.at).map(name => (
                <th key={name}>{name}</th>
              ))}
              <th>A</th>
              <th>B</th>
              <th>Change</th>
              <th>In the way</th>
              <th>Why</th>
            </tr>
          </thead>
          <tbody>
            {pairs.map((pair, i) => {
              const value = valueIn(pair)
              return (
                <tr key={i} class={pair === chosen ? 'chosen' : ''}>
                  {Object.entries(pair.at).map(([name, label]) => (
                    <td key={name}>{label}</td>
                  ))}
                  <td>
                    {short(value.a)} {unit}
                  </td>
                  <td>
                    {short(value.b)} {unit}
                  </td>
                  <td>{change(value.a, value.b)}</td>
                  <td>
                    {[...new Set([pair.bottleneck.a ?? 'nothing', pair.bottleneck.b ?? 'nothing'])].join(
                      ' → ',
                    )}
                  </td>
                  <td>
                    <button
                      type="button"
                      class="quiet"
                      aria-pressed={pair === chosen}
                      aria-label={`Why, at ${Object.values(pair.at).join(', ')}`}
                      onClick={() => (place.value = i)}
                    >
                      Why
                    </button>
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      <Why of={chosen} />
    </>
  )
}

const MOST_PARTS = 8

function Why({ of: { at, why, latency } }: { readonly of: Pair }) {
  const place = Object.entries(at)
    .map(([name, label]) => `${name} ${label}`)
    .join(', ')
  const parts = latency.parts.slice(0, MOST_PARTS)
  const most = Math.max(1e-9, ...parts.flatMap(({ a, b }) => [a, b]))
  return (
    <section class="why" aria-label="Why they differ">
      <b>Why, at {place || 'their only point'}</b>
      <ul>
        {why.map(sentence => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
      <ul class="parts" aria-label="What an operation's time is made of">
        {parts.map(({ part, a, b }) => (
          <li key={part}>
            <span>{part}</span>
            <span class="bars" role="img" aria-label={`${time(a)} in A, ${time(b)} in B`}>
              <i class="c0" style={{ width: `${(a / most) * 100}%` }} />
              <i class="c1" style={{ width: `${(b / most) * 100}%` }} />
            </span>
            <span class="hint">
              {time(a)} → {time(b)}
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}

const change = (a: number, b: number): string =>
  a === 0 ? (b === 0 ? 'alike' : 'new') : `${b >= a ? '+' : '−'}${Math.abs(((b - a) / a) * 100).toFixed(1)} %`

function mostDifferent(
  pairs: readonly Pair[],
  valueIn: (pair: Pair) => { readonly a: number; readonly b: number },
): number {
  const distances = pairs.map(pair => {
    const { a, b } = valueIn(pair)
    return a <= 0 || b <= 0 ? 0 : Math.abs(Math.log(b / a))
  })
  return distances.indexOf(Math.max(...distances))
}
