/** `northbridge conform …`: recordings of other implementations and of a real kernel, replayed and compared. */
import type { Command } from 'commander'
import type { JsonOption, ProcessorOptions, UnitOptions } from './actions/conform.ts'
import { catalogue } from './catalogue/catalogue.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addConformCommands(root: Command, environment: CommandEnvironment): void {
  const conform = root
    .command('conform')
    .description('compare with recordings of other implementations and of a real kernel')
  const unit = conform
    .command('vtd')
    .description('replay programs recorded from another remapping unit, step by step')
    .argument('<file...>', 'programs: .jsonl, .json, either packed with gzip, or a folder of such files')
    .option(
      '--quirks <name>',
      `depart from the specification as ${catalogue().quirks.join(' or ')} does`,
      'none',
    )
    .option(
      '--inside-vm',
      'drive the remapping unit of a guest from inside its virtual machine, with assigned functions behind it',
    )
    .option('--json', 'print JSON for programs')
    .action(async (files: readonly string[], options: UnitOptions) => {
      const { conformUnit } = await import('./actions/conform.ts')
      conformUnit(files, options, environment)
    })
  manual(unit, [
    ['conform vtd test/data/conformance/vtd', 'what the repository carries'],
    ['conform vtd my-programs.jsonl --quirks qemu-11.1 --json', 'your own recordings'],
  ])
  const tables = conform
    .command('linux')
    .description('walk the tables that a real kernel wrote, by real requests')
    .argument('<folder...>', 'captures with vtd-pages.json.gz and vtd-expect.json.gz')
    .option('--json', 'print JSON for programs')
    .action(async (folders: readonly string[], options: JsonOption) => {
      const { conformLinux } = await import('./actions/conform.ts')
      conformLinux(folders, options, environment)
    })
  manual(tables, [['conform linux test/data/captures/vtd-nested', 'tables of one machine']])
  const policy = conform
    .command('policy')
    .description('decide worked cases of the policies that other systems run')
    .argument('<file...>', 'worked cases: .json, plain or packed with gzip, or a folder of such files')
    .option('--json', 'print JSON for programs')
    .action(async (files: readonly string[], options: JsonOption) => {
      const { conformPolicy } = await import('./actions/conform.ts')
      conformPolicy(files, options, environment)
    })
  manual(policy, [['conform policy test/data/policy-cases/cases.json', 'what the repository carries']])
  const processors = conform
    .command('vmx')
    .description("run the processors' conformance table, derived from kvm-unit-tests' VMX and APIC suites")
    .argument('[text]', 'only cases whose identifier or source contains this')
    .option('--list', 'list the cases instead of running them')
    .option('--json', 'print JSON for programs')
    .action(async (text: string | undefined, options: ProcessorOptions) => {
      const { conformProcessors } = await import('./actions/conform.ts')
      conformProcessors(text, options, environment)
    })
  manual(processors, [
    ['conform vmx', 'all cases'],
    ['conform vmx --list ept.misconfig', 'which cases there are of one subject'],
  ])
  const config = conform
    .command('config')
    .description('replay what firmware and kernel did to configuration space, read by read')
    .argument('<folder...>', 'captures with topology.args or topology.json, and pci-cfg-trace.log.gz')
    .option('--json', 'print JSON for programs')
    .action(async (folders: readonly string[], options: JsonOption) => {
      const { conformConfig } = await import('./actions/conform.ts')
      conformConfig(folders, options, environment)
    })
  manual(config, [['conform config test/data/captures/hotplug', 'a machine with a slot in use']])
}
