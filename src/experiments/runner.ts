/** Runs an experiment document and tells it as a story. */
import { NorthbridgeError, parseDocument } from '../core/index.ts'
import type { Software } from '../engine/index.ts'
import { type Experiment, type ExperimentStep, experimentSchema } from './document.ts'
import { differences } from './expectation.ts'
import { pointed, Variables } from './variables.ts'

/** What the runner needs of the table of operations. */
export interface ExperimentOperations {
  has(id: string): boolean
  execute(id: string, input: Readonly<Record<string, unknown>>): Software<unknown>
  /** A result in one sentence, if the operation has one. */
  tell(id: string, output: unknown, input: Readonly<Record<string, unknown>>): string | undefined
}

export interface StepReport {
  readonly say?: string
  readonly operation?: string
  readonly input?: Readonly<Record<string, unknown>>
  readonly output?: unknown
  /** The output is an item that was found in a list. */
  readonly found?: true
  readonly refusal?: { readonly code: string; readonly message: string }
  /** What was not as expected; empty if all was. */
  readonly failures: readonly string[]
}

export interface ExperimentReport {
  readonly title: string
  readonly passed: boolean
  readonly steps: readonly StepReport[]
}

/** The experiment in a document. Throws `invalidDocument`. */
export function parseExperiment(
  document: unknown,
  operations: Pick<ExperimentOperations, 'has'>,
): Experiment {
  const experiment = parseDocument(experimentSchema, document, 'experiment')
  const issues = experiment.steps.flatMap(({ do: id }, i) =>
    id === undefined || operations.has(id)
      ? []
      : [{ path: `/steps/${i}/do`, message: `there is no operation "${id}"` }],
  )
  if (issues.length > 0) {
    throw new NorthbridgeError('invalidDocument', `experiment: ${issues[0]!.path}: ${issues[0]!.message}`, {
      issues,
    })
  }
  return experiment
}

/**
 * Runs every step on the platform with this id, up to the first failure, handing each report to `onStep` as it is
 * made. `${platform}` stands for that id: a server has other platforms, too.
 */
export function* runExperiment(
  experiment: Experiment,
  platform: string,
  operations: ExperimentOperations,
  onStep: (report: StepReport, index: number) => void,
): Software<ExperimentReport> {
  const variables = new Variables()
  variables.set('platform', platform)
  const steps: StepReport[] = []
  for (const [index, step] of experiment.steps.entries()) {
    const report = yield* runStep(step, platform, operations, variables)
    steps.push(report)
    onStep(report, index)
    if (report.failures.length > 0) break
  }
  return { title: experiment.title, passed: steps.every(step => step.failures.length === 0), steps }
}

function* runStep(
  step: ExperimentStep,
  platform: string,
  operations: ExperimentOperations,
  variables: Variables,
): Software<StepReport> {
  const say = step.say === undefined ? {} : { say: variables.text(step.say) }
  if (step.do === undefined) return { ...say, failures: [] }
  const input = variables.fill(step.with ?? {}) as Record<string, unknown>
  const about = { ...say, operation: step.do, input }
  let output: unknown
  try {
    output = yield* operations.execute(step.do, { platform, ...input })
  } catch (error) {
    if (!(error instanceof NorthbridgeError)) throw error
    const { code, message } = error
    return { ...about, refusal: { code, message }, failures: refusalFailures(step, error, variables) }
  }
  if (step.refused !== undefined) {
    const result = JSON.stringify(output)
    return { ...about, output, failures: [`it was not refused with ${step.refused.code}, it gave ${result}`] }
  }
  if (step.find !== undefined) {
    const wanted = variables.fill(step.find)
    const items: readonly unknown[] = Array.isArray(output) ? output : []
    output = items.find(item => differences(wanted, item).length === 0)
    if (output === undefined) {
      const failure = `none of ${items.length} items contains ${JSON.stringify(wanted)}`
      return { ...about, output: null, failures: [failure] }
    }
  }
  const expected = variables.fill(step.expect ?? {})
  const failures = differences(expected, output).map(
    ({ path, message }) => `${path || 'the result'} ${message}`,
  )
  if (failures.length === 0) {
    for (const [name, pointer] of Object.entries(step.save ?? {}))
      variables.set(name, pointed(output, pointer))
  }
  const found = step.find === undefined ? {} : { found: true as const }
  return { ...about, ...found, output, failures }
}

function refusalFailures(
  { refused }: ExperimentStep,
  error: NorthbridgeError,
  variables: Variables,
): string[] {
  const { code, message, details } = error
  if (refused === undefined) return [`it was refused with ${code}: ${message}`]
  const failures: string[] = []
  if (refused.code !== code) failures.push(`it was refused with ${code} (${message}), not ${refused.code}`)
  const text = refused.message === undefined ? '' : variables.text(refused.message)
  if (!message.includes(text)) failures.push(`the message "${message}" does not contain "${text}"`)
  const expected = variables.fill(refused.details ?? {})
  return [...failures, ...differences(expected, details).map(at => `${at.path} of the facts ${at.message}`)]
}
