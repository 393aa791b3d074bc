/**
 * An installation in a PostgreSQL database. When the connection is lost, commits that were given wait until it is back:
 * what this process has done and what the database holds never part for longer than that.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from 'pg'
import type { NorthbridgeError } from '../../core/index.ts'
import { CommitGroups } from '../commit-groups.ts'
import type { CommandRecord, Commit, Kept, KeptDocument, Snapshot, Store } from '../records.ts'
import { commandOf, documentOf, snapshotOf, whole } from '../rows.ts'
import { writeGroup } from './group.ts'
import { keptIn } from './kept.ts'
import { OwnedConnection } from './owned-connection.ts'

/** Milliseconds. */
const PATIENCE_MS = 5_000

export class PostgresStore implements Store {
  /** A restart does at most so many again: a fraction of a second. */
  readonly commandsPerSnapshot = 64
  readonly immediate = false
  readonly #patienceMs: number
  readonly #connection: OwnedConnection
  readonly #groups: CommitGroups
  /** Groups that the database holds. */
  #written = 0

  /**
   * @param url `postgresql://user@host:5432/database`
   * @param patienceMs milliseconds for which it waits for another server to end, when it is opened, and for a database
   * that is away, when it is closed
   */
  constructor(url: string, patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs
    this.#connection = new OwnedConnection(url, patienceMs)
    this.#groups = new CommitGroups(group => this.#write(group))
  }

  get trouble(): NorthbridgeError | undefined {
    return this.#groups.failed ?? this.#connection.trouble
  }

  async open(): Promise<Kept> {
    this.#written = await this.#connection.open()
    return this.#connection.use(keptIn)
  }

  commit(commit: Commit): Promise<void> {
    return this.#groups.add(commit)
  }

  async #write(group: readonly Commit[]): Promise<void> {
    const number = this.#written + 1
    await this.#connection.use(client => writeGroup(client, this.#connection.owner, number, group))
    this.#written = number
  }

  async snapshotBefore(world: string, sequence: number): Promise<Snapshot | undefined> {
    const [row] = await this.#rows(
      `SELECT * FROM northbridge.snapshots WHERE world = $1 AND sequence <= $2
       ORDER BY sequence DESC LIMIT 1`,
      world,
      sequence,
    )
    return row && whole(snapshotOf(row), `the state of "${world}" after command ${row['sequence']}`)
  }

  async commandsOf(world: string, after: number, upTo: number): Promise<readonly CommandRecord[]> {
    const rows = await this.#rows(
      `SELECT * FROM northbridge.commands WHERE world = $1 AND sequence > $2 AND sequence <= $3
       ORDER BY sequence`,
      world,
      after,
      upTo,
    )
    return rows.map(row => whole(commandOf(row), `command ${row['sequence']} of "${world}"`))
  }

  async documents(kind: string): Promise<readonly KeptDocument[]> {
    const rows = await this.#rows('SELECT * FROM northbridge.documents WHERE kind = $1 ORDER BY key', kind)
    return rows.map(documentOf).filter(document => document !== undefined)
  }

  /** Rows as they are once everything that was given before is there. */
  async #rows(text: string, ...values: unknown[]): Promise<Record<string, unknown>[]> {
    await this.#groups.idle()
    const { rows } = await this.#connection.use((client: Client) => client.query(text, values))
    return rows
  }

  async close(): Promise<void> {
    await Promise.race([this.#groups.idle(), delay(this.#patienceMs, undefined, { ref: false })])
    await this.#connection.close()
    await this.#groups.idle()
  }
}
