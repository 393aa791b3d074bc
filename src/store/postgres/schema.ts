/** The tables of an installation in PostgreSQL: those of SQLite, in a schema of their own. */
import type { Client } from 'pg'
import { NorthbridgeError } from '../../core/index.ts'
import { connect, storeFailure } from './connect.ts'

/** Of the tables; a database with another version is refused. */
const TABLES_VERSION = 1

/** "Nbrg": the first half of the keys of our advisory locks. */
const LOCKS = 0x4e62_7267
/** Held by the server that keeps the database, as long as it is connected. */
export const OWNER_LOCK = [LOCKS, 1] as const
/** Held while tables are made: servers and workers may come at the same time. */
const TABLES_LOCK = [LOCKS, 2] as const

/**
 * `owner` rises each time a server takes the database over, `groups` with each group of commits: a server that lost its
 * connection knows by them whether it still is the one, and whether its last group got there.
 * Names are ordered by their bytes, as everywhere else.
 */
const TABLES = `
CREATE TABLE northbridge.installation (
  tables integer NOT NULL,
  owner bigint NOT NULL,
  groups bigint NOT NULL
);
INSERT INTO northbridge.installation VALUES (${TABLES_VERSION}, 0, 0);
CREATE TABLE northbridge.commands (
  world text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  operation text NOT NULL,
  input text NOT NULL,
  error text,
  time_ns double precision NOT NULL,
  told bigint NOT NULL,
  version text NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (world, sequence)
);
CREATE TABLE northbridge.snapshots (
  world text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  version text NOT NULL,
  origin integer NOT NULL,
  state bytea NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (world, sequence)
);
-- States are compressed already.
ALTER TABLE northbridge.snapshots ALTER COLUMN state SET STORAGE EXTERNAL;
CREATE TABLE northbridge.documents (
  kind text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value text NOT NULL,
  digest text NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE TABLE northbridge.answers (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text COLLATE "C" NOT NULL UNIQUE,
  fingerprint text NOT NULL,
  status integer NOT NULL,
  headers text NOT NULL,
  body text NOT NULL,
  digest text NOT NULL
);
CREATE TABLE northbridge.point_answers (
  run text COLLATE "C" NOT NULL,
  point integer NOT NULL,
  answer text NOT NULL,
  given timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run, point)
);
`

/** {@link prepareTables} for those who come before the server. Throws `storeFailed`. */
export async function prepareDatabase(url: string): Promise<void> {
  try {
    const client = await connect(url, 'set-up')
    await prepareTables(client).finally(() => client.end())
  } catch (error) {
    throw storeFailure(error)
  }
}

/** Makes the tables, or checks that they are those of this version. Throws `storeFailed`. */
export async function prepareTables(client: Client): Promise<void> {
  await client.query('BEGIN')
  try {
    await client.query('SELECT pg_advisory_xact_lock($1, $2)', [...TABLES_LOCK])
    const { rows } = await client.query(
      `SELECT to_regnamespace('northbridge') IS NOT NULL AS schema,
              to_regclass('northbridge.installation') IS NOT NULL AS tables`,
    )
    // An operator may have made the schema for a role that may not.
    if (!rows[0].schema) await client.query('CREATE SCHEMA northbridge')
    if (!rows[0].tables) await client.query(TABLES)
    else await checkVersion(client)
    await client.query('COMMIT')
  } catch (error) {
    // A connection that is gone has undone it already.
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

async function checkVersion(client: Client): Promise<void> {
  const { rows } = await client.query('SELECT tables FROM northbridge.installation')
  const found = rows[0]?.tables
  if (found === TABLES_VERSION) return
  throw new NorthbridgeError(
    'storeFailed',
    `the database has tables of version ${found}; this Northbridge reads version ${TABLES_VERSION}`,
  )
}
