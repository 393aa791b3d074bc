/** The data sheets that ship with the package, as files in its top-level `devices/`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { NorthbridgeError, packageFile, parseDocument } from '../core/index.ts'
import { type DataSheet, dataSheetSchema } from './data-sheet.ts'

const FOLDER = packageFile('devices/')

/** Names of all data sheets, sorted. */
export const dataSheetNames = (): string[] =>
  readdirSync(fileURLToPath(FOLDER))
    .filter(file => file.endsWith('.json'))
    .map(file => file.slice(0, -'.json'.length))
    .sort()

/** Those that were asked for: they come with the package and do not change. */
const loaded = new Map<string, DataSheet>()

/** What `devices/<name>.json` holds. Throws `notFound`, and `invalidDocument` for a file that breaks the schema. */
export function loadDataSheet(name: string): DataSheet {
  let sheet = loaded.get(name)
  if (sheet === undefined) loaded.set(name, (sheet = readDataSheet(name)))
  return sheet
}

function readDataSheet(name: string): DataSheet {
  const file = /^[a-z0-9][a-z0-9.-]*$/.test(name) ? fileURLToPath(new URL(`${name}.json`, FOLDER)) : undefined
  if (file === undefined || !existsSync(file)) {
    throw new NorthbridgeError('notFound', `there is no data sheet "${name}"`, {
      available: dataSheetNames(),
    })
  }
  return parseDocument(dataSheetSchema, JSON.parse(readFileSync(file, 'utf8')), `data sheet ${name}`)
}
