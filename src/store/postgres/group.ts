/** A group of commits as few statements: each of them is a way to the database and back. */
import type { Client, QueryConfig } from 'pg'
import type { Commit } from '../records.ts'
import { MOST_ANSWERS, MOST_SNAPSHOTS } from '../retention.ts'
import {
  ANSWER_COLUMNS,
  answerRow,
  COMMAND_COLUMNS,
  commandRow,
  DOCUMENT_COLUMNS,
  documentRow,
  SNAPSHOT_COLUMNS,
  snapshotRow,
} from '../rows.ts'
import { takenOver } from './owned-connection.ts'

/** Milliseconds after which a statement that has no answer is taken for lost. */
const ANSWER_MS = 30_000

type Value = string | number | null | Uint8Array
type Rows = readonly (readonly Value[])[]

/**
 * Makes a group durable as a whole. `number` counts the groups of the database: one that had got there before, though
 * nobody heard of it, is not written again. Throws `storeFailed` if the database is another server's now.
 */
export async function writeGroup(
  client: Client,
  owner: number,
  number: number,
  group: readonly Commit[],
): Promise<void> {
  const run = async (text: string, values: unknown[] = []): Promise<number | null> => {
    // The driver knows this option of a statement; its types do not.
    const statement: QueryConfig & { query_timeout: number } = { text, values, query_timeout: ANSWER_MS }
    return (await client.query(statement)).rowCount
  }
  await run('BEGIN')
  const own = 'UPDATE northbridge.installation SET groups = $2 WHERE owner = $1 AND groups = $2::bigint - 1'
  if ((await run(own, [owner, number])) === 0) {
    await run('ROLLBACK')
    const { rows } = await client.query('SELECT owner, groups FROM northbridge.installation')
    if (Number(rows[0]?.owner) !== owner || Number(rows[0].groups) !== number) throw takenOver()
    return
  }
  for (const { text, values } of statementsOf(group)) await run(text, values)
  await run('COMMIT')
}

interface Statement {
  readonly text: string
  readonly values: unknown[]
}

/** What a group does, in an order that comes to the same as its own. */
function* statementsOf(group: readonly Commit[]): Generator<Statement> {
  let batch = new Batch()
  for (const commit of group) {
    if (commit.forgotten !== undefined && commit.forgotten.length > 0) {
      // What comes behind it may be of another world of the same name.
      yield* batch.statements()
      batch = new Batch()
      for (const table of ['commands', 'snapshots'])
        yield {
          text: `DELETE FROM northbridge.${table} WHERE world = ANY($1)`,
          values: [commit.forgotten],
        }
    }
    batch.add(commit)
  }
  yield* batch.statements()
}

/** Records that can be written table by table: of those that replace each other only the last is left. */
class Batch {
  readonly #commands: (readonly Value[])[] = []
  readonly #snapshots = new Map<string, readonly Value[]>()
  readonly #documents = new Map<
    string,
    { readonly id: readonly [kind: string, key: string]; row?: Value[] }
  >()
  readonly #answers = new Map<string, readonly Value[]>()

  add({ commands = [], snapshots = [], documents = [], answer }: Commit): void {
    this.#commands.push(...commands.map(commandRow))
    for (const snapshot of snapshots)
      this.#snapshots.set(JSON.stringify([snapshot.world, snapshot.sequence]), snapshotRow(snapshot))
    for (const document of documents) {
      const id = [document.kind, document.key] as const
      this.#documents.set(JSON.stringify(id), {
        id,
        ...(document.value !== undefined && { row: documentRow(document) }),
      })
    }
    if (answer === undefined) return
    // The last is the newest, also if it has replaced another.
    this.#answers.delete(answer.key)
    this.#answers.set(answer.key, answerRow(answer))
  }

  *statements(): Generator<Statement> {
    if (this.#commands.length > 0) yield insert('commands', COMMAND_COLUMNS, COMMAND_TYPES, this.#commands)
    for (const row of this.#snapshots.values()) {
      yield insert('snapshots', SNAPSHOT_COLUMNS, SNAPSHOT_TYPES, [row], 'world, sequence')
      yield { text: FORGET_OLD_SNAPSHOTS, values: [row[0], MOST_SNAPSHOTS] }
    }
    const documents = [...this.#documents.values()]
    const put = documents.map(({ row }) => row).filter(row => row !== undefined)
    if (put.length > 0) yield insert('documents', DOCUMENT_COLUMNS, DOCUMENT_TYPES, put, 'kind, key')
    const gone = documents.filter(({ row }) => row === undefined).map(({ id }) => id)
    if (gone.length > 0) {
      yield {
        text: `DELETE FROM northbridge.documents
               WHERE (kind, key) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
        values: [gone.map(([kind]) => kind), gone.map(([, key]) => key)],
      }
    }
    if (this.#answers.size === 0) return
    yield insert('answers', ANSWER_COLUMNS, ANSWER_TYPES, [...this.#answers.values()], 'key', 'number')
    yield { text: FORGET_OLD_ANSWERS, values: [MOST_ANSWERS] }
  }
}

const COMMAND_TYPES = ['text', 'bigint', 'text', 'text', 'text', 'float8', 'bigint', 'text', 'text']
const SNAPSHOT_TYPES = ['text', 'bigint', 'text', 'integer', 'bytea', 'text']
const DOCUMENT_TYPES = ['text', 'text', 'text', 'text']
const ANSWER_TYPES = ['text', 'text', 'integer', 'text', 'text', 'text']

const FORGET_OLD_SNAPSHOTS = `
DELETE FROM northbridge.snapshots WHERE world = $1 AND origin = 0 AND sequence NOT IN (
  SELECT sequence FROM northbridge.snapshots WHERE world = $1 AND origin = 0 ORDER BY sequence DESC LIMIT $2)`

const FORGET_OLD_ANSWERS = `
DELETE FROM northbridge.answers WHERE number <= (SELECT max(number) FROM northbridge.answers) - $1::bigint`

/**
 * All rows by one statement, whose text is the same however many there are.
 *
 * @param identity columns by which a row replaces another; default: none does
 * @param renewed a column that counts, for which the row that replaces another is a new one
 */
function insert(
  table: string,
  columns: readonly string[],
  types: readonly string[],
  rows: Rows,
  identity?: string,
  renewed?: string,
): Statement {
  const arrays = types.map((type, i) => `$${i + 1}::${type}[]`).join(', ')
  const replaced = columns.map(column => `${column} = excluded.${column}`)
  if (renewed !== undefined) replaced.push(`${renewed} = DEFAULT`)
  const conflict =
    identity === undefined ? '' : `ON CONFLICT (${identity}) DO UPDATE SET ${replaced.join(', ')}`
  return {
    text: `INSERT INTO northbridge.${table} (${columns.join(', ')})
           SELECT * FROM unnest(${arrays}) ${conflict}`,
    values: columns.map((_column, i) => rows.map(row => row[i])),
  }
}
