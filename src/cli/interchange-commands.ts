/** Commands that exchange machines with other tools: import, export. */
import type { Command } from 'commander'
import type { ExportOptions, ImportOptions } from './actions/interchange.ts'
import { catalogue } from './catalogue/catalogue.ts'
import type { CommandEnvironment } from './environment.ts'
import { choicesIn, manual } from './help.ts'

export function addInterchangeCommands(root: Command, environment: CommandEnvironment): void {
  const { importFormats, exportFormats } = catalogue()
  const reader = root
    .command('import')
    .description('make a topology document of what other tools tell about a machine')
    .argument('<format or path>', 'format, if it is not to be guessed')
    .argument('[path...]', 'files or folders')
    .requiredOption('-o, --output <file>', 'where to write: .yaml or .json; - prints JSON')
    .option('--own-drivers', 'leave drivers to the modelled kernel, whatever the machine had')
    .option('--json', 'print for programs what was written, and what to know of it')
    .addHelpText('after', choicesIn('Formats', importFormats))
    .action(async (first: string, more: readonly string[], options: ImportOptions) => {
      const { importMachine } = await import('./actions/interchange.ts')
      importMachine(first, more, options, environment)
    })
  manual(reader, [
    ['import capture -o my-server.yaml', 'a folder of dumps'],
    ['import lspci lspci.txt -o -', 'text of lspci, printed as JSON'],
  ])

  const writer = root
    .command('export')
    .description('power a machine on and write what other tools read of it')
    .argument('<format>', exportFormats.map(([name]) => name).join(', '))
    .argument('<what>', 'topology by name or file, or anything that can be imported')
    .option('--out <folder>', 'where to write the files; a single text is printed without')
    .option('--json', 'print for programs the files, or with --out their names')
    .addHelpText('after', choicesIn('Formats', exportFormats))
    .action(async (format: string, what: string, options: ExportOptions) => {
      const { exportTo } = await import('./actions/interchange.ts')
      await exportTo(format, what, options, environment)
    })
  manual(writer, [
    ['export qemu two-socket-82599', 'arguments for QEMU'],
    ['export sysfs my-server.json --out my-server-sysfs', 'the tree below /sys'],
  ])
}
