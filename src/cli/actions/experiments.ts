/** What `run` and `demo` do: experiments, told as stories or simulated as sweeps. */
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NorthbridgeError, packageFile } from '../../core/index.ts'
import { drive } from '../../engine/index.ts'
import {
  type ExperimentOperations,
  isStory,
  isSweep,
  parseExperiment,
  runExperiment,
  sweepCsv,
  tellEnd,
  tellPlan,
  tellResult,
  tellStep,
  tellTitle,
} from '../../experiments/index.ts'
import {
  CODE_NUMBERS,
  execute,
  type InputOf,
  inputOfStep,
  installation,
  isOperationId,
  OPERATIONS,
  type Operation,
  type OperationContext,
  readDocument,
} from '../../operations/index.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { localCall } from './local-call.ts'
import { planFile, simulatePlan, workersOf, writeResult } from './sweep-runs.ts'

const DEMO = fileURLToPath(packageFile('experiments/two-vms-one-nic.yaml'))

export interface StoryOptions {
  readonly topology?: string
  readonly json?: true
  readonly files?: string
}

export interface RunOptions extends StoryOptions {
  readonly csv?: true
  readonly out?: string
  readonly workers?: string
}

export const runDemo = (options: StoryOptions, environment: CommandEnvironment): Promise<void> =>
  tellStory(DEMO, readDocument(DEMO), options, environment)

export async function runFile(
  file: string,
  options: RunOptions,
  environment: CommandEnvironment,
): Promise<void> {
  const document = readDocument(file)
  if (isSweep(document)) return runSweep(file, document, options, environment)
  if (isStory(document)) return tellStory(file, document, options, environment)
  throw new NorthbridgeError(
    'invalidDocument',
    `${file}: an experiment has steps, as a story, or a configuration, as a sweep; this has neither`,
  )
}

async function runSweep(
  file: string,
  document: unknown,
  { topology, json, csv, out, workers }: RunOptions,
  environment: CommandEnvironment,
): Promise<void> {
  if (json && csv) throw new NorthbridgeError('invalidArgument', '--json and --csv exclude each other')
  const plan = planFile(file, document, topology)
  const forPeople = !json && !csv
  if (forPeople) environment.print(tellPlan(plan))
  const result = await simulatePlan(plan, workersOf(workers), environment)
  if (result === undefined) return
  environment.print(json ? toJson(result) : csv ? sweepCsv(result).trimEnd() : tellResult(result))
  const written = out === undefined ? [] : writeResult(result, file, out)
  if (forPeople && written.length > 0) environment.print(`Written: ${written.join(', ')}`)
  if (!result.passed) environment.exit(CODE_NUMBERS.expectationFailed.exit)
}

async function tellStory(
  file: string,
  document: unknown,
  { topology: other, json, files }: StoryOptions,
  environment: CommandEnvironment,
): Promise<void> {
  const context = installation({ files })
  const operations = operationsOf(context)
  const experiment = parseExperiment(document, operations)
  const wanted = other ?? experiment.topology
  const base = other === undefined ? dirname(resolve(file)) : process.cwd()
  const topology = typeof wanted === 'string' && isPath(wanted) ? readDocument(resolve(base, wanted)) : wanted
  const platform = await localCall(context)('createPlatform', {
    topology: topology as string,
    name: 'experiment',
    seed: experiment.seed,
  })
  const tell = json ? () => {} : environment.print
  tell(tellTitle(experiment, `${platform.topology}, ${platform.functions} functions`))
  const report = drive(
    runExperiment(experiment, platform.id, operations, step => tell(tellStep(step, operations))),
    () => false,
  )
  environment.print(json ? toJson(report) : tellEnd(report))
  if (!report.passed) environment.exit(CODE_NUMBERS.expectationFailed.exit)
}

const isPath = (text: string): boolean => /[/\\]|\.(?:ya?ml|json)$/.test(text)

/** The table of operations, as the experiment runner wants it. */
export const operationsOf = (context: OperationContext): ExperimentOperations => ({
  has: isOperationId,
  execute(id, input) {
    if (!isOperationId(id)) throw new NorthbridgeError('notFound', `There is no operation "${id}"`)
    return execute(context, id, inputOfStep(id, input) as InputOf<typeof id>)
  },
  tell: (id, output, input) =>
    isOperationId(id) ? (OPERATIONS[id] as unknown as Operation).tell?.(output, input) : undefined,
})
