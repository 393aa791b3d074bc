/** The tables of an installation in SQLite. */
import type { DatabaseSync } from 'node:sqlite'
import { NorthbridgeError } from '../../core/index.ts'

/** Of the tables; a file of another version is refused. */
const TABLES_VERSION = 2
/** "Nbrg": marks the file as ours ("PRAGMA application_id"). */
const APPLICATION_ID = 0x4e62_7267

const TABLES = `
CREATE TABLE commands (
  world TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  operation TEXT NOT NULL,
  input TEXT NOT NULL,
  error TEXT,
  time_ns REAL NOT NULL,
  told INTEGER NOT NULL,
  version TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (world, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
  world TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  version TEXT NOT NULL,
  origin INTEGER NOT NULL,
  state BLOB NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (world, sequence)
) STRICT;
CREATE TABLE documents (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE answers (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  body TEXT NOT NULL,
  digest TEXT NOT NULL
) STRICT;
`

/**
 * Makes the tables, or checks that they are ours and whole. Throws `storeFailed` for a file of something else, of another
 * version, or whose pages are damaged.
 *
 * WAL lets readers go on beside the writer. `synchronous = FULL` has each commit wait until the log is on the disk, not
 * only with the operating system: what was acknowledged is there after a power cut too. Commits are grouped, so many
 * share one such wait.
 */
export function prepareTables(database: DatabaseSync): void {
  const pragma = (name: string): unknown =>
    Object.values(database.prepare(`PRAGMA ${name}`).get() as Record<string, unknown>)[0]
  const application = pragma('application_id')
  const version = pragma('user_version')
  const fresh = application === 0 && version === 0 && pragma('schema_version') === 0
  if (!fresh && application !== APPLICATION_ID) {
    throw new NorthbridgeError('storeFailed', 'the file is a database of something else')
  }
  if (!fresh && version !== TABLES_VERSION) {
    throw new NorthbridgeError(
      'storeFailed',
      `the file has tables of version ${version}; this Northbridge reads version ${TABLES_VERSION}`,
    )
  }
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000',
  )
  if (fresh) {
    database.exec(
      `BEGIN; ${TABLES} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${TABLES_VERSION}; COMMIT`,
    )
    return
  }
  const found = pragma('quick_check')
  if (found !== 'ok') {
    throw new NorthbridgeError(
      'storeFailed',
      `pages of the file are damaged (${String(found)}): put a copy in its place`,
    )
  }
}
