/** What `groups` does. */
import { statSync } from 'node:fs'
import { importMachineFrom } from '../../interop/index.ts'
import { explainGroup, type InputOf, installation, type OutputOf } from '../../operations/index.ts'
import type { Call } from '../client.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'
import { namedOrRead } from './documents.ts'
import { localCall } from './local-call.ts'

export interface GroupOptions {
  readonly why?: true
  readonly kernel?: string
  readonly json?: true
}

type Explained = OutputOf<'group'>

export async function showGroups(
  machine: string,
  { why, kernel, json }: GroupOptions,
  { print }: CommandEnvironment,
): Promise<void> {
  const call = localCall(installation())
  const topology = await topologyOf(call, machine, kernel)
  const { id: platform } = await call('createPlatform', { topology })
  const groups = await call('groups', { platform })
  if (why === undefined) {
    const partition = groups.map(group => [...group.functions].sort())
    return print(JSON.stringify({ groups: partition.sort((a, b) => (a[0]! < b[0]! ? -1 : 1)) }))
  }
  const explained: Explained[] = []
  for (const { id } of groups) explained.push(await call('group', { platform, group: id }))
  print(json ? toJson(explained) : inSentences(explained))
}

type TopologyInput = InputOf<'createPlatform'>['topology']

/** A capture is a folder, or a file that is no document. */
async function topologyOf(call: Call, machine: string, kernel: string | undefined): Promise<TopologyInput> {
  const document = isCapture(machine) ? importMachineFrom([machine]).topology : namedOrRead(machine)
  if (kernel === undefined) return document as TopologyInput
  const topology = typeof document === 'string' ? await call('topology', { name: document }) : document
  const { host, ...rest } = topology as { host?: object }
  return { ...rest, host: { ...host, kernel } }
}

const isCapture = (path: string): boolean => {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && (found.isDirectory() || !/\.(?:ya?ml|json)$/.test(path))
}

function inSentences(groups: readonly Explained[]): string {
  const shared = groups.filter(({ functions }) => functions.length > 1)
  const alone = groups.length - shared.length
  return [
    ...shared.map(explainGroup),
    `${alone} ${alone === 1 ? 'function is' : 'functions are'} alone in ${alone === 1 ? 'its' : 'their'} group.`,
  ].join('\n')
}
