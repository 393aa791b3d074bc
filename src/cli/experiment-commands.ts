/** `northbridge run FILE` and `northbridge demo`: experiments, told as stories. */
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { NorthbridgeError, packageFile } from '../core/index.ts'
import { drive } from '../engine/index.ts'
import {
  type ExperimentOperations,
  parseExperiment,
  runExperiment,
  tellEnd,
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

const DEMO = fileURLToPath(packageFile('experiments/two-vms-one-nic.yaml'))

interface RunOptions {
  readonly topology?: string
  readonly json?: true
  readonly files?: string
}

export function addExperimentCommands(root: Command, environment: CommandEnvironment): void {
  root
    .command('demo')
    .description('two virtual machines share one SR-IOV network card: the story of an assignment')
    .option('--json', 'print JSON for programs')
    .action((options: RunOptions) => run(DEMO, options, environment))
  root
    .command('run')
    .description('run an experiment document and compare with what it expects')
    .argument('<file>', 'JSON or YAML')
    .option('--files <folder>', 'disks may be put on files in this folder')
    .option('--topology <topology>', 'use this topology (name or file) instead of the one in the document')
    .option('--json', 'print JSON for programs')
    .action((file: string, options: RunOptions) => run(file, options, environment))
}

async function run(
  file: string,
  { topology: other, json, files }: RunOptions,
  environment: CommandEnvironment,
): Promise<void> {
  const context = installation(undefined, files)
  const operations = operationsOf(context)
  const experiment = parseExperiment(readDocument(file), operations)
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
