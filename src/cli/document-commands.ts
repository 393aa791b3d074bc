/** Commands on documents and captures: validate, show. */
import type { Command } from 'commander'
import { installation, OPERATIONS, readDocument } from '../operations/index.ts'
import { type Call, localCall, remoteCall } from './client.ts'
import type { CommandEnvironment } from './environment.ts'
import { toJson } from './output.ts'
import { drawTree } from './tree.ts'

export function addDocumentCommands(root: Command, { print }: CommandEnvironment): void {
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
