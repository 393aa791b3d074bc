/** `northbridge compare …`: results of experiments, or ways to virtualize, side by side and without a server. */
import type { Command } from 'commander'
import { NorthbridgeError } from '../core/index.ts'
import {
  compareSweeps,
  isSweepResult,
  parseSweepResult,
  type Side,
  tellSweepComparison,
} from '../experiments/index.ts'
import { parseWorkload } from '../guest/index.ts'
import { parseCostTable, TECHNIQUES, type TechniqueName } from '../hypervisor/index.ts'
import {
  DEFAULT_GENERATION,
  generations,
  readDocument,
  shippedCosts,
  shippedWorkload,
} from '../operations/index.ts'
import { compareTechniques, tellComparison } from '../system/index.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'
import { planFile, simulatePlan, workersOf } from './sweep-runs.ts'

interface CompareOptions {
  readonly costs: string
  readonly technique?: readonly string[]
  readonly umip?: true
  readonly json?: true
}

interface SweepOptions {
  readonly workers?: string
  readonly json?: true
}

export function addCompareCommands(root: Command, environment: CommandEnvironment): void {
  const compare = root
    .command('compare')
    .description('explain how two results of sweeps differ; or compare ways to virtualize')
    .argument('[a]', 'a result that `run --out` wrote, or a sweep to run; FILE#axis=value,… narrows it')
    .argument('[b]', 'the same')
    .option('--workers <number>', 'threads that simulate; default: all cores')
    .option('--json', 'print JSON for programs')
    .action((a: string | undefined, b: string | undefined, options: SweepOptions, command: Command) => {
      if (a === undefined || b === undefined) return command.help({ error: true })
      return compareFiles(a, b, options, environment)
    })
  compare
    .command('techniques')
    .description('run a workload under every virtualization technique and compare what it took')
    .argument('<workload>', 'name of a shipped workload, or a JSON or YAML file')
    .option('--costs <name>', `cost table: ${generations().join(', ')}, or a file`, DEFAULT_GENERATION)
    .option('--technique <name...>', `only these: ${TECHNIQUES.join(', ')}`)
    .option('--umip', 'run deprivileged guests with CR4.UMIP set')
    .option('--json', 'print JSON for programs')
    .action((workload: string, { costs, technique, umip, json }: CompareOptions) => {
      const comparison = compareTechniques(
        isPath(workload) ? parseWorkload(readDocument(workload)) : shippedWorkload(workload),
        isPath(costs) ? parseCostTable(readDocument(costs)) : shippedCosts(costs),
        {
          ...(technique !== undefined && { techniques: technique.map(techniqueNamed) }),
          ...(umip && { umip }),
        },
      )
      environment.print(json ? toJson(comparison) : tellComparison(comparison))
    })
}

async function compareFiles(
  a: string,
  b: string,
  { workers, json }: SweepOptions,
  environment: CommandEnvironment,
): Promise<void> {
  const left = await sideOf(a, workersOf(workers), environment)
  const right = left && (await sideOf(b, workersOf(workers), environment))
  if (left === undefined || right === undefined) return
  const comparison = compareSweeps(left, right)
  environment.print(json ? toJson(comparison) : tellSweepComparison(comparison))
}

/** One side of a comparison: `five-models.yaml#model=sriov,vms=4`. */
async function sideOf(
  text: string,
  workers: number,
  environment: CommandEnvironment,
): Promise<Side | undefined> {
  const [file = '', place = ''] = text.split('#')
  const document = readDocument(file)
  const sweep = isSweepResult(document)
    ? parseSweepResult(document, file)
    : await simulatePlan(planFile(file, document, undefined), workers, environment)
  return sweep && { name: text, sweep, where: Object.fromEntries(placesIn(place, text)) }
}

const placesIn = (place: string, text: string): readonly (readonly [string, string])[] =>
  place
    .split(',')
    .filter(part => part !== '')
    .map(part => {
      const at = part.indexOf('=')
      if (at > 0) return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const
      throw new NorthbridgeError('invalidArgument', `"${text}": "${part}" is no axis=value`)
    })

const isPath = (text: string): boolean => /[/\\]|\.(?:ya?ml|json)$/.test(text)

function techniqueNamed(name: string): TechniqueName {
  const known = TECHNIQUES.find(technique => technique === name)
  if (known !== undefined) return known
  throw new NorthbridgeError(
    'invalidArgument',
    `There is no technique "${name}"; there are ${TECHNIQUES.join(', ')}`,
  )
}
