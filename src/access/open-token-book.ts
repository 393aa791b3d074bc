/** Where the tokens of an installation are. */
import type { StorePlace } from '../durability/index.ts'
import { SqliteDocuments } from '../store/index.ts'
import { TokenBook } from './token-book.ts'

/** Beside a server that may keep the installation; undefined if nothing is to be kept. Throws `storeFailed`. */
export async function openTokenBook({ data, database }: StorePlace): Promise<TokenBook | undefined> {
  if (database !== undefined) {
    // Only who has a database needs its driver.
    const { PostgresDocuments } = await import('../store/postgres/index.ts')
    return new TokenBook(await PostgresDocuments.open(database))
  }
  return data === undefined ? undefined : new TokenBook(new SqliteDocuments(data))
}
