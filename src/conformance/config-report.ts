/** What a replay of configuration accesses found, as lines of text. */
import { hex } from '../core/index.ts'
import { reasonFor } from './config-reasons.ts'
import type { ConfigVerdict, RegisterDifference } from './config-replay.ts'

export interface ConfigReport {
  /** Reads of functions that exist. */
  readonly passed: number
  readonly failed: number
  readonly captures: readonly ConfigCapture[]
}

export interface ConfigCapture {
  readonly id: string
  readonly reads: number
  readonly equal: number
  readonly emptyReads: number
  readonly emptyEqual: number
  readonly differences: readonly (RegisterDifference & { readonly reason: string })[]
  /** Why nothing could be replayed. */
  readonly skipped?: string
}

export const captureOf = ({ differences, ...verdict }: ConfigVerdict): ConfigCapture => ({
  ...verdict,
  differences: [...differences.values()].map(one => ({ ...one, reason: reasonFor(one) })),
})

export const skippedCapture = (id: string, skipped: string): ConfigCapture => ({
  id,
  reads: 0,
  equal: 0,
  emptyReads: 0,
  emptyEqual: 0,
  differences: [],
  skipped,
})

export function configReportOf(captures: readonly ConfigCapture[]): ConfigReport {
  const passed = captures.reduce((sum, { equal }) => sum + equal, 0)
  const reads = captures.reduce((sum, capture) => sum + capture.reads, 0)
  return { passed, failed: reads - passed, captures }
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? '–' : `${(Math.floor((10_000 * part) / whole) / 100).toFixed(2)} %`

/** A line per register that differs, a line per capture, and the sum. */
export function tellConfigReport({ passed, failed, captures }: ConfigReport): string {
  const lines = captures.flatMap(({ id, reads, equal, emptyReads, emptyEqual, differences, skipped }) => {
    if (skipped !== undefined) return [`${id}: skipped: ${skipped}`]
    return [
      ...differences.map(one => `${id}: ${tellDifference(one)}`),
      `${id}: ${equal} of ${reads} reads equal (${percent(equal, reads)}); ` +
        `empty slots: ${emptyEqual} of ${emptyReads} equal`,
    ]
  })
  return [...lines, `${passed} passed, ${failed} failed`].join('\n')
}

function tellDifference(one: ConfigCapture['differences'][number]): string {
  const { model, function: address, offset, register, reads, recorded, got, reason } = one
  const times = reads === 1 ? 'read' : `${reads} reads, the first`
  return `${model} ${address} ${hex(offset, 2)} (${register}): ${times} ${hex(recorded)}, here ${hex(got)}: ${reason}`
}
