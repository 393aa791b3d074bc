/** `northbridge token …`: who may use the servers of an installation. Works beside a server, which knows it within a second. */
import type { Command } from 'commander'
import { isRole, openTokenBook, ROLES, type Role, type TokenBook, type TokenRecord } from '../access/index.ts'
import { NorthbridgeError } from '../core/index.ts'
import type { StorePlace } from '../durability/index.ts'
import { databaseOption, placeOf } from './database-option.ts'
import type { CommandEnvironment } from './environment.ts'
import { table, toJson } from './output.ts'

/** The variable that holds a token: of a client the one that it sends, of a server one that it takes. */
const VARIABLE = 'NORTHBRIDGE_TOKEN'

/** Undefined if it is not set, or empty. */
export const secretOf = (environment: NodeJS.ProcessEnv): string | undefined =>
  environment[VARIABLE] || undefined

const MS_PER_DAY = 86_400_000

interface CreateOptions extends StorePlace {
  readonly role: string
  readonly namespace?: string
  readonly note?: string
  readonly days?: string
}

export function addTokenCommands(root: Command, environment: CommandEnvironment): void {
  const group = root
    .command('token')
    .description('tokens of those who may use a server, kept where the server keeps everything')
  const withPlace = (command: Command): Command =>
    command
      .option('--data <folder>', 'of the server')
      .addOption(databaseOption('of the server, if it keeps everything in PostgreSQL'))

  withPlace(group.command('create'))
    .description('make a token; it is shown once, and only a digest of it is kept')
    .requiredOption('--role <role>', `${ROLES.join(', ')}: viewers only ask`)
    .option('--namespace <name>', 'the only one that it may be used in; administrators without one have all')
    .option('--note <text>', 'what it is for')
    .option('--days <number>', 'after which it is no longer valid')
    .action(async (options: CreateOptions) => {
      const { namespace, note, days } = options
      const nowMs = Date.now()
      const wishes = {
        role: roleOf(options.role),
        ...(namespace !== undefined && { namespace }),
        ...(note !== undefined && { note }),
        ...(days !== undefined && { expiresMs: nowMs + daysOf(days) * MS_PER_DAY }),
      }
      const { text } = await withBook(options, book => book.create(wishes, nowMs))
      environment.print(text)
    })

  withPlace(group.command('list'))
    .description('show the tokens that were made; what they are is not kept')
    .option('--json', 'print JSON for programs')
    .action(async (options: StorePlace & { readonly json?: true }) => {
      const tokens = await withBook(options, book => book.tokens())
      const nowMs = Date.now()
      const rows = tokens.map(token => viewOf(token, nowMs))
      environment.print(options.json ? toJson(rows) : rows.length === 0 ? 'None.' : table(rows, COLUMNS))
    })

  withPlace(group.command('revoke').argument('<id>', 'as `token list` shows it'))
    .description('take a token back; servers know it within a second')
    .action(async (id: string, options: StorePlace) => {
      const { role, namespace } = await withBook(options, book => book.revoke(id))
      environment.print(
        `Token ${id} (${role}${namespace === undefined ? '' : ` of ${namespace}`}) is revoked.`,
      )
    })
}

const COLUMNS = ['id', 'role', 'namespace', 'state', 'created', 'expires', 'note']

const viewOf = (
  { id, role, namespace, note, createdMs, expiresMs, revoked }: TokenRecord,
  nowMs: number,
): Readonly<Record<string, unknown>> => ({
  id,
  role,
  namespace: namespace ?? null,
  state: revoked ? 'revoked' : expiresMs !== undefined && expiresMs <= nowMs ? 'expired' : 'valid',
  created: dayOf(createdMs),
  expires: expiresMs === undefined ? null : dayOf(expiresMs),
  note: note ?? null,
})

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

async function withBook<Result>(
  options: StorePlace,
  work: (book: TokenBook) => Promise<Result>,
): Promise<Result> {
  const book = await openTokenBook(placeOf(options))
  if (book === undefined) {
    throw new NorthbridgeError(
      'invalidArgument',
      'tokens are kept with everything else: --data or --database must say where; a server that keeps nothing takes one from NORTHBRIDGE_TOKEN',
    )
  }
  try {
    return await work(book)
  } finally {
    await book.close()
  }
}

function roleOf(text: string): Role {
  if (isRole(text)) return text
  throw new NorthbridgeError('invalidArgument', `--role must be ${ROLES.join(', ')}, not "${text}"`)
}

function daysOf(text: string): number {
  const days = Number(text)
  if (/^\d{1,5}$/.test(text) && days > 0) return days
  throw new NorthbridgeError('invalidArgument', `--days must be 1 to 99999, not "${text}"`)
}
