/** Sweeps of this server: begun, followed point by point, reported, and two of them side by side. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type Experiment } from '../api.ts'
import { ExperimentComparisonPart } from '../experiments/comparison.tsx'
import { LivePlot } from '../experiments/live-plot.tsx'
import { Choice, Field, Form } from '../parts/form.tsx'
import { attempt } from '../state/world.ts'

const MODELS = ['sriov', 'direct', 'vmdq', 'paravirtual', 'emulated'] as const
const POLL = 500

export function ExperimentsView() {
  const list = useSignal<readonly Experiment[]>([])
  const chosen = useSignal<string | undefined>(undefined)
  useEffect(() => {
    const read = async (): Promise<void> => {
      const answer = await api.experiments().catch(() => undefined)
      if (answer !== undefined) list.value = answer.items
    }
    void read()
    const timer = setInterval(read, POLL)
    return () => clearInterval(timer)
  }, [])
  const shown = list.value.find(({ id }) => id === chosen.value) ?? list.value.at(-1)
  const done = list.value.filter(({ state }) => state === 'done')
  return (
    <div class="page">
      <h2>Experiments</h2>
      <Form
        label="New experiment"
        action="Run"
        act={async ({ model, most }) => {
          const made = await attempt(() =>
            api.createExperiment({
              body: {
                title: `Throughput of ${model} by virtual machines`,
                configuration: { workload: { kind: 'network', model } },
                axes: [{ field: '/workload/vms', values: doubling(Number(most)) }],
              } as never,
            }),
          )
          if (made !== undefined) chosen.value = made.id
        }}
      >
        <Choice name="model" label="I/O model" of={MODELS} />
        <Field name="most" label="virtual machines up to" type="number" min={1} max={64} value={8} />
      </Form>
      <ul class="cards">
        {list.value.map(each => (
          <li key={each.id} class={each.id === shown?.id ? 'chosen' : ''}>
            <button
              type="button"
              class="quiet"
              aria-pressed={each.id === shown?.id}
              onClick={() => (chosen.value = each.id)}
            >
              {each.title}
            </button>{' '}
            {each.state}
            <progress
              max={each.points}
              value={each.done}
              aria-label={`${each.done} of ${each.points} points`}
            />
          </li>
        ))}
      </ul>
      {shown && <LivePlot key={shown.id} experiment={shown} />}
      {done.length > 1 && <ExperimentComparisonPart of={done} />}
      {shown?.state === 'done' && <Report key={`report of ${shown.id}`} experiment={shown} />}
    </div>
  )
}

/** The report as the server wrote it: a page that stands alone, with nothing to run in it. */
function Report({ experiment: { id, title } }: { readonly experiment: Experiment }) {
  const page = useSignal<string | undefined>(undefined)
  useEffect(() => {
    void attempt(() => api.experimentReport({ experiment: id })).then(text => {
      page.value = text
    })
  }, [id])
  if (page.value === undefined) return null
  return (
    <section>
      <h3>Report</h3>
      <iframe class="report" sandbox="" title={`Report of ${title}`} srcdoc={page.value} />
    </section>
  )
}

/** 1, 2, 4, … up to a number, which is the last. */
function doubling(most: number): readonly number[] {
  const values: number[] = []
  for (let value = 1; value < most; value *= 2) values.push(value)
  return [...values, most]
}
