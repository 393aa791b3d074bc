/** What the commands below `token` do. */
import {
  isRole,
  openTokenBook,
  ROLES,
  type Role,
  type TokenBook,
  type TokenRecord,
} from '../../access/index.ts'
import { NorthbridgeError } from '../../core/index.ts'
import type { StorePlace } from '../../durability/index.ts'
import { placeOf } from '../database-option.ts'
import type { CommandEnvironment } from '../environment.ts'
import { table, toJson } from '../output.ts'

const MS_PER_DAY = 86_400_000

export interface TokenOptions extends StorePlace {
  readonly json?: true
}

export interface CreateOptions extends TokenOptions {
  readonly role: string
  readonly namespace?: string
  readonly note?: string
  readonly days?: string
}

export async function createToken(options: CreateOptions, { print }: CommandEnvironment): Promise<void> {
  const { namespace, note, days } = options
  const nowMs = Date.now()
  const wishes = {
    role: roleOf(options.role),
    ...(namespace !== undefined && { namespace }),
    ...(note !== undefined && { note }),
    ...(days !== undefined && { expiresMs: nowMs + daysOf(days) * MS_PER_DAY }),
  }
  const { text, record } = await withBook(options, book => book.create(wishes, nowMs))
  print(options.json ? toJson({ token: text, ...viewOf(record, nowMs) }) : text)
}

export async function listTokens(options: TokenOptions, { print }: CommandEnvironment): Promise<void> {
  const tokens = await withBook(options, book => book.tokens())
  const nowMs = Date.now()
  const rows = tokens.map(token => viewOf(token, nowMs))
  print(options.json ? toJson(rows) : rows.length === 0 ? 'None.' : table(rows, COLUMNS))
}

export async function revokeToken(
  id: string,
  options: TokenOptions,
  { print }: CommandEnvironment,
): Promise<void> {
  const record = await withBook(options, book => book.revoke(id))
  const { role, namespace } = record
  print(
    options.json
      ? toJson(viewOf(record, Date.now()))
      : `Token ${id} (${role}${namespace === undefined ? '' : ` of ${namespace}`}) is revoked.`,
  )
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
