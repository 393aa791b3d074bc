/** Documents in files: JSON, or YAML 1.2, whose every JSON document is one too. */
import { readFileSync } from 'node:fs'
import { parseDocument, YAMLParseError } from 'yaml'
import { NorthbridgeError } from '../core/errors.ts'

/** The document in a file, unjudged. Throws `notFound`, `malformedInput`. */
export function readDocument(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new NorthbridgeError('notFound', `${path} cannot be read: ${(error as Error).message}`)
  }
  return parseText(text, path)
}

/** Parses JSON or YAML. Throws `malformedInput` naming `what`. */
export function parseText(text: string, what: string): unknown {
  if (/^\s*[{[]/.test(text)) {
    try {
      return JSON.parse(text)
    } catch {
      // YAML's flow style begins alike, and its parser says better where it went wrong.
    }
  }
  const document = parseDocument(text, { uniqueKeys: true, stringKeys: true })
  const [error] = document.errors
  if (error !== undefined) throw malformed(what, error)
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw malformed(what, error as Error)
  }
}

const malformed = (what: string, error: Error): NorthbridgeError =>
  new NorthbridgeError(
    'malformedInput',
    `${what} is neither JSON nor YAML: ${error instanceof YAMLParseError ? error.message.trim() : error.message}`,
  )
