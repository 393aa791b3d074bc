/** A server with two teams, for tests of the border between them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { Guard, Namespaces, openTokenBook, type Role, type ServerLimits } from '../../src/access/index.ts'
import { buildApp } from '../../src/api/index.ts'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** As it came. */
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into JSON of every shape
  readonly body: any
}

export type Ask = (
  method: string,
  url: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<Reply>

export interface Teams {
  readonly app: FastifyInstance
  readonly namespaces: Namespaces
  /** What the log has said. */
  readonly log: string[]
  /** Somebody with a token of their own. */
  member(role: Role, namespace?: string): Promise<Ask>
  /** Somebody without. */
  readonly stranger: Ask
  close(): Promise<void>
}

export async function teams(limits?: ServerLimits, files?: string): Promise<Teams> {
  const folder = mkdtempSync(join(tmpdir(), 'northbridge-teams-'))
  const book = (await openTokenBook({ data: folder }))!
  await book.create({ role: 'admin', note: 'so that everybody needs one' }, 1)
  const guard = await Guard.open({ book })
  const namespaces = await Namespaces.open({ ...(limits && { limits }), files })
  const log: string[] = []
  const logger = { level: 'info', stream: { write: (line: string) => void log.push(line) } }
  const app = await buildApp({ namespaces, guard, logger })
  const asker =
    (token?: string): Ask =>
    async (method, url, body, headers = {}) => {
      const payload =
        body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: {
          accept: 'application/json',
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...payload,
      })
      const json = /json/.test(String(response.headers['content-type']))
      const text = response.body
      return {
        status: response.statusCode,
        headers: response.headers,
        text,
        body: text === '' ? undefined : json ? JSON.parse(text) : text,
      }
    }
  return {
    app,
    namespaces,
    log,
    stranger: asker(),
    async member(role, namespace) {
      const { text } = await book.create({ role, ...(namespace !== undefined && { namespace }) }, 1)
      await guard.refresh()
      return asker(text)
    },
    async close() {
      await app.close()
      await namespaces.close()
      await guard.close()
      rmSync(folder, { recursive: true })
    },
  }
}
