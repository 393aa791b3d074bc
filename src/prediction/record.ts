/** A published measurement, or the question for one: the same record without `value`. */
import { z } from 'zod'
import { NorthbridgeError } from '../core/index.ts'

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])

export const recordSchema = z.looseObject({
  id: z.string().min(1),
  series: z.string().default('').describe('The curve that the record is a point of'),
  study: z.string().default(''),
  system: z.string().nullish().describe('What was measured, in words'),
  cpu: z.string().nullish(),
  year: z.number().int().nullish(),
  metric: z.string().min(1),
  unit: z.string().default(''),
  value: z.number().optional(),
  x: z.looseObject({ name: z.string(), value: scalar }).nullish().describe('Axis and place on the curve'),
  conditions: z.string().nullish(),
  configuration: z.record(z.string(), scalar).default({}),
  provenance: z.string().optional(),
  fromMemory: z.boolean().optional(),
})

export type FigureRecord = z.output<typeof recordSchema>
export type Measurement = FigureRecord & { readonly value: number }

/** Throws `invalidDocument` with an issue for each broken rule. */
export function parseRecords(document: unknown): readonly FigureRecord[] {
  const parsed = z.array(recordSchema).safeParse(document)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: `/${path.join('/')}`, message }))
  const [first] = issues
  throw new NorthbridgeError('invalidDocument', `the records: ${first!.path} ${first!.message}`, { issues })
}

/** Recalled numbers and formulas are no measurements: they are never scored. */
export const isMeasurement = (record: FigureRecord): record is Measurement =>
  record.value !== undefined &&
  record.fromMemory !== true &&
  record.provenance !== 'memory' &&
  record.provenance !== 'analytic'
