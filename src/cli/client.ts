/** Carries out operations by a running server, of which it knows what the catalogue says. */
import { ERROR_TITLES, type ErrorCode, NorthbridgeError } from '../core/errors.ts'
import type { InputOf, OperationId, OutputOf } from '../operations/index.ts'
import { type OperationEntry, operationEntry } from './catalogue/catalogue.ts'

export type Call = <Id extends OperationId>(id: Id, input: InputOf<Id>) => Promise<OutputOf<Id>>

/** @param token is sent along; default: the one that `NORTHBRIDGE_TOKEN` holds, if any */
export const remoteCall =
  (server: string, token = process.env['NORTHBRIDGE_TOKEN']): Call =>
  async (id, input) => {
    const row = operationEntry(id)
    if (row.list === undefined) return (await send(server, row, input, token)) as OutputOf<typeof id>
    const items: unknown[] = []
    let cursor: string | undefined
    do {
      const page = (await send(
        server,
        row,
        { ...input, ...(cursor === undefined ? {} : { cursor }) },
        token,
      )) as {
        items: unknown[]
        next?: string
      }
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== undefined)
    return items as unknown as OutputOf<typeof id>
  }

async function send(
  server: string,
  { rest }: OperationEntry,
  input: object,
  token: string | undefined,
): Promise<unknown> {
  const left = { ...input } as Record<string, unknown>
  const path = rest.path.replace(/\{(\w+)\}/g, (_match, name: string) => {
    const value = left[name]
    delete left[name]
    return encodeURIComponent(String(value))
  })
  const inQuery = rest.method === 'GET' || rest.method === 'DELETE'
  const query = inQuery
    ? new URLSearchParams(Object.entries(left).map(([key, value]): [string, string] => [key, String(value)]))
    : ''
  const body = inQuery ? undefined : JSON.stringify(rest.body === undefined ? left : left[rest.body])
  const url = `${server.replace(/\/$/, '')}${path}${query.toString() === '' ? '' : `?${query}`}`
  const response = await fetch(url, {
    method: rest.method,
    headers: {
      accept: rest.media ?? 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
  }).catch(error => {
    throw new NorthbridgeError(
      'notFound',
      `No server answers at ${server} (${(error as { cause?: Error }).cause?.message ?? (error as Error).message})`,
    )
  })
  const text = await response.text()
  if (response.ok) return text === '' ? null : rest.media === undefined ? JSON.parse(text) : text
  throw errorOf(text, response.status)
}

function errorOf(text: string, status: number): NorthbridgeError {
  try {
    const {
      type: _type,
      title: _title,
      status: _status,
      instance: _instance,
      code,
      detail,
      ...details
    } = JSON.parse(text)
    if (Object.hasOwn(ERROR_TITLES, code))
      return new NorthbridgeError(code as ErrorCode, String(detail), details)
  } catch {
    // Not one of ours: said below.
  }
  return new NorthbridgeError('defect', `The server answered ${status} without a problem document`)
}
