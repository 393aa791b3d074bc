/** Commands on documents and captures: import, validate, show, groups. */
import { writeFileSync } from 'node:fs'
import { extname } from 'node:path'
import type { Command } from 'commander'
import { stringify } from 'yaml'
import { readCapture } from '../interop/index.ts'
import { installation, OPERATIONS, readDocument } from '../operations/index.ts'
import { type Call, localCall, remoteCall } from './client.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'
import { drawTree } from './tree.ts'

export function addDocumentCommands(root: Command, { print }: CommandEnvironment): void {
  root
    .command('import')
    .description('make a topology document of a captured Linux machine')
    .argument('<folder>', 'capture: lspci -xxxx, ACPI tables, …')
    .requiredOption('-o, --output <file>', 'where to write: .yaml or .json; - prints JSON')
    .action((folder: string, { output }: { output: string }) => {
      const document = readCapture(folder)
      if (output === '-') return print(toJson(document))
      const yaml = ['.yaml', '.yml'].includes(extname(output))
      writeFileSync(output, yaml ? stringify(document) : `${toJson(document)}\n`)
      print(`Wrote topology "${document.name}" to ${output}.`)
    })

  root
    .command('validate')
    .description('judge a topology document')
    .argument('<file>', 'JSON or YAML')
    .option('--json', 'print JSON for programs')
    .action(async (file: string, { json }: { json?: true }) => {
      const input = { document: readDocument(file) }
      const result = await localCall(installation())('validateTopology', input)
      print(json ? toJson(result) : OPERATIONS.validateTopology.tell!(result, input))
    })

  root
    .command('show')
    .description('draw a platform as a tree, with its groups and remapping units')
    .argument('<what>', 'topology: a name or a file; with --server: a platform')
    .option('--server <url>', 'show a platform of this server')
    .option('--json', 'print JSON for programs')
    .action(async (what: string, { server, json }: { server?: string; json?: true }) => {
      const state = await (server === undefined ? showTopology(what) : collect(remoteCall(server), what))
      print(json ? toJson(state) : drawTree(state))
    })

  root
    .command('groups')
    .description('print the IOMMU groups of a captured machine as JSON')
    .argument('<folder>', 'capture')
    .action(async (folder: string) => {
      const call = localCall(installation())
      const { id } = await call('createPlatform', { topology: readCapture(folder) })
      const groups = (await call('groups', { platform: id })).map(group => [...group.functions].sort())
      print(JSON.stringify({ groups: groups.sort((a, b) => (a[0]! < b[0]! ? -1 : 1)) }))
    })
}

/** A topology by name, or the document in a file. */
export const namedOrRead = (text: string): unknown =>
  /[/\\]|\.(?:ya?ml|json)$/.test(text) ? readDocument(text) : text

async function showTopology(what: string) {
  const call = localCall(installation())
  const { id } = await call('createPlatform', { topology: namedOrRead(what) as string })
  return collect(call, id)
}

async function collect(call: Call, platform: string) {
  return {
    platform: await call('platformState', { platform }),
    functions: await call('functions', { platform }),
    groups: await call('groups', { platform }),
    units: await call('units', { platform }),
    vms: await call('vms', { platform }),
  }
}
