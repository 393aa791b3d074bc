/** `northbridge compare …`: ways to virtualize, side by side, without a server. */
import type { Command } from 'commander'
import { NorthbridgeError } from '../core/index.ts'
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

interface CompareOptions {
  readonly costs: string
  readonly technique?: readonly string[]
  readonly umip?: true
  readonly json?: true
}

export function addCompareCommands(root: Command, environment: CommandEnvironment): void {
  root
    .command('compare')
    .description('compare ways to virtualize')
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

const isPath = (text: string): boolean => /[/\\]|\.(?:ya?ml|json)$/.test(text)

function techniqueNamed(name: string): TechniqueName {
  const known = TECHNIQUES.find(technique => technique === name)
  if (known !== undefined) return known
  throw new NorthbridgeError(
    'invalidArgument',
    `There is no technique "${name}"; there are ${TECHNIQUES.join(', ')}`,
  )
}
