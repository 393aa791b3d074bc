/** Recorded files as text: plain or packed with gzip, whatever their names say. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { NorthbridgeError } from '../core/index.ts'

/** Larger files, unpacked, are not recordings. */
const MOST_BYTES = 2 ** 29

/** Throws `notFound` if there is no such file, `malformedInput` if it is too large or cannot be unpacked. */
export function readText(path: string): string {
  const status = statSync(path, { throwIfNoEntry: false })
  if (!status?.isFile()) throw new NorthbridgeError('notFound', `there is no file ${path}`)
  if (status.size > MOST_BYTES)
    throw new NorthbridgeError('malformedInput', `${path} is larger than ${MOST_BYTES} bytes`)
  const bytes = readFileSync(path)
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes.toString('utf8')
  try {
    return gunzipSync(bytes, { maxOutputLength: MOST_BYTES }).toString('utf8')
  } catch (error) {
    throw new NorthbridgeError('malformedInput', `${path} cannot be unpacked: ${(error as Error).message}`)
  }
}

/** A file as it is; of a folder, the files in it that may hold programs, by name. */
export function filesIn(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return [path]
  return readdirSync(path)
    .filter(name => /\.jsonl?(?:\.gz)?$/.test(name))
    .sort()
    .map(name => join(path, name))
}

export const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
