/** An installation in a file of SQLite, synchronously: the side of the worker thread. */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { CommandRecord, Commit, Kept, KeptDocument, KeptWorld, Snapshot } from '../records.ts'
import { type LogPiece, wholeWorld } from '../recovery.ts'
import { MOST_ANSWERS, MOST_SNAPSHOTS } from '../retention.ts'
import {
  ANSWER_COLUMNS,
  answerOf,
  answerRow,
  COMMAND_COLUMNS,
  commandOf,
  commandRow,
  DOCUMENT_COLUMNS,
  documentOf,
  documentRow,
  type Row,
  SNAPSHOT_COLUMNS,
  snapshotOf,
  snapshotRow,
  whole,
} from '../rows.ts'
import { prepareTables } from './schema.ts'
import { lossesOf } from './write-ahead-log.ts'

type Value = string | number | null | Uint8Array

export class InstallationDatabase {
  readonly #database: DatabaseSync
  /** What of the newest commits never reached the file. */
  readonly #logLosses: readonly string[]
  readonly #statements = new Map<string, StatementSync>()

  /** Throws `storeFailed`, or what SQLite says of the file. */
  constructor(path: string) {
    this.#logLosses = lossesOf(`${path}-wal`)
    this.#database = new DatabaseSync(path)
    prepareTables(this.#database)
  }

  open(): Kept {
    const losses = [...this.#logLosses]
    const worlds = this.#rows('SELECT world FROM commands UNION SELECT world FROM snapshots ORDER BY world')
      .map(row => this.#openWorld(String(row['world']), losses))
      .filter(world => world !== undefined)
    for (const row of this.#rows('SELECT * FROM documents')) {
      if (documentOf(row) === undefined) losses.push(`${row['kind']} "${row['key']}" is damaged and left out`)
    }
    const rows = this.#rows('SELECT * FROM answers ORDER BY number')
    const answers = rows.map(answerOf).filter(answer => answer !== undefined)
    if (answers.length < rows.length) {
      losses.push(`${rows.length - answers.length} answers under idempotency keys are damaged and left out`)
    }
    return { worlds, answers, losses }
  }

  #openWorld(world: string, losses: string[]): KeptWorld | undefined {
    const piece: LogPiece = {
      world,
      snapshots: this.#rows('SELECT * FROM snapshots WHERE world = ? ORDER BY sequence DESC', world),
      commandsAfter: sequence =>
        this.#rows(
          'SELECT * FROM commands WHERE world = ? AND sequence > ? ORDER BY sequence',
          world,
          sequence,
        ),
    }
    const { kept, cut, damagedSnapshots, losses: found } = wholeWorld(piece)
    losses.push(...found)
    for (const sequence of damagedSnapshots) {
      this.#run('DELETE FROM snapshots WHERE world = ? AND sequence = ?', world, sequence)
    }
    if (cut !== undefined) {
      this.#run('DELETE FROM commands WHERE world = ? AND sequence >= ?', world, cut)
      this.#run('DELETE FROM snapshots WHERE world = ? AND sequence >= ?', world, cut)
    }
    if (kept === undefined) this.#forget(world)
    return kept
  }

  /** All of these, in this order, become durable together. */
  commitAll(commits: readonly Commit[]): void {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      for (const commit of commits) this.#commit(commit)
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
  }

  #commit({ forgotten = [], commands = [], snapshots = [], documents = [], answer }: Commit): void {
    for (const world of forgotten) this.#forget(world)
    for (const command of commands) this.#insert('INSERT', 'commands', COMMAND_COLUMNS, commandRow(command))
    for (const snapshot of snapshots) this.#keep(snapshot)
    for (const document of documents) this.#put(document)
    if (answer === undefined) return
    this.#insert('INSERT OR REPLACE', 'answers', ANSWER_COLUMNS, answerRow(answer))
    this.#run('DELETE FROM answers WHERE number <= (SELECT max(number) FROM answers) - ?', MOST_ANSWERS)
  }

  #forget(world: string): void {
    this.#run('DELETE FROM snapshots WHERE world = ?', world)
    this.#run('DELETE FROM commands WHERE world = ?', world)
  }

  #keep(snapshot: Snapshot): void {
    const { world } = snapshot
    this.#insert('INSERT OR REPLACE', 'snapshots', SNAPSHOT_COLUMNS, snapshotRow(snapshot))
    this.#run(
      `DELETE FROM snapshots WHERE world = ? AND origin = 0 AND sequence NOT IN (
         SELECT sequence FROM snapshots WHERE world = ? AND origin = 0 ORDER BY sequence DESC LIMIT ?)`,
      world,
      world,
      MOST_SNAPSHOTS,
    )
  }

  #put(document: KeptDocument): void {
    const { kind, key, value } = document
    if (value === undefined) this.#run('DELETE FROM documents WHERE kind = ? AND key = ?', kind, key)
    else this.#insert('INSERT OR REPLACE', 'documents', DOCUMENT_COLUMNS, documentRow(document))
  }

  /** Throws `storeFailed` for one that is damaged. */
  snapshotBefore(world: string, sequence: number): Snapshot | undefined {
    const [row] = this.#rows(
      'SELECT * FROM snapshots WHERE world = ? AND sequence <= ? ORDER BY sequence DESC LIMIT 1',
      world,
      sequence,
    )
    return row && whole(snapshotOf(row), `the state of "${world}" after command ${row['sequence']}`)
  }

  /** Throws `storeFailed` if one is damaged. */
  commandsOf(world: string, after: number, upTo: number): readonly CommandRecord[] {
    return this.#rows(
      'SELECT * FROM commands WHERE world = ? AND sequence > ? AND sequence <= ? ORDER BY sequence',
      world,
      after,
      upTo,
    ).map(row => whole(commandOf(row), `command ${row['sequence']} of "${world}"`))
  }

  documents(kind: string): readonly KeptDocument[] {
    return this.#rows('SELECT * FROM documents WHERE kind = ? ORDER BY key', kind)
      .map(documentOf)
      .filter(document => document !== undefined)
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #rows(sql: string, ...values: Value[]): Row[] {
    return this.#prepared(sql).all(...values) as Row[]
  }

  #run(sql: string, ...values: Value[]): void {
    this.#prepared(sql).run(...values)
  }

  #insert(how: string, table: string, columns: readonly string[], values: Value[]): void {
    const marks = columns.map(() => '?').join(', ')
    this.#run(`${how} INTO ${table} (${columns.join(', ')}) VALUES (${marks})`, ...values)
  }

  /** Statements are few: each is prepared once. */
  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) this.#statements.set(sql, (statement = this.#database.prepare(sql)))
    return statement
  }
}
