/** `northbridge compare …`: results of experiments, or ways to virtualize, side by side and without a server. */
import type { Command } from 'commander'
import type { SweepOptions, TechniqueOptions } from './actions/compare.ts'
import { catalogue } from './catalogue/catalogue.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addCompareCommands(root: Command, environment: CommandEnvironment): void {
  const { costTables, usualCosts, techniques } = catalogue()
  const compare = root
    .command('compare')
    .description('explain how two results of sweeps differ; or compare ways to virtualize')
    .argument('[a]', 'a result that `run --out` wrote, or a sweep to run; FILE#axis=value,… narrows it')
    .argument('[b]', 'the same')
    .option('--workers <number>', 'threads that simulate; default: all cores')
    .option('--json', 'print JSON for programs')
    .action(async (a: string | undefined, b: string | undefined, options: SweepOptions, command: Command) => {
      if (a === undefined || b === undefined) return command.help({ error: true })
      const { compareFiles } = await import('./actions/compare.ts')
      await compareFiles(a, b, options, environment)
    })
  manual(compare, [
    ['compare before.json after.json', 'two results of `run --out`, and what made the difference'],
    ["compare 'models.yaml#model=sriov' 'models.yaml#model=virtio'", 'two places of one sweep'],
  ])
  const byTechnique = compare
    .command('techniques')
    .description('run a workload under every virtualization technique and compare what it took')
    .argument('<workload>', 'name of a shipped workload, or a JSON or YAML file')
    .option('--costs <name>', `cost table: ${costTables.join(', ')}, or a file`, usualCosts)
    .option('--technique <name...>', `only these: ${techniques.join(', ')}`)
    .option('--umip', 'run deprivileged guests with CR4.UMIP set')
    .option('--json', 'print JSON for programs')
    .action(async (workload: string, options: TechniqueOptions) => {
      const { compareOnTechniques } = await import('./actions/compare.ts')
      compareOnTechniques(workload, options, environment)
    })
  manual(byTechnique, [
    ['compare techniques mixed-server --costs nehalem', 'a server of 2008 under every technique'],
    ['compare techniques io-storm --technique vmxEpt paravirtual', 'two of them'],
  ])
}
