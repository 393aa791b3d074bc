/** Operations on experiments: sweeps of the timed model that run while the server goes on answering. */
import { type Static, Type } from '@sinclair/typebox'
import {
  planSweep,
  type SweepResult,
  sweepCsv,
  sweepJsonSchema,
  sweepReport,
  tellResult,
} from '../experiments/index.ts'
import type { Topology } from '../platform/index.ts'
import type { OperationContext } from './context.ts'
import { EventView, eventView } from './events.ts'
import { ExperimentJob } from './experiment-job.ts'
import { type Followed, now, operation } from './operation.ts'
import { Count, Document, Facts, Fields, Identifier, Words } from './schemas.ts'
import { checkRoom } from './usage.ts'

const ExperimentView = Fields(
  {
    id: Type.String(),
    title: Type.String(),
    state: Words('running', 'done', 'failed', 'cancelled'),
    points: Count(10_000),
    done: Count(10_000),
    passed: Type.Optional(Type.Boolean({ description: 'Whether all is as the document expects' })),
    traceHash: Type.Optional(Type.String({ description: 'Of everything that happened at every point' })),
    error: Type.Optional(Fields({ code: Type.String(), message: Type.String() })),
  },
  { $id: 'Experiment' },
)

const Place = Type.Record(Type.String(), Type.String(), { description: 'Its value on every axis' })

const SweepResultView = Fields(
  {
    format: Type.String(),
    northbridge: Type.String({ description: 'Version that made it' }),
    document: Facts,
    axes: Type.Array(Fields({ name: Type.String(), values: Type.Array(Type.String()) })),
    metrics: Type.Array(Fields({ name: Type.String(), unit: Type.String(), about: Type.String() })),
    points: Type.Array(
      Fields({
        at: Place,
        result: Type.Object(
          { metrics: Type.Record(Type.String(), Type.Number()), traceHash: Type.String() },
          {
            description:
              'Metrics; breakdown and processorBreakdown, whose parts sum to their total; resources with their utilisation, bottleneck and next; counts; notes',
          },
        ),
      }),
    ),
    expectations: Type.Array(Fields({ say: Type.String(), passed: Type.Boolean(), found: Type.String() })),
    passed: Type.Boolean(),
    traceHash: Type.String(),
  },
  { $id: 'ExperimentResult' },
)

const onExperiment = Fields({ experiment: Identifier })
const path = '/v1/experiments'
const one = `${path}/{experiment}` as const

function view(job: ExperimentJob): Static<typeof ExperimentView> {
  const { id, plan, state, done, error } = job
  return {
    id,
    title: plan.document.title,
    state,
    points: plan.points.length,
    done,
    ...(state === 'done' && { passed: job.result.passed, traceHash: job.result.traceHash }),
    ...(error && { error: { code: error.code, message: error.message } }),
  }
}

const tellView = ({ id, title, state, done, points }: Static<typeof ExperimentView>): string =>
  `Experiment "${id}" (${title}) is ${state}: ${done} of ${points} points.`

const followed = (job: ExperimentJob): Followed => ({
  trace: job.trace,
  ended: () => job.state !== 'running',
})

export const experiments = operation({
  summary: 'Lists the experiments of this server',
  rest: { method: 'GET', path },
  words: 'experiments list',
  input: Fields({}),
  output: Type.Array(ExperimentView),
  errors: [],
  list: {
    key: (item: Static<typeof ExperimentView>) => item.id,
    columns: ['id', 'state', 'done', 'points', 'passed', 'title'],
  },
  run: context => now(() => context.experiments.entries().map(([, job]) => view(job))),
})

export const createExperiment = operation({
  summary: 'Begins to simulate a sweep; its progress may be followed as server-sent events',
  rest: { method: 'POST', path, status: 202, location: `${path}/{id}`, body: 'document' },
  words: 'experiments create',
  input: Fields({ document: Document(sweepJsonSchema(), 'ExperimentDocument') }),
  output: ExperimentView,
  errors: ['invalidDocument', 'notFound', 'topologyConflict', 'limitExceeded'],
  follow: (context, _input, made) => followed(context.experiments.get(made!.id)),
  *run(context, { document }) {
    let topology: Topology | undefined
    const plan = planSweep(document, name => (topology = context.topologies.get(name).topology))
    checkRoom(context, 'runningExperiments')
    const id = freeId(context)
    context.experiments.reserve(id)
    const job = new ExperimentJob(id, plan, topology)
    context.experiments.set(id, job)
    yield* context.launch(job)
    return view(job)
  },
  tell: tellView,
})

function freeId({ experiments: taken }: OperationContext): string {
  for (let n = 1; ; n++) {
    // Padded, so that the list is in the order of the numbers.
    const id = `experiment-${String(n).padStart(4, '0')}`
    if (!taken.has(id)) return id
  }
}

export const experiment = operation({
  summary: 'Shows how far an experiment is',
  rest: { method: 'GET', path: one },
  words: 'experiments show',
  input: onExperiment,
  output: ExperimentView,
  errors: ['notFound'],
  run: (context, { experiment: id }) => now(() => view(context.experiments.get(id))),
  tell: tellView,
})

export const experimentEvents = operation({
  summary: 'Shows the progress of an experiment; over HTTP as server-sent events unless JSON is asked for',
  rest: { method: 'GET', path: `${one}/events` },
  words: 'experiments events',
  input: Fields({
    experiment: Identifier,
    after: Type.Optional(Count(Number.MAX_SAFE_INTEGER)),
  }),
  output: Type.Array(EventView),
  errors: ['notFound'],
  list: {
    key: (item: Static<typeof EventView>) => item.sequence,
    columns: ['sequence', 'message'],
  },
  follow: (context, { experiment: id }) => followed(context.experiments.get(id)),
  run: (context, { experiment: id, after = 0 }) =>
    now(() => context.experiments.get(id).trace.since(after).map(eventView)),
})

export const experimentResult = operation({
  summary: 'Gives the result of an experiment that has ended',
  rest: { method: 'GET', path: `${one}/result` },
  words: 'experiments result',
  input: onExperiment,
  output: SweepResultView,
  errors: ['notFound', 'experimentRunning', 'experimentCancelled'],
  run: (context, { experiment: id }) =>
    now(() => context.experiments.get(id).result as unknown as Static<typeof SweepResultView>),
  tell: output => tellResult(output as unknown as SweepResult),
})

export const experimentReport = operation({
  summary: 'Gives the result of an experiment as a page with charts that stands alone',
  rest: { method: 'GET', path: `${one}/report`, media: 'text/html' },
  words: 'experiments report',
  input: onExperiment,
  output: Type.String(),
  errors: ['notFound', 'experimentRunning', 'experimentCancelled'],
  run: (context, { experiment: id }) => now(() => sweepReport(context.experiments.get(id).result)),
  tell: page => page,
})

export const experimentCsv = operation({
  summary: 'Gives the result of an experiment as CSV, a row a point',
  rest: { method: 'GET', path: `${one}/csv`, media: 'text/csv' },
  words: 'experiments csv',
  input: onExperiment,
  output: Type.String(),
  errors: ['notFound', 'experimentRunning', 'experimentCancelled'],
  run: (context, { experiment: id }) => now(() => sweepCsv(context.experiments.get(id).result)),
  tell: csv => csv,
})

export const cancelExperiment = operation({
  summary: 'Ends an experiment before all is simulated',
  rest: { method: 'POST', path: `${one}/cancel` },
  words: 'experiments cancel',
  frees: true,
  input: onExperiment,
  output: ExperimentView,
  errors: ['notFound', 'alreadyDone'],
  run: (context, { experiment: id }) =>
    now(() => {
      const job = context.experiments.get(id)
      job.cancel()
      return view(job)
    }),
  tell: tellView,
})

export const deleteExperiment = operation({
  summary: 'Forgets an experiment; ends it first, if it runs',
  rest: { method: 'DELETE', path: one, status: 204 },
  words: 'experiments delete',
  input: onExperiment,
  output: Type.Null(),
  errors: ['notFound'],
  run: (context, { experiment: id }) =>
    now(() => {
      const job = context.experiments.get(id)
      if (job.state === 'running') job.cancel()
      context.experiments.delete(id)
      return null
    }),
})
