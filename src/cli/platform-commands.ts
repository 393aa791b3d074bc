/** `northbridge platform …`: moves platforms between installations, of running servers or of those that stand still. */
import { writeFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { DEFAULT_NAMESPACE, Namespaces } from '../access/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import { openStore, type StorePlace } from '../durability/index.ts'
import { type InputOf, now, readDocument } from '../operations/index.ts'
import { type Call, remoteCall } from './client.ts'
import { placeOf } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { DEFAULT_SERVER } from './operation-commands.ts'

interface WhereOptions extends StorePlace {
  readonly server: string
  readonly namespace: string
}

export function addPlatformCommands(root: Command, environment: CommandEnvironment): void {
  const group = root
    .command('platform')
    .description('move platforms with their history between installations')
  const withPlace = (command: Command): Command =>
    command
      .addOption(
        new Option('--server <url>', 'of a running server').env('NORTHBRIDGE_SERVER').default(DEFAULT_SERVER),
      )
      .option('--data <folder>', 'of an installation whose server does not run')
      .option('--database <url>', 'of an installation whose server does not run')
      .option('--namespace <name>', 'in that folder or database', DEFAULT_NAMESPACE)

  withPlace(group.command('export').argument('<platform>'))
    .description('write a platform to a file: its topology, what was done to it, and its state')
    .requiredOption('-o, --output <file>', 'where to write')
    .action(async (platform: string, options: WhereOptions & { readonly output: string }) => {
      const archive = await using(options, environment, call => call('archivePlatform', { platform }))
      writeFileSync(options.output, `${JSON.stringify(archive)}\n`)
      environment.print(
        `Wrote platform "${platform}" with ${archive.commands.length} commands to ${options.output}.`,
      )
    })

  withPlace(group.command('import').argument('<file>'))
    .description('make a platform of such a file')
    .option('--name <name>', 'default: the one that it had')
    .action(async (file: string, options: WhereOptions & { readonly name?: string }) => {
      const archive = archiveIn(file)
      const { name } = options
      const { id, timeNs } = await using(options, environment, call =>
        call('importPlatform', { archive, ...(name !== undefined && { name }) }),
      )
      environment.print(`Platform "${id}" goes on here, at ${timeNs} ns.`)
    })
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
