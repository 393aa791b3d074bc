/** `northbridge groups`: the IOMMU groups of a machine, as a partition for programs or joint by joint for people. */
import type { Command } from 'commander'
import type { GroupOptions } from './actions/groups.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'

export function addGroupCommands(root: Command, environment: CommandEnvironment): void {
  const groups = root
    .command('groups')
    .description('print the IOMMU groups of a captured machine or of a topology as JSON')
    .argument('<machine>', 'a capture, or a topology: a name or a file')
    .option('--why', 'explain each joint and what would split the groups')
    .option('--kernel <version>', 'by the rules of this kernel: 6.1, 7.2 or 7.2+bus-isolation')
    .option('--json', 'with --why: print JSON for programs; without it is nothing else')
    .action(async (machine: string, options: GroupOptions) => {
      const { showGroups } = await import('./actions/groups.ts')
      await showGroups(machine, options, environment)
    })
  manual(groups, [
    ['groups capture', 'of a folder with `lspci -D -xxxx` and ACPI tables'],
    ['groups --why one-socket-82576', 'why functions share a group, and what would part them'],
    ['groups --kernel 6.1 lspci.txt', 'as an older kernel would'],
  ])
}
