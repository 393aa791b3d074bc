/** Commands that exchange machines with other tools: import, export. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { NorthbridgeError } from '../core/index.ts'
import {
  EXPORT_FORMATS,
  type ExportedFile,
  exportMachine,
  IMPORT_FORMATS,
  importMachineFrom,
} from '../interop/index.ts'
import { installation, readDocument } from '../operations/index.ts'
import type { TopologyDocument } from '../platform/index.ts'
import { localCall } from './client.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'

const list = (formats: Readonly<Record<string, { readonly summary: string }>>): string =>
  Object.entries(formats)
    .map(([name, { summary }]) => `  ${name.padEnd(16)} ${summary}`)
    .join('\n')

export function addInterchangeCommands(root: Command, { print, complain }: CommandEnvironment): void {
  root
    .command('import')
    .description('make a topology document of what other tools tell about a machine')
    .argument('<format or path>', 'format, if it is not to be guessed')
    .argument('[path...]', 'files or folders')
    .requiredOption('-o, --output <file>', 'where to write: .yaml or .json; - prints JSON')
    .option('--own-drivers', 'leave drivers to the modelled kernel, whatever the machine had')
    .addHelpText('after', `\nFormats:\n${list(IMPORT_FORMATS)}`)
    .action((first: string, more: readonly string[], { output, ownDrivers }: ImportOptions) => {
      const { topology: found, notes } =
        more.length > 0 && Object.hasOwn(IMPORT_FORMATS, first)
          ? importMachineFrom(more, first)
          : importMachineFrom([first, ...more])
      const topology = ownDrivers === true ? withoutDrivers(found) : found
      for (const note of notes) complain(`northbridge: ${note}`)
      if (output === '-') return print(toJson(topology))
      const yaml = ['.yaml', '.yml'].includes(extname(output))
      writeFileSync(output, yaml ? stringify(topology) : `${toJson(topology)}\n`)
      print(`Wrote topology "${topology.name}" to ${output}.`)
    })

  root
    .command('export')
    .description('power a machine on and write what other tools read of it')
    .argument('<format>', Object.keys(EXPORT_FORMATS).join(', '))
    .argument('<what>', 'topology by name or file, or anything that can be imported')
    .option('--out <folder>', 'where to write the files; a single text is printed without')
    .addHelpText('after', `\nFormats:\n${list(EXPORT_FORMATS)}`)
    .action(async (format: string, what: string, { out }: { out?: string }) => {
      if (!Object.hasOwn(EXPORT_FORMATS, format)) exportMachine(format, undefined as never)
      const context = installation()
      const { id } = await localCall(context)('createPlatform', {
        topology: machineOf(what, complain) as string,
      })
      const files = exportMachine(format, context.platforms.get(id).running)
      const [only] = files
      if (out === undefined) {
        if (files.length !== 1 || only === undefined || !('text' in only)) {
          throw new NorthbridgeError(
            'invalidArgument',
            `format "${format}" is ${files.length} files: name a folder with --out`,
          )
        }
        return print(only.text.trimEnd())
      }
      for (const file of files) write(out, file)
      print(`Wrote ${files.length} ${files.length === 1 ? 'file' : 'files'} to ${out}.`)
    })
}

interface ImportOptions {
  readonly output: string
  readonly ownDrivers?: true
}

function withoutDrivers({ host, ...rest }: TopologyDocument): TopologyDocument {
  const { drivers: _, ...kept } = host ?? {}
  return { ...rest, host: kept }
}

/** A topology by its name, a document in a file, or a machine in one of the formats. */
function machineOf(what: string, complain: (text: string) => void): unknown {
  if (/\.(?:ya?ml|json)$/.test(what)) return readDocument(what)
  if (!/[/\\.]/.test(what) && installation().topologies.has(what)) return what
  const { topology, notes } = importMachineFrom([what])
  for (const note of notes) complain(`northbridge: ${note}`)
  return topology
}

function write(folder: string, file: ExportedFile): void {
  const path = join(folder, file.path)
  mkdirSync(dirname(path), { recursive: true })
  if ('link' in file) {
    rmSync(path, { force: true })
    symlinkSync(file.link, path)
  } else {
    writeFileSync(path, 'text' in file ? file.text : file.bytes)
  }
}
