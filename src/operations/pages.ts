/** Long lists in pages. A cursor points behind the key of the last item, so it survives changes of the list. */
import { NorthbridgeError } from '../core/index.ts'
import type { ListKey } from './operation.ts'

export interface Page {
  readonly items: readonly unknown[]
  /** Cursor of the next page; absent on the last. */
  readonly next?: string
}

export const DEFAULT_LIMIT = 100
export const MOST_LIMIT = 1000

/** A page of a list that ascends by `key`. Throws `invalidArgument` for a foreign cursor. */
export function pageOf(
  items: readonly unknown[],
  key: ListKey,
  limit: number = DEFAULT_LIMIT,
  cursor?: string,
): Page {
  const keyOf = key as (item: unknown) => string | number
  const after = cursor === undefined ? undefined : decode(cursor)
  const start = after === undefined ? 0 : items.findIndex(item => keyOf(item) > after)
  if (start < 0) return { items: [] }
  const page = items.slice(start, start + limit)
  if (start + limit >= items.length) return { items: page }
  return { items: page, next: encode(keyOf(page.at(-1))) }
}

const encode = (key: string | number): string => Buffer.from(JSON.stringify(key)).toString('base64url')

function decode(cursor: string): string | number {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (typeof key === 'string' || typeof key === 'number') return key
  } catch {
    // Answered below, like any other foreign text.
  }
  const message = 'is not a cursor that this list gave out'
  throw new NorthbridgeError('invalidArgument', `cursor ${message}`, {
    issues: [{ path: '/cursor', message }],
  })
}
