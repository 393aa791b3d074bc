/** Carries out one operation, from the texts that a command line gave. */
import { NorthbridgeError } from '../../core/errors.ts'
import type { InputOf } from '../../operations/index.ts'
import type { FlagEntry, OperationEntry } from '../catalogue/catalogue.ts'
import { type Call, remoteCall } from '../client.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'

export interface OperationOptions {
  /** Default: this process answers. */
  readonly server?: string
  readonly json?: true
}

/** Positional arguments come as they are; a flag without a text was not given. */
export async function runOperation(
  { id }: OperationEntry,
  positional: readonly (readonly [name: string, text: string])[],
  flags: readonly (readonly [flag: FlagEntry, spelled: string, text: string | undefined])[],
  { server, json }: OperationOptions,
  { print }: CommandEnvironment,
): Promise<void> {
  const given: [string, unknown][] = []
  for (const [flag, spelled, text] of flags)
    if (text !== undefined) given.push([flag.name, await fieldValue(flag, spelled, text)])
  const input = Object.fromEntries([...positional, ...given]) as InputOf<typeof id>
  const result = await (await callOf(server))(id, input)
  if (json) return print(toJson(result))
  // Only people are told in words, which stand in the table of operations, beside all that they tell of.
  const { render } = await import('./rendering.ts')
  print(render(id, result, input))
}

async function callOf(server: string | undefined): Promise<Call> {
  if (server !== undefined) return remoteCall(server)
  const { localInstallation } = await import('./local-call.ts')
  return localInstallation()
}

/** What a text on the command line stands for, by what its flag takes. Throws `malformedInput`. */
async function fieldValue({ takes }: FlagEntry, spelled: string, text: string): Promise<unknown> {
  if (takes === 'text') return text
  if (text.startsWith('@')) {
    const { readDocument } = await import('../../operations/documents.ts')
    return readDocument(text.slice(1))
  }
  if (takes === 'number') return /^\d{1,15}$/.test(text) ? Number(text) : text
  const orText = takes === 'documentOrText'
  try {
    const value: unknown = JSON.parse(text)
    return orText && typeof value !== 'object' ? text : value
  } catch {
    if (orText) return text
    throw new NorthbridgeError(
      'malformedInput',
      `${spelled} is not JSON; @ and a file name is read from there`,
    )
  }
}
