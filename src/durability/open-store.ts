/** Which store an installation is kept in. */
import { SqliteStore, type Store } from '../store/index.ts'

export interface StorePlace {
  /** Folder. */
  readonly data?: string | undefined
  /** Address of a PostgreSQL database. */
  readonly database?: string | undefined
}

/** Undefined if nothing is to be kept. */
export async function openStore({ data, database }: StorePlace): Promise<Store | undefined> {
  if (database === undefined) return data === undefined ? undefined : new SqliteStore(data)
  // Only who has a database needs its driver.
  const { PostgresStore } = await import('../store/postgres/index.ts')
  return new PostgresStore(database)
}
