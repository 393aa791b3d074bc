/** What `platform export` and `platform import` do. */
import { writeFileSync } from 'node:fs'
import { Namespaces } from '../../access/index.ts'
import { NorthbridgeError } from '../../core/index.ts'
import { openStore, type StorePlace } from '../../durability/index.ts'
import { type InputOf, now, readDocument } from '../../operations/index.ts'
import { type Call, remoteCall } from '../client.ts'
import { placeOf } from '../database-option.ts'
import type { CommandEnvironment } from '../environment.ts'
import { toJson } from '../output.ts'

export interface WhereOptions extends StorePlace {
  readonly server: string
  readonly namespace: string
  readonly json?: true
}

export interface ExportOptions extends WhereOptions {
  readonly output: string
}

export interface ImportOptions extends WhereOptions {
  readonly name?: string
}

export async function exportPlatform(
  platform: string,
  options: ExportOptions,
  environment: CommandEnvironment,
): Promise<void> {
  const { output, json } = options
  const archive = await using(options, environment, call => call('archivePlatform', { platform }))
  writeFileSync(output, `${JSON.stringify(archive)}\n`)
  const commands = archive.commands.length
  environment.print(
    json
      ? toJson({ platform, commands, output })
      : `Wrote platform "${platform}" with ${commands} commands to ${output}.`,
  )
}

export async function importPlatform(
  file: string,
  options: ImportOptions,
  environment: CommandEnvironment,
): Promise<void> {
  const archive = archiveIn(file)
  const { name, json } = options
  const platform = await using(options, environment, call =>
    call('importPlatform', { archive, ...(name !== undefined && { name }) }),
  )
  environment.print(
    json ? toJson(platform) : `Platform "${platform.id}" goes on here, at ${platform.timeNs} ns.`,
  )
}

/** Throws `invalidDocument` for what is no archive at all; whether it is whole is found where it is imported. */
function archiveIn(file: string): InputOf<'importPlatform'>['archive'] {
  const document = readDocument(file)
  if ((document as { readonly format?: unknown } | null)?.format === 'northbridge-platform')
    return document as never
  throw new NorthbridgeError('invalidDocument', `${file} is no platform that Northbridge has written`)
}

/** Works with a running server, or with what is kept in a folder or database. */
async function using<Result>(
  { server, data, database, namespace }: WhereOptions,
  { complain }: CommandEnvironment,
  work: (call: Call) => Promise<Result>,
): Promise<Result> {
  // A variable that names a database is meant for servers: here it has to be asked for.
  const store =
    data === undefined && database === undefined ? undefined : await openStore(placeOf({ data, database }))
  if (store === undefined) return work(remoteCall(server))
  // Experiments that were under way wait for their server.
  const namespaces = await Namespaces.open({ store, launch: () => now(() => {}) })
  try {
    for (const loss of namespaces.losses) complain(`northbridge: lost: ${loss}`)
    const { journal } = namespaces.get(namespace)
    return await work((id, input) => journal.call(id, input))
  } finally {
    await namespaces.close()
  }
}
