/** The document of a sweep: a configuration of the timed model, axes along which it changes, what is expected. */
import { z } from 'zod'
import { configurationSchema, METRICS, type MetricName } from '../../timing/index.ts'

/** Simulations of one document. */
export const MOST_POINTS = 10_000

const METRIC_NAMES = Object.keys(METRICS) as MetricName[]

const axisName = z
  .string()
  .regex(
    /^[A-Za-z][A-Za-z0-9 /._-]{0,39}$/,
    'must be a name of 1 to 40 letters, digits, spaces, "/", ".", "_" and "-", beginning with a letter',
  )
const field = z
  .string()
  .regex(/^(?:\/[^/]+)+$/, 'must be a JSON pointer into the configuration, like "/workload/vms"')
const scalar = z.union([z.string().max(256), z.number(), z.boolean()])
const caseName = z
  .string()
  .max(60)
  .regex(/^(?!\d+$).+$/, 'must be a name that is no number: an axis of numbers has a field and values')

const described = { name: axisName.optional().describe('Default: the last part of the field') }
const valuesAxis = z.strictObject({
  ...described,
  field: field.describe('What changes, as a JSON pointer into the configuration'),
  values: z.array(scalar).min(1).max(MOST_POINTS),
})
const rangeAxis = z
  .strictObject({
    ...described,
    field,
    from: z.number(),
    to: z.number(),
    step: z.number().positive().optional().describe('Added from one value to the next'),
    times: z.number().gt(1).optional().describe('Multiplied from one value to the next'),
  })
  .refine(({ step, times }) => (step === undefined) !== (times === undefined), 'needs either step or times')
  .refine(({ from, to }) => from <= to, 'must not begin above its end')
  .refine(({ from, times }) => times === undefined || from > 0, 'must begin above 0 to be multiplied')
const casesAxis = z.strictObject({
  name: axisName,
  cases: z
    .record(caseName, z.record(field, scalar))
    .refine(cases => Object.keys(cases).length > 0, 'must have at least one case')
    .describe('Named settings of several fields at once'),
})
/** Judged as the kind of axis that it is most like, so that the message is about the field that is wrong. */
const axisSchema = z.union([valuesAxis, rangeAxis, casesAxis], {
  error: ({ input }) => {
    const fields = typeof input === 'object' && input !== null ? Object.keys(input) : []
    return `must have field and values, or field, from, to and step or times, or name and cases; it has ${fields.join(', ') || 'none of these'}`
  },
})

const place = z
  .record(axisName, z.union([scalar, z.array(scalar).min(1)]))
  .describe('Points with these values of axes; a list means any of them')

const expectationSchema = z
  .strictObject({
    say: z.string().min(1).max(400).describe('What is expected, as a sentence'),
    where: place.default({}),
    metric: z.enum(METRIC_NAMES).optional(),
    over: z
      .record(axisName, scalar)
      .optional()
      .describe('Judges the ratio to the point that differs in these axes only'),
    atLeast: z.number().optional(),
    atMost: z.number().optional(),
    along: axisName.optional().describe('Judges the course of the metric along this axis'),
    goes: z.enum(['up', 'down', 'level']).optional(),
    within: z.number().min(0).max(1).optional().describe('Share by which a course may stray; default 0.02'),
    bottleneck: z
      .union([z.string(), z.array(z.string()).min(1)])
      .optional()
      .describe('One of these resources'),
  })
  .refine(
    ({ metric, bottleneck }) => (metric === undefined) !== (bottleneck === undefined),
    'is about either a metric or a bottleneck',
  )
  .refine(
    ({ metric, atLeast, atMost, goes }) => metric === undefined || (atLeast ?? atMost ?? goes) !== undefined,
    'says nothing about its metric: atLeast, atMost, or along and goes',
  )
  .refine(
    ({ along, goes }) => (along === undefined) === (goes === undefined),
    'needs along and goes together',
  )

const plotSchema = z.strictObject({
  metric: z.enum(METRIC_NAMES),
  along: axisName,
  scale: z.enum(['linear', 'log']).optional().describe('Of the axis; default: log if it multiplies'),
  where: place.default({}),
})

export const sweepSchema = z.strictObject({
  $schema: z.string().max(512).optional().describe('For editors'),
  title: z.string().min(1).max(200),
  about: z.string().max(8192).default('').describe('What is shown, for people'),
  topology: z
    .union([z.string().min(1).max(512), z.record(z.string(), z.unknown())])
    .optional()
    .describe(
      'The machine: name of a shipped topology, path of a document, or the document itself. Gives sockets, cores, link and IOMMU mode',
    ),
  adapter: z.string().max(64).optional().describe('Model of the adapter in the topology; default: the first'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(1),
  configuration: z
    .record(z.string(), z.unknown(), 'must be an object: what all simulations of a sweep have in common')
    .describe('What all points have in common'),
  axes: z
    .array(axisSchema)
    .max(6)
    .default([])
    .describe('Every combination is a point; the last changes fastest'),
  metrics: z.array(z.enum(METRIC_NAMES)).min(1).optional().describe('Columns; default: by the kind of work'),
  expect: z.array(expectationSchema).max(200).default([]),
  plots: z
    .array(plotSchema)
    .max(24)
    .optional()
    .describe('Default: every metric along the longest axis of numbers'),
})

export type Sweep = z.output<typeof sweepSchema>
export type SweepAxis = Sweep['axes'][number]
export type Expectation = Sweep['expect'][number]
export type Place = z.output<typeof place>
export type Plot = z.output<typeof plotSchema>

/** JSON Schema of sweep documents, for editors: the configuration is completed too. */
export function sweepJsonSchema(): object {
  const schema = z.toJSONSchema(sweepSchema, { io: 'input', target: 'draft-2020-12' })
  const {
    $schema: _dialect,
    required: _all,
    ...configuration
  } = z.toJSONSchema(configurationSchema, {
    io: 'input',
    target: 'draft-2020-12',
  })
  return { ...schema, properties: { ...schema.properties, configuration } }
}
