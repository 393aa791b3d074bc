/** Request bodies: JSON text into a value, nothing repaired. */
import { NorthbridgeError } from '../core/index.ts'

/** Parses a body; nothing at all is `undefined`. Throws `malformedInput`. */
export function parseBody(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new NorthbridgeError('malformedInput', `The body is not JSON: ${(error as Error).message}`)
  }
}

/** Type and subtype that are read as JSON. */
export const JSON_MEDIA_TYPE = /^application\/(?:[\w.-]+\+)?json(?:\s*;|$)/i
