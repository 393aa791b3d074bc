/** A published measurement, or the question for one: the same record without `value`. */
import { z } from 'zod'
import { parseDocument } from '../core/index.ts'

/** Studies leave out what does not apply, or say null. */
const words = z
  .string()
  .nullish()
  .transform(text => text ?? '')

export const recordSchema = z.looseObject({
  id: z.string().min(1),
  series: words.describe('The curve that the record is a point of'),
  study: words,
  system: words.describe('What was measured, in words'),
  cpu: words,
  year: z.number().int().nullish(),
  metric: z.string().min(1),
  unit: words,
  value: z.number().nullish(),
  x: z
    .looseObject({ name: z.string(), value: z.unknown() })
    .nullish()
    .describe('Axis and place on the curve'),
  conditions: words,
  configuration: z
    .record(z.string(), z.unknown())
    .nullish()
    .transform(settings => settings ?? {}),
  provenance: z.string().nullish(),
  fromMemory: z.boolean().nullish(),
})

export type FigureRecord = z.output<typeof recordSchema>
export type Measurement = FigureRecord & { readonly value: number }

/** Throws `invalidDocument` with an issue for each broken rule. */
export const parseRecords = (document: unknown): readonly FigureRecord[] =>
  parseDocument(z.array(recordSchema), document, 'records')

/** Recalled numbers and formulas are no measurements: they are never scored. */
export const isMeasurement = (record: FigureRecord): record is Measurement =>
  typeof record.value === 'number' &&
  record.fromMemory !== true &&
  record.provenance !== 'memory' &&
  record.provenance !== 'analytic'
