/** The text of QEMU's options: the words of a shell line, and lists of properties. */
import { NorthbridgeError } from '../../core/index.ts'

/** `driver,key=value,…` or `{"driver": …}`, keys as written. */
export interface DeviceArgument {
  readonly driver: string
  readonly properties: ReadonlyMap<string, string>
}

export const malformed = (message: string): never => {
  throw new NorthbridgeError('malformedInput', `QEMU arguments: ${message}`)
}

/** The words of a shell line: blanks part them unless quoted. */
export function words(text: string): string[] {
  const found: string[] = []
  let word: string | undefined
  let quote: string | undefined
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]!
    if (quote !== undefined) {
      if (letter === quote) quote = undefined
      else if (letter === '\\' && quote === '"' && /["\\$]/.test(text[i + 1] ?? ''))
        word = `${word}${text[++i]}`
      else word = `${word}${letter}`
    } else if (letter === '"' || letter === "'") {
      quote = letter
      word ??= ''
    } else if (letter === '\\') {
      const next = text[++i]
      if (next !== undefined && next !== '\n') word = (word ?? '') + next
    } else if (/\s/.test(letter)) {
      if (word !== undefined) found.push(word)
      word = undefined
    } else if (letter === '#' && word === undefined) {
      while (i + 1 < text.length && text[i + 1] !== '\n') i++
    } else word = (word ?? '') + letter
  }
  if (quote !== undefined) malformed(`a quotation mark ${quote} is not closed`)
  if (word !== undefined) found.push(word)
  return found
}

/** `a=1,b=2`: `,,` is a comma, a key without a value is on. */
export function parseProperties(text: string, first?: string): Map<string, string> {
  const properties = new Map<string, string>()
  const parts = text.replaceAll(',,', '\0').split(',')
  for (const [i, raw] of parts.entries()) {
    const part = raw.replaceAll('\0', ',')
    const equals = part.indexOf('=')
    if (part === '') continue
    if (equals < 0 && i === 0 && first !== undefined) properties.set(first, part)
    else if (equals < 0) properties.set(part, 'on')
    else properties.set(part.slice(0, equals), part.slice(equals + 1))
  }
  return properties
}

export function parseDevice(text: string): DeviceArgument {
  const properties = text.startsWith('{') ? jsonProperties(text) : parseProperties(text, 'driver')
  const driver = properties.get('driver')
  if (driver === undefined) return malformed(`-device ${text} names no driver`)
  properties.delete('driver')
  return { driver, properties }
}

function jsonProperties(text: string): Map<string, string> {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return malformed(`-device ${text} is not JSON`)
  }
  if (typeof document !== 'object' || document === null) return malformed(`-device ${text} is no object`)
  return new Map(
    Object.entries(document).map(([key, value]) => [
      key,
      typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value),
    ]),
  )
}
