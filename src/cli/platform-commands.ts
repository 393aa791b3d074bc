/** `northbridge platform …`: moves platforms between installations, of running servers or of those that stand still. */
import type { Command } from 'commander'
import type { ExportOptions, ImportOptions } from './actions/platforms.ts'
import { catalogue } from './catalogue/catalogue.ts'
import type { CommandEnvironment } from './environment.ts'
import { manual } from './help.ts'
import { serverOption } from './server-option.ts'

export function addPlatformCommands(root: Command, environment: CommandEnvironment): void {
  const group = root
    .command('platform')
    .description('move platforms with their history between installations')
  const withPlace = (command: Command): Command =>
    command
      .addOption(serverOption('of a running server'))
      .option('--data <folder>', 'of an installation whose server does not run')
      .option('--database <url>', 'of an installation whose server does not run')
      .option('--namespace <name>', 'in that folder or database', catalogue().usualNamespace)
      .option('--json', 'print JSON for programs')

  const writer = withPlace(group.command('export').argument('<platform>'))
    .description('write a platform to a file: its topology, what was done to it, and its state')
    .requiredOption('-o, --output <file>', 'where to write')
    .action(async (platform: string, options: ExportOptions) => {
      const { exportPlatform } = await import('./actions/platforms.ts')
      await exportPlatform(platform, options, environment)
    })
  manual(
    writer,
    [
      ['platform export example -o example.json', 'of the server that runs here'],
      ['platform export example --data world -o example.json', 'of a folder whose server does not run'],
    ],
    ['NORTHBRIDGE_SERVER', 'NORTHBRIDGE_TOKEN'],
  )

  const reader = withPlace(group.command('import').argument('<file>'))
    .description('make a platform of such a file')
    .option('--name <name>', 'default: the one that it had')
    .action(async (file: string, options: ImportOptions) => {
      const { importPlatform } = await import('./actions/platforms.ts')
      await importPlatform(file, options, environment)
    })
  manual(
    reader,
    [['platform import example.json --name copy', 'it goes on where it was']],
    ['NORTHBRIDGE_SERVER', 'NORTHBRIDGE_TOKEN'],
  )
}
