/** The option that names a database, and the variable that does so without showing a password in lists of processes. */
import { Option } from 'commander'
import { NorthbridgeError } from '../core/errors.ts'
import type { StorePlace } from '../durability/index.ts'

const VARIABLE = 'DATABASE_URL'

export const databaseOption = (what: string): Option =>
  new Option('--database <url>', `${what} (default: ${VARIABLE} of the environment)`)

/**
 * Where an installation is kept: a folder that was asked for goes before a variable that happens to be set. Throws
 * `invalidArgument` for two places at once.
 */
export function placeOf({ data, database }: StorePlace): StorePlace {
  if (data !== undefined && database !== undefined) {
    throw new NorthbridgeError(
      'invalidArgument',
      'an installation is kept in a folder (--data) or in a database (--database), not in both',
    )
  }
  return { data, database: database ?? (data === undefined ? process.env[VARIABLE] : undefined) }
}
