/** What `validate` and `show` do. */
import { installation, OPERATIONS, readDocument } from '../../operations/index.ts'
import { type Call, remoteCall } from '../client.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { localCall } from './local-call.ts'
import { drawTree } from './tree.ts'

export interface ShowOptions {
  readonly server?: string
  readonly json?: true
}

export async function validateTopology(
  file: string,
  { json }: { readonly json?: true },
  { print }: CommandEnvironment,
): Promise<void> {
  const input = { document: readDocument(file) }
  const result = await localCall(installation())('validateTopology', input)
  print(json ? toJson(result) : OPERATIONS.validateTopology.tell!(result, input))
}

export async function show(
  what: string,
  { server, json }: ShowOptions,
  { print }: CommandEnvironment,
): Promise<void> {
  const state = await (server === undefined ? showTopology(what) : collect(remoteCall(server), what))
  print(json ? toJson(state) : drawTree(state))
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
