import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { EventStream } from '../../src/api/event-stream.ts'
import { Trace } from '../../src/engine/index.ts'
import { type TestServer, testServer } from './server.ts'

interface SentEvent {
  readonly id?: string
  readonly event?: string
  readonly data?: string
  readonly comment?: string
}

let server: TestServer
let url = ''
beforeEach(async () => {
  server = await testServer({ heartbeatMs: 20 })
  await server.request('POST', '/v1/platforms', { topology: 'one-socket-82576', name: 'p' })
  await server.app.listen({ port: 0, host: '127.0.0.1' })
  url = `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}/v1/platforms/p/events`
})
afterEach(() => server.app.close())

/** Follows the stream until `enough` says so, then leaves. */
async function follow(
  enough: (events: readonly SentEvent[]) => boolean,
  headers: Record<string, string> = {},
  target = url,
): Promise<SentEvent[]> {
  const abort = new AbortController()
  const response = await fetch(target, { headers, signal: abort.signal })
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  const events: SentEvent[] = []
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body!) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      events.push(
        Object.fromEntries(
          block.split('\n').map(line => {
            const at = line.indexOf(':')
            return [at === 0 ? 'comment' : line.slice(0, at), line.slice(at + 1).trim()]
          }),
        ),
      )
    }
    if (enough(events)) break
  }
  abort.abort()
  return events
}

const kept = () => server.context.platforms.get('p').running.engine.trace
const ids = (events: readonly SentEvent[]) =>
  events.filter(event => event.id !== undefined).map(event => Number(event.id))

describe('the event stream of a platform', () => {
  it('begins with what is kept and goes on with what happens', async () => {
    const last = kept().last
    expect(last).toBeGreaterThan(0)
    const following = follow(events => ids(events).includes(last + 1))
    setTimeout(
      () => server.request('POST', '/v1/platforms/p/vms', { name: 'a', vcpus: 1, memoryMiB: 64 }),
      50,
    )
    const events = await following
    expect(ids(events).slice(0, last + 1)).toEqual(Array.from({ length: last + 1 }, (_, i) => i + 1))
    const first = JSON.parse(events.find(event => event.id === '1')!.data!)
    expect(first).toMatchObject({ sequence: 1, kind: 'power' })
  })

  it('resumes behind Last-Event-ID', async () => {
    const last = kept().last
    const events = await follow(seen => ids(seen).includes(last), { 'last-event-id': String(last - 2) })
    expect(ids(events)).toEqual([last - 1, last])
  })

  it('tells a gap where history was dropped, and goes on', async () => {
    const trace = kept()
    for (let i = 0; i < 40_000; i++) trace.emit('dma', 'filler', { i })
    expect(trace.oldest).toBeGreaterThan(1)
    const events = await follow(seen => ids(seen).includes(trace.last), { 'last-event-id': '2' })
    const [gap, next] = events.filter(event => event.id !== undefined)
    expect(gap!.event).toBe('gap')
    expect(JSON.parse(gap!.data!)).toEqual({ lastEventId: 2, resumesAt: trace.oldest })
    expect(next!.id).toBe(String(trace.oldest))
  })

  it('tells a gap to a client that remembers another life of the platform', async () => {
    const events = await follow(seen => ids(seen).includes(kept().last), { 'last-event-id': '999999' })
    expect(events.find(event => event.id !== undefined)!.event).toBe('gap')
    expect(ids(events)).toContain(1)
  })

  it('sends a comment now and then', async () => {
    const events = await follow(seen => seen.some(event => event.comment === 'heartbeat'))
    expect(events.at(-1)!.comment).toBe('heartbeat')
  })

  it('ends when the server shuts down', async () => {
    const following = follow(seen => seen.some(event => event.event === 'end'))
    setTimeout(() => server.app.close(), 50)
    expect((await following).at(-1)!.event).toBe('end')
  })

  it('ends when the platform is deleted', async () => {
    const following = follow(seen => seen.some(event => event.event === 'end'))
    setTimeout(() => server.request('DELETE', '/v1/platforms/p'), 50)
    expect((await following).at(-1)!.data).toContain('gone')
  })

  it('is refused for what is not an event id or not a platform', async () => {
    expect((await fetch(url, { headers: { 'last-event-id': 'x' } })).status).toBe(422)
    expect((await fetch(url.replace('/p/', '/q/'))).status).toBe(404)
  })

  it('comes as a list where JSON is asked for', async () => {
    const answer = await server.request('GET', '/v1/platforms/p/events?after=1&limit=2')
    expect(answer.body.items.map((item: { sequence: number }) => item.sequence)).toEqual([2, 3])
    expect(answer.body.next).toBeTypeOf('string')
  })
})

describe('a client that takes nothing', () => {
  /** A connection whose buffer is full from the first write on. */
  class FullConnection extends EventEmitter {
    readonly written: string[] = []
    destroyed = false
    readonly writableEnded = false
    writeHead(): void {}
    flushHeaders(): void {}
    write(text: string): boolean {
      this.written.push(text)
      return false
    }
    destroy(): void {
      this.destroyed = true
      this.emit('close')
    }
  }

  function follow(stalledMs: number) {
    const trace = new Trace(() => 0)
    const connection = new FullConnection()
    trace.emit('dma', 'first')
    new EventStream(connection as unknown as ServerResponse, { trace }, 0, { heartbeatMs: 5, stalledMs })
    return { trace, connection }
  }

  it('gets nothing more, not even heartbeats, until it has taken what it got', async () => {
    const { trace, connection } = follow(60_000)
    await sleep(30)
    trace.emit('dma', 'second')
    await sleep(30)
    expect(connection.written).toHaveLength(1)
    connection.emit('drain')
    await sleep(30)
    expect(connection.written.join('')).toContain('second')
    connection.destroy()
  })

  it('is dropped after a while', async () => {
    const { connection } = follow(40)
    await sleep(10)
    expect(connection.destroyed).toBe(false)
    await sleep(200)
    expect(connection.destroyed).toBe(true)
  })
})
