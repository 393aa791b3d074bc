/** What `import` and `export` do. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { stringify } from 'yaml'
import { NorthbridgeError } from '../../core/index.ts'
import {
  EXPORT_FORMATS,
  type ExportedFile,
  exportMachine,
  IMPORT_FORMATS,
  importMachineFrom,
} from '../../interop/index.ts'
import { installation, readDocument } from '../../operations/index.ts'
import type { TopologyDocument } from '../../platform/index.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { localCall } from './local-call.ts'

export interface ImportOptions {
  readonly output: string
  readonly ownDrivers?: true
  readonly json?: true
}

export interface ExportOptions {
  readonly out?: string
  readonly json?: true
}

export function importMachine(
  first: string,
  more: readonly string[],
  { output, ownDrivers, json }: ImportOptions,
  { print, complain }: CommandEnvironment,
): void {
  const { topology: found, notes } =
    more.length > 0 && Object.hasOwn(IMPORT_FORMATS, first)
      ? importMachineFrom(more, first)
      : importMachineFrom([first, ...more])
  const topology = ownDrivers === true ? withoutDrivers(found) : found
  if (!json) for (const note of notes) complain(`northbridge: ${note}`)
  if (output === '-') {
    print(toJson(topology))
    return
  }
  const yaml = ['.yaml', '.yml'].includes(extname(output))
  writeFileSync(output, yaml ? stringify(topology) : `${toJson(topology)}\n`)
  print(
    json
      ? toJson({ topology: topology.name, output, notes })
      : `Wrote topology "${topology.name}" to ${output}.`,
  )
}

export async function exportTo(
  format: string,
  what: string,
  { out, json }: ExportOptions,
  { print, complain }: CommandEnvironment,
): Promise<void> {
  if (!Object.hasOwn(EXPORT_FORMATS, format)) exportMachine(format, undefined as never)
  const context = installation()
  const { id } = await localCall(context)('createPlatform', {
    topology: machineOf(what, complain) as string,
  })
  const files = exportMachine(format, context.platforms.get(id).running)
  if (out === undefined) {
    print(json ? toJson(files.map(viewOf)) : onlyText(format, files))
    return
  }
  for (const file of files) write(out, file)
  const told = `Wrote ${files.length} ${files.length === 1 ? 'file' : 'files'} to ${out}.`
  print(json ? toJson(files.map(({ path }) => join(out, path))) : told)
}

/** A file as JSON can hold it. */
const viewOf = (file: ExportedFile): object =>
  'bytes' in file ? { path: file.path, base64: Buffer.from(file.bytes).toString('base64') } : file

function onlyText(format: string, files: readonly ExportedFile[]): string {
  const [only] = files
  if (files.length === 1 && only !== undefined && 'text' in only) return only.text.trimEnd()
  throw new NorthbridgeError(
    'invalidArgument',
    `format "${format}" is ${files.length} files: name a folder with --out`,
  )
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
