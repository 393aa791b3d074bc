/** The format of worked policy cases (test/data/policy-cases/README.md) and their comparison. */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { NorthbridgeError, parseDocument } from '../../core/index.ts'
import type { Verdict } from '../report.ts'

const record = z.record(z.string(), z.unknown())

const workedCaseSchema = z.object({
  system: z.string(),
  case: z.string(),
  devices: z.array(record),
  policy: record,
  request: record,
  expected: z.looseObject({ decision: z.string() }),
  source: z.string().default(''),
})

export type WorkedCase = z.output<typeof workedCaseSchema>

/** What a system decided, in the vocabulary of its cases. */
export interface Outcome {
  readonly decision: string
  readonly errorClass?: string
  readonly [fact: string]: unknown
}

/** Translates a case into the system's documents and requests, lets the product decide, and tells what it decided. */
export type Judge = (workedCase: WorkedCase) => Outcome

/**
 * The cases of a file, one by one not yet judged by the format. `amongOthers`: the file lies in a folder that was asked
 * for, where other documents lie beside cases. Throws `malformedInput` if the text is no JSON, `invalidDocument` if it
 * is no list.
 */
export function casesIn(
  text: string,
  name: string,
  { amongOthers }: { readonly amongOthers: boolean },
): unknown[] {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw new NorthbridgeError('malformedInput', `${name} is no JSON: ${(error as Error).message}`)
  }
  if (amongOthers && !Array.isArray(document)) return []
  return parseDocument(z.array(z.unknown()), document, name)
}

/** Throws `invalidDocument` naming the field. */
export const parseWorkedCase = (value: unknown, name: string): WorkedCase =>
  parseDocument(workedCaseSchema, value, name)

/** Every key of the expectation must hold; what the outcome says beyond it is not compared. */
export function judgeCase(workedCase: WorkedCase, judge: Judge): Verdict {
  const id = `${workedCase.system}: ${workedCase.case}`
  let outcome: Outcome
  try {
    outcome = outcomeOf(workedCase, judge)
  } catch (error) {
    // A case that cannot be read, or that runs into a defect of ours, fails by itself: the others are still judged.
    const failure = { at: 'case', expected: 'a decision', got: (error as Error).message }
    return { id, checks: 1, failures: 1, failure }
  }
  const keys = Object.keys(workedCase.expected)
  const wrong = keys.filter(key => !holds(key, outcome[key], workedCase.expected[key]))
  const [first] = wrong
  if (first === undefined) return { id, checks: keys.length, failures: 0 }
  const failure = {
    at: first,
    expected: JSON.stringify(workedCase.expected[first]),
    got: JSON.stringify(outcome[first]) ?? 'nothing',
  }
  return { id, checks: keys.length, failures: wrong.length, failure }
}

/** What a system tells people in a sentence of its own: that it tells something is compared, its words are not. */
const SENTENCES = ['warning', 'hint']

/** Facts that are sets. */
const SETS = ['pair', 'selected_product_ids']

function holds(key: string, got: unknown, expected: unknown): boolean {
  if (SETS.includes(key) && Array.isArray(got) && Array.isArray(expected))
    return isDeepStrictEqual([...got].sort(), [...expected].sort())
  if (SENTENCES.includes(key)) return (got !== undefined && got !== false) === Boolean(expected)
  return isDeepStrictEqual(got, expected)
}

/** Ends a case whose shape is none that its judge knows: it fails, and says why. */
export function unknownShape(text: string): never {
  throw new NorthbridgeError('unsupported', text)
}

/** A refused document is an outcome too: adapters say what is wrong with it in the details of the error. */
function outcomeOf(workedCase: WorkedCase, judge: Judge): Outcome {
  try {
    return judge(workedCase)
  } catch (error) {
    if (!(error instanceof NorthbridgeError) || error.details['errorClass'] === undefined) throw error
    return { decision: 'invalid-policy', ...error.details } as Outcome
  }
}
