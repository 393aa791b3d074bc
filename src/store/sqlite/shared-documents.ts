/** Documents in the file of an installation, beside the server that keeps it. What is asked for is small: no thread. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { NorthbridgeError } from '../../core/index.ts'
import type { KeptDocument } from '../records.ts'
import { DOCUMENT_COLUMNS, documentOf, documentRow, type Row } from '../rows.ts'
import type { SharedDocuments } from '../shared-documents.ts'
import { prepareTables } from './schema.ts'

export class SqliteDocuments implements SharedDocuments {
  readonly #database: DatabaseSync

  /**
   * Throws `storeFailed`.
   *
   * @param folder of the installation; it is made if it is not there
   */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true })
    this.#database = new DatabaseSync(join(folder, 'northbridge.sqlite'))
    this.#do(() => prepareTables(this.#database))
  }

  async documents(kind: string): Promise<readonly KeptDocument[]> {
    const rows = this.#do(() =>
      this.#database.prepare('SELECT * FROM documents WHERE kind = ? ORDER BY key').all(kind),
    )
    return rows.map(row => documentOf(row as Row)).filter(document => document !== undefined)
  }

  async put(document: KeptDocument): Promise<void> {
    const { kind, key, value } = document
    this.#do(() => {
      if (value === undefined) {
        this.#database.prepare('DELETE FROM documents WHERE kind = ? AND key = ?').run(kind, key)
      } else {
        const marks = DOCUMENT_COLUMNS.map(() => '?').join(', ')
        this.#database
          .prepare(`INSERT OR REPLACE INTO documents (${DOCUMENT_COLUMNS.join(', ')}) VALUES (${marks})`)
          .run(...documentRow(document))
      }
    })
  }

  async close(): Promise<void> {
    this.#database.close()
  }

  #do<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      if (error instanceof NorthbridgeError) throw error
      throw new NorthbridgeError('storeFailed', `SQLite: ${(error as Error).message}`)
    }
  }
}
