/** What `compare` does. */
import { NorthbridgeError } from '../../core/index.ts'
import {
  compareSweeps,
  isSweepResult,
  parseSweepResult,
  type Side,
  tellSweepComparison,
} from '../../experiments/index.ts'
import { parseWorkload } from '../../guest/index.ts'
import { parseCostTable, TECHNIQUES, type TechniqueName } from '../../hypervisor/index.ts'
import { readDocument, shippedCosts, shippedWorkload } from '../../operations/index.ts'
import { compareTechniques, tellComparison } from '../../system/index.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { planFile, simulatePlan, workersOf } from './sweep-runs.ts'

export interface TechniqueOptions {
  readonly costs: string
  readonly technique?: readonly string[]
  readonly umip?: true
  readonly json?: true
}

export interface SweepOptions {
  readonly workers?: string
  readonly json?: true
}

export function compareOnTechniques(
  workload: string,
  { costs, technique, umip, json }: TechniqueOptions,
  environment: CommandEnvironment,
): void {
  const comparison = compareTechniques(
    isPath(workload) ? parseWorkload(readDocument(workload)) : shippedWorkload(workload),
    isPath(costs) ? parseCostTable(readDocument(costs)) : shippedCosts(costs),
    {
      ...(technique !== undefined && { techniques: technique.map(techniqueNamed) }),
      ...(umip && { umip }),
    },
  )
  environment.print(json ? toJson(comparison) : tellComparison(comparison))
}

export async function compareFiles(
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
