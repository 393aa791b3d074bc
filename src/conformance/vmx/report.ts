/** Runs the conformance table of the processors, and tells it. */
import { type Report, reportOf, tellReport, type Verdict } from '../report.ts'
import type { ProcessorCase } from './case.ts'
import { PROCESSOR_CASES } from './table.ts'

/** Cases whose identifier or source contains a text. */
const chosen = (text: string): readonly ProcessorCase[] =>
  PROCESSOR_CASES.filter(({ id, source }) => id.includes(text) || source.includes(text))

const judge = ({ id, states, run }: ProcessorCase): Verdict => {
  const got = run()
  return got === undefined
    ? { id, checks: 1, failures: 0 }
    : { id, checks: 1, failures: 1, failure: { at: states, expected: 'that', got } }
}

/** Runs every case whose identifier or source contains `text`. */
export const checkProcessors = (text = ''): Report => reportOf(chosen(text).map(judge))

const fileOf = ({ source }: ProcessorCase): string => source.split(' ')[0]!

/** How many cases are derived from each file of the suite, a line per failure, and the sums. */
export function tellProcessors(report: Report, text = ''): string {
  const counts = new Map<string, number>()
  for (const row of chosen(text)) counts.set(fileOf(row), (counts.get(fileOf(row)) ?? 0) + 1)
  const lines = [...counts].map(([file, count]) => `${file}: ${count} cases`)
  return [...lines, tellReport(report)].join('\n')
}

/** What is told of a case that is not run. */
export type ListedCase = Pick<ProcessorCase, 'id' | 'source' | 'states'>

export const listCases = (text = ''): readonly ListedCase[] =>
  chosen(text).map(({ id, source, states }) => ({ id, source, states }))

/** A line per case: identifier, source test, what must hold. */
export const tellCases = (text = ''): string =>
  listCases(text)
    .map(({ id, source, states }) => `${id}  [${source}]  ${states}`)
    .join('\n')
