/** Connections to a PostgreSQL database, and what their failures mean. */
import { Client, type CustomTypesConfig, DatabaseError, types } from 'pg'
import { NorthbridgeError } from '../../core/index.ts'

/** Milliseconds within which a connection has to stand. */
const CONNECT_MS = 10_000
/** Milliseconds of silence after which the other side is asked whether it is still there. */
const KEEP_ALIVE_MS = 10_000

/**
 * A role or a database may say otherwise, but what is acknowledged has to be on the disk. And the database has to notice
 * within half a minute that a client's machine is gone, so that the locks of that client are free.
 */
const SESSION = `
SET synchronous_commit = on;
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 4;
`

/**
 * A connection that is open. Throws `invalidArgument` for what is no address of a database (which may hold a password,
 * so it is not repeated), and what the driver throws when it does not come about.
 *
 * @param purpose what the database shows as the name of the application
 */
export async function connect(url: string, purpose: string): Promise<Client> {
  const client = new Client({
    ...connectionOptions(url, purpose),
    connectionTimeoutMillis: CONNECT_MS,
  })
  // The loss of a connection is met by whoever uses it; without a listener it would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(SESSION)
    return client
  } catch (error) {
    void client.end()
    throw error
  }
}

export interface ConnectionOptions {
  readonly connectionString: string
  readonly application_name: string
  readonly keepAlive: true
  readonly keepAliveInitialDelayMillis: number
  readonly types: CustomTypesConfig
}

/** Bytes come as what they are everywhere else, not as a class of Node's. */
function bytesOf(text: string): Uint8Array {
  const { buffer, byteOffset, length } = types.getTypeParser(types.builtins.BYTEA)(text) as Buffer
  return new Uint8Array(buffer, byteOffset, length)
}

const getTypeParser: CustomTypesConfig['getTypeParser'] = (type, format) =>
  type === types.builtins.BYTEA ? bytesOf : types.getTypeParser(type, format)

/** Throws `invalidArgument`. */
export function connectionOptions(url: string, purpose: string): ConnectionOptions {
  if (!/^postgres(?:ql)?:\/\//.test(url)) {
    throw new NorthbridgeError(
      'invalidArgument',
      'the address of a database must look like postgresql://user@host:5432/database',
    )
  }
  return {
    connectionString: url,
    application_name: `northbridge ${purpose}`,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    types: { getTypeParser },
  }
}

/**
 * Classes of SQLSTATE (PostgreSQL, Appendix A) that pass: connection exceptions, transactions rolled back by others,
 * insufficient resources, an operator's intervention, errors of the system below. 25006: after a fail-over we may have
 * met the standby.
 */
const PASSING = /^(?:08|40|53|57|58)|^25006$/

/** Whether trying again may help. Failures without SQLSTATE are those of the network, unless they are ours. */
export function mayPass(error: unknown): boolean {
  if (error instanceof DatabaseError) return PASSING.test(error.code ?? '')
  return ![NorthbridgeError, TypeError, RangeError].some(ours => error instanceof ours)
}

/** The `storeFailed` that a failure of the database is. */
export function storeFailure(error: unknown): NorthbridgeError {
  if (error instanceof NorthbridgeError) return error
  const { message, code } = error as Error & { code?: string }
  return new NorthbridgeError('storeFailed', `PostgreSQL: ${message || code || 'no connection'}`)
}
