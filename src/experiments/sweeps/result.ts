/** What a sweep found: plain JSON, the same for the same document whoever ran it. */
import { z } from 'zod'
import { digest, parseDocument, VERSION } from '../../core/index.ts'
import { METRICS, type MetricName, type Result } from '../../timing/index.ts'
import type { Sweep } from './document.ts'
import { type Judgement, judgeExpectations } from './expectations.ts'
import type { SweepPlan } from './plan.ts'
import type { SweepPoint } from './point.ts'

export const RESULT_FORMAT = 'northbridge-sweep-1'

export interface MetricColumn {
  readonly name: MetricName
  readonly unit: string
  readonly about: string
}

export interface SweepResult {
  readonly format: typeof RESULT_FORMAT
  readonly northbridge: string
  /** What was run: it can be run again. */
  readonly document: Sweep
  readonly axes: readonly { readonly name: string; readonly values: readonly string[] }[]
  readonly metrics: readonly MetricColumn[]
  /** In the order of the axes, the last changing fastest. */
  readonly points: readonly SweepPoint[]
  readonly expectations: readonly Judgement[]
  readonly passed: boolean
  /** Of everything that happened at every point. */
  readonly traceHash: string
}

/** `results` are those of the plan's points, in their order. */
export function sweepResult(
  { document, axes, metrics, points }: SweepPlan,
  results: readonly Result[],
): SweepResult {
  const found = points.map(({ at }, i) => ({ at, result: results[i]! }))
  const expectations = judgeExpectations(document.expect, axes, found)
  return {
    format: RESULT_FORMAT,
    northbridge: VERSION,
    document,
    axes: axes.map(({ name, values }) => ({ name, values: values.map(({ label }) => label) })),
    metrics: metrics.map(name => ({ name, ...METRICS[name] })),
    points: found,
    expectations,
    passed: expectations.every(({ passed }) => passed),
    traceHash: digest(results.map(({ traceHash }) => traceHash)),
  }
}

const resultSchema = z.looseObject({
  format: z.literal(RESULT_FORMAT, { error: `must be "${RESULT_FORMAT}"` }),
  axes: z.array(z.looseObject({ name: z.string() })),
  metrics: z.array(z.looseObject({ name: z.enum(Object.keys(METRICS) as MetricName[]) })),
  points: z
    .array(
      z.looseObject({
        at: z.record(z.string(), z.string()),
        result: z.looseObject({
          metrics: z.record(z.string(), z.number()),
          breakdown: z.looseObject({ total: z.number(), parts: z.array(z.looseObject({})) }),
          processorBreakdown: z.looseObject({ total: z.number(), parts: z.array(z.looseObject({})) }),
        }),
      }),
    )
    .min(1),
})

/** Whether a document is a result that was written before. */
export const isSweepResult = (document: unknown): boolean =>
  typeof document === 'object' && document !== null && Object.hasOwn(document, 'points')

/** A result that was written before. Throws `invalidDocument`. */
export const parseSweepResult = (document: unknown, what: string): SweepResult =>
  parseDocument(resultSchema, document, what) as unknown as SweepResult
