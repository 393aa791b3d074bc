/** The operation that puts the results of two experiments side by side, and says why they differ. */
import { type Static, Type } from '@sinclair/typebox'
import { type Comparison, compareSweeps, type Side, tellSweepComparison } from '../experiments/index.ts'
import type { OperationContext } from './context.ts'
import { now, operation } from './operation.ts'
import { described, Fields, Identifier, Nullable } from './schemas.ts'

const Place = Type.Record(Type.String(), Type.String())

const SideInput = Fields({
  experiment: Identifier,
  where: Type.Optional(described(Place, 'Values of axes that the side is narrowed to')),
})

const TimeView = Fields({
  a: Type.Number(),
  b: Type.Number(),
  parts: Type.Array(
    Fields({ part: Type.String(), a: Type.Number(), b: Type.Number(), difference: Type.Number() }),
    { description: 'What the time is made of, nanoseconds of an operation, the largest difference first' },
  ),
})

const ComparisonView = Fields(
  {
    a: Type.String(),
    b: Type.String(),
    pairs: Type.Array(
      Fields({
        at: described(Place, 'What both have in common'),
        metrics: Type.Array(
          Fields({ metric: Type.String(), unit: Type.String(), a: Type.Number(), b: Type.Number() }),
        ),
        latency: TimeView,
        processorTime: TimeView,
        bottleneck: Fields({ a: Nullable(Type.String()), b: Nullable(Type.String()) }),
        why: Type.Array(Type.String()),
      }),
    ),
  },
  { $id: 'ExperimentComparison' },
)

const side = ({ experiments }: OperationContext, input: Static<typeof SideInput>): Side => ({
  name: input.experiment,
  sweep: experiments.get(input.experiment).result,
  where: input.where ?? {},
})

export const compareExperiments = operation({
  summary:
    'Compares the results of two experiments point by point, and says what the differences are made of',
  asks: true,
  rest: { method: 'POST', path: '/v1/experiments/comparisons' },
  words: 'experiments compare',
  input: Fields({ a: SideInput, b: SideInput }),
  output: ComparisonView,
  errors: ['notFound', 'invalidArgument', 'experimentRunning', 'experimentCancelled'],
  run: (context, { a, b }) =>
    now(() => compareSweeps(side(context, a), side(context, b)) as Static<typeof ComparisonView>),
  tell: output => tellSweepComparison(output as unknown as Comparison),
})
