/** Documents of a PostgreSQL database, beside the server that keeps it. */
import { Pool } from 'pg'
import type { KeptDocument } from '../records.ts'
import { DOCUMENT_COLUMNS, documentOf, documentRow } from '../rows.ts'
import type { SharedDocuments } from '../shared-documents.ts'
import { connectionOptions, storeFailure } from './connect.ts'
import { prepareDatabase } from './schema.ts'

/** Milliseconds after which a connection that nobody uses is closed. */
const IDLE_MS = 10_000

export class PostgresDocuments implements SharedDocuments {
  readonly #pool: Pool

  private constructor(pool: Pool) {
    this.#pool = pool
  }

  /** Throws `storeFailed`, and `invalidArgument` for what is no address of a database. */
  static async open(url: string): Promise<PostgresDocuments> {
    await prepareDatabase(url)
    const pool = new Pool({ ...connectionOptions(url, 'documents'), max: 1, idleTimeoutMillis: IDLE_MS })
    // A connection that is lost while nobody uses it is made again when somebody does.
    pool.on('error', () => {})
    return new PostgresDocuments(pool)
  }

  documents(kind: string): Promise<readonly KeptDocument[]> {
    return this.#do(async () => {
      const { rows } = await this.#pool.query(
        'SELECT * FROM northbridge.documents WHERE kind = $1 ORDER BY key',
        [kind],
      )
      return rows.map(documentOf).filter(document => document !== undefined)
    })
  }

  put(document: KeptDocument): Promise<void> {
    return this.#do(async () => {
      if (document.value === undefined) {
        await this.#pool.query('DELETE FROM northbridge.documents WHERE kind = $1 AND key = $2', [
          document.kind,
          document.key,
        ])
        return
      }
      await this.#pool.query(
        `INSERT INTO northbridge.documents (${DOCUMENT_COLUMNS.join(', ')}) VALUES ($1, $2, $3, $4)
         ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, digest = excluded.digest`,
        documentRow(document),
      )
    })
  }

  async close(): Promise<void> {
    await this.#pool.end()
  }

  async #do<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      throw storeFailure(error)
    }
  }
}
