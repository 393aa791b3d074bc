/** `northbridge run FILE` and `northbridge demo`: experiments, told as stories or simulated as sweeps. */
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { NorthbridgeError, packageFile } from '../core/index.ts'
import { drive } from '../engine/index.ts'
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
} from '../experiments/index.ts'
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
} from '../operations/index.ts'
import { localCall } from './client.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'
import { planFile, simulatePlan, workersOf, writeResult } from './sweep-runs.ts'

const DEMO = fileURLToPath(packageFile('experiments/two-vms-one-nic.yaml'))

interface StoryOptions {
  readonly topology?: string
  readonly json?: true
  readonly files?: string
}

interface RunOptions extends StoryOptions {
  readonly csv?: true
  readonly out?: string
  readonly workers?: string
}

export function addExperimentCommands(root: Command, environment: CommandEnvironment): void {
  root
    .command('demo')
    .description('two virtual machines share one SR-IOV network card: the story of an assignment')
    .option('--json', 'print JSON for programs')
    .action((options: StoryOptions) => tellStory(DEMO, readDocument(DEMO), options, environment))
  root
    .command('run')
    .description('run an experiment document, a story or a sweep, and compare with what it expects')
    .argument('<file>', 'JSON or YAML')
    .option('--files <folder>', 'disks may be put on files in this folder')
    .option('--topology <topology>', 'use this topology (name or file) instead of the one in the document')
    .option('--json', 'print JSON for programs')
    .option('--csv', 'sweeps: print CSV')
    .option('--out <folder>', 'sweeps: write JSON, CSV and an HTML report there')
    .option('--workers <number>', 'sweeps: threads that simulate; default: all cores, 1 for none but this')
    .action((file: string, options: RunOptions) => {
      const document = readDocument(file)
      if (isSweep(document)) return runSweep(file, document, options, environment)
      if (isStory(document)) return tellStory(file, document, options, environment)
      throw new NorthbridgeError(
        'invalidDocument',
        `${file}: an experiment has steps, as a story, or a configuration, as a sweep; this has neither`,
      )
    })
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
