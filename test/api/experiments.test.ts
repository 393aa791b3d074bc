/** Experiments of a server: simulated on its threads, followed, cancelled, and read. */
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NorthbridgeError } from '../../src/core/index.ts'
import { planSweep, sweepResult } from '../../src/experiments/index.ts'
import { now } from '../../src/operations/index.ts'
import { launchOn, pointRunner, ThreadPool } from '../../src/workers/index.ts'
import { documentWith, QUICK } from '../experiments/sweeps/documents.ts'
import { type TestServer, testServer } from './server.ts'

const threads = new ThreadPool(2)
let server: TestServer
let url = ''
beforeAll(async () => {
  server = await testServer({ heartbeatMs: 1000, launch: launchOn(threads) })
  await server.app.listen({ port: 0, host: '127.0.0.1' })
  url = `http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}/v1/experiments`
})
afterAll(async () => {
  await server.app.close()
  await threads.close()
})

/** More than anybody wants to wait for. */
const LONG = documentWith({
  configuration: { ...QUICK, duration: 1e7 },
  axes: [{ field: '/workload/bytes', from: 1, to: 5000, step: 1 }],
})

const post = (document: object, accept = 'application/json'): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify(document),
  })

const begun = async (document: object): Promise<string> => {
  const response = await post(document)
  expect(response.status).toBe(202)
  return ((await response.json()) as { id: string }).id
}

/** The events of a stream that the server ends. */
async function eventsOf(response: Response): Promise<{ event: string; data: Record<string, unknown> }[]> {
  expect(response.headers.get('content-type')).toBe('text/event-stream')
  return (await response.text())
    .split('\n\n')
    .filter(block => block.includes('event: '))
    .map(block => ({
      event: /^event: (.*)$/m.exec(block)![1]!,
      data: JSON.parse(/^data: (.*)$/m.exec(block)![1]!),
    }))
}

async function ended(location: string): Promise<Record<string, unknown>> {
  await eventsOf(await fetch(`${location}/events`, { headers: { accept: 'text/event-stream' } }))
  return (await server.request('GET', new URL(location).pathname)).body
}

describe('an experiment that is posted', () => {
  it('is accepted at once, has a place of its own, and ends with a result', async () => {
    const response = await post(documentWith())
    expect(response.status).toBe(202)
    const { id } = (await response.json()) as { id: string }
    expect(response.headers.get('location')).toBe(`/v1/experiments/${id}`)
    expect(await ended(`${url}/${id}`)).toMatchObject({ state: 'done', points: 6, done: 6, passed: true })
  })

  it('has the result, byte for byte, that this process gives', async () => {
    const document = documentWith({ seed: 5 })
    const id = await begun(document)
    await ended(`${url}/${id}`)
    const { body } = await server.request('GET', `/v1/experiments/${id}/result`)
    const plan = planSweep(document, () => {
      throw new Error('it names no topology')
    })
    const here = sweepResult(plan, await pointRunner(1).run(plan.points))
    expect(JSON.stringify(body)).toBe(JSON.stringify(here))
  })

  it('has a report and a table that a browser and a spreadsheet open', async () => {
    const id = await begun(documentWith())
    await ended(`${url}/${id}`)
    const report = await server.request('GET', `/v1/experiments/${id}/report`)
    expect(report.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(report.body).toMatch(/^<!doctype html>/)
    const csv = await server.request('GET', `/v1/experiments/${id}/csv`)
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(csv.body.split('\r\n')).toHaveLength(8)
  })

  it('is followed from its beginning to its end, where the stream ends too', async () => {
    const id = await begun(documentWith())
    const events = await eventsOf(await fetch(`${url}/${id}/events`))
    const told = events.filter(({ event }) => event === 'experiment').map(({ data }) => data['message'])
    expect(told[0]).toBe('0 of 6: begins')
    expect(told.at(-1)).toBe('6 of 6: all is as expected')
    expect(told).toHaveLength(8)
    expect(events.at(-1)!.event).toBe('end')
  })

  it('may be followed by the very request that posts it', async () => {
    const events = await eventsOf(await post(documentWith(), 'text/event-stream'))
    const done = events.filter(({ event }) => event === 'experiment').map(({ data }) => data['detail'])
    expect(done.at(-1)).toMatchObject({ state: 'done', done: 6, total: 6 })
  })

  it('leaves the server answering', async () => {
    const id = await begun(LONG)
    const began = performance.now()
    expect((await fetch(`${url}/../../healthz`)).status).toBe(200)
    expect(performance.now() - began).toBeLessThan(5000)
    await server.request('DELETE', `/v1/experiments/${id}`)
  })
})

describe('an experiment that is cancelled', () => {
  it('ends its stream, has no result, and cannot be cancelled again', async () => {
    const id = await begun(LONG)
    const stream = fetch(`${url}/${id}/events`).then(eventsOf)
    const cancelled = await server.request('POST', `/v1/experiments/${id}/cancel`)
    expect(cancelled.body).toMatchObject({ state: 'cancelled' })
    expect((await stream).at(-2)!.data['message']).toMatch(/^\d+ of 5000: was cancelled$/)
    const result = await server.request('GET', `/v1/experiments/${id}/result`)
    expect(result).toMatchObject({ status: 409, body: { code: 'experimentCancelled' } })
    const again = await server.request('POST', `/v1/experiments/${id}/cancel`)
    expect(again).toMatchObject({ status: 409, body: { code: 'alreadyDone' } })
  })

  it('leaves its threads to the next', async () => {
    const id = await begun(LONG)
    await server.request('DELETE', `/v1/experiments/${id}`)
    expect((await server.request('GET', `/v1/experiments/${id}`)).status).toBe(404)
    const next = await begun(documentWith())
    expect(await ended(`${url}/${next}`)).toMatchObject({ state: 'done' })
  })
})

describe('an experiment that cannot be', () => {
  it('is refused with the fields that are wrong', async () => {
    const { status, body } = await server.request('POST', '/v1/experiments', documentWith({ seed: -1 }))
    expect(status).toBe(422)
    expect(body).toMatchObject({ code: 'invalidDocument', issues: [{ path: '/seed' }] })
  })

  it('is refused if it is a story: those are run by the command line', async () => {
    const { status, body } = await server.request('POST', '/v1/experiments', {
      title: 't',
      topology: 'one-socket-82576',
      steps: [{ say: 'x' }],
    })
    expect(status).toBe(422)
    expect(body.detail).toContain('/configuration')
  })

  it('fails where a simulation is refused, and answers with that refusal from then on', async () => {
    const refusal = new NorthbridgeError('outOfResources', 'at vms 9: there are 8 functions')
    const other = await testServer({ launch: job => now(() => job.fail(refusal)) })
    const { body } = await other.request('POST', '/v1/experiments', documentWith())
    expect(body).toMatchObject({
      state: 'failed',
      done: 0,
      error: { code: 'outOfResources', message: 'at vms 9: there are 8 functions' },
    })
    const result = await other.request('GET', `/v1/experiments/${body.id}/result`)
    expect(result).toMatchObject({ status: 409, body: { code: 'outOfResources' } })
    await other.app.close()
  })

  it('has no result before it has ended', async () => {
    const id = await begun(LONG)
    const { status, body } = await server.request('GET', `/v1/experiments/${id}/result`)
    expect([status, body.code]).toEqual([409, 'experimentRunning'])
    await server.request('DELETE', `/v1/experiments/${id}`)
  })
})
