import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestServer, testServer } from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.app.close())

const MINIMAL = { name: 'minimal', iommu: { kind: 'none' }, hostBridges: [{}] }

describe('topologies', () => {
  it('are created, shown, replaced, listed and forgotten', async () => {
    const created = await server.request('POST', '/v1/topologies', MINIMAL)
    expect(created).toMatchObject({ status: 201, body: { name: 'minimal', shipped: false } })
    expect(created.headers['location']).toBe('/v1/topologies/minimal')
    expect((await server.request('POST', '/v1/topologies', MINIMAL)).body.code).toBe('nameTaken')
    const replaced = await server.request('PUT', '/v1/topologies/minimal', {
      ...MINIMAL,
      description: 'second',
    })
    expect(replaced).toMatchObject({ status: 200, body: { description: 'second' } })
    expect((await server.request('GET', '/v1/topologies/minimal')).body.description).toBe('second')
    expect((await server.request('DELETE', '/v1/topologies/minimal')).status).toBe(204)
    expect((await server.request('GET', '/v1/topologies/minimal')).status).toBe(404)
  })

  it('are judged without being stored', async () => {
    const good = await server.request('POST', '/v1/topologies/validate', MINIMAL)
    expect(good).toMatchObject({ status: 200, body: { valid: true, topology: { name: 'minimal' } } })
    expect((await server.request('GET', '/v1/topologies/minimal')).status).toBe(404)
    const bad = await server.request('POST', '/v1/topologies/validate', {
      ...MINIMAL,
      hostBridges: [{ bus: '0' }],
    })
    expect(bad).toMatchObject({ status: 422, body: { code: 'invalidDocument' } })
    expect(bad.body.issues[0].path).toBe('/hostBridges/0/bus')
  })

  it('keep the name that the path gives them', async () => {
    const answer = await server.request('PUT', '/v1/topologies/other', MINIMAL)
    expect(answer).toMatchObject({ status: 422, body: { issues: [{ path: '/name' }] } })
  })

  it('that ship with Northbridge cannot be changed', async () => {
    const { body } = await server.request('GET', '/v1/topologies/one-socket-82576')
    expect((await server.request('PUT', '/v1/topologies/one-socket-82576', body)).status).toBe(409)
    expect((await server.request('DELETE', '/v1/topologies/one-socket-82576')).status).toBe(409)
  })
})

describe('lists', () => {
  it('come in pages that a cursor links', async () => {
    const all = await server.request('GET', '/v1/topologies')
    const names: string[] = []
    let cursor = ''
    do {
      const page = await server.request('GET', `/v1/topologies?limit=2${cursor}`)
      expect(page.body.items.length).toBeLessThanOrEqual(2)
      names.push(...page.body.items.map((item: { name: string }) => item.name))
      cursor = page.body.next === undefined ? '' : `&cursor=${page.body.next}`
    } while (cursor !== '')
    expect(names).toEqual(all.body.items.map((item: { name: string }) => item.name))
    expect(names.length).toBeGreaterThan(5)
  })

  it.each([
    ['limit=0', '/limit'],
    ['limit=1001', '/limit'],
    ['limit=1e2', '/limit'],
    ['limit=', '/limit'],
    ['limit=1&limit=2', '/limit'],
    ['limit=0x10', '/limit'],
    ['cursor=%00', '/cursor'],
    ['page=2', '/page'],
    ['__proto__=1', '/__proto__'],
  ])('refuse ?%s', async (query, path) => {
    const answer = await server.request('GET', `/v1/topologies?${query}`)
    expect(answer.status).toBe(422)
    expect(answer.body.issues[0].path).toBe(path)
  })
})

describe('a boolean in a query', () => {
  const url = '/v1/platforms/none/vms/a/viommu/mappings/0000:01:00.0/0x1000'

  it.each(['true', 'false'])('may be %s', async text => {
    expect(await server.request('DELETE', `${url}?told=${text}`)).toMatchObject({ status: 404 })
  })

  it.each(['1', 'False', '', 'true&told=false'])('is not %s', async text => {
    const answer = await server.request('DELETE', `${url}?told=${text}`)
    expect(answer).toMatchObject({ status: 422, body: { issues: [{ path: '/told' }] } })
  })
})

describe('errors', () => {
  it.each([
    ['GET', '/v1/nothing'],
    ['GET', '/v1/platforms/none'],
    ['DELETE', '/v1/platforms/none'],
    ['GET', '/v1/platforms/none/functions'],
    ['GET', '/v1/platforms/none/functions/0000:00:00.0'],
    ['GET', '/v1/platforms/none/vms/a/vcpus/0'],
    ['GET', '/v1/platforms/none/vms/a/vcpus/zero'],
    ['GET', '/v1/platforms/none/events'],
    ['PATCH', '/v1/platforms'],
    ['GET', `/v1/topologies/${'x'.repeat(200)}`],
  ])('%s %s is not found', async (method, url) => {
    const { status, headers, body } = await server.request(method, url)
    expect(status).toBe(404)
    expect(headers['content-type']).toMatch('application/problem+json')
    expect(body).toMatchObject({ type: 'urn:northbridge:problem:notFound', code: 'notFound', status: 404 })
    expect(body.detail).not.toBe('')
  })

  it('tell malformed JSON (400) from wrong content (422), type (415) and size (413)', async () => {
    const post = (body: string, headers = {}) => server.request('POST', '/v1/platforms', body, headers)
    for (const text of ['{', '{"topology":}', 'nope', '{"a":1}}', '\u0000', "{'topology':'x'}"]) {
      expect(await post(text)).toMatchObject({ status: 400, body: { code: 'malformedInput' } })
    }
    expect(await post('null')).toMatchObject({ status: 422, body: { issues: [{ path: '' }] } })
    expect(await post('[]')).toMatchObject({ status: 422, body: { issues: [{ path: '' }] } })
    expect(await post('{}')).toMatchObject({ status: 422, body: { issues: [{ path: '/topology' }] } })
    expect(await post('{}', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
    expect(await post('a=b', { 'content-type': 'application/x-www-form-urlencoded' })).toMatchObject({
      status: 415,
    })
    const huge = await post(JSON.stringify({ topology: 'x'.repeat(17 * 2 ** 20) }))
    expect(huge).toMatchObject({ status: 413, body: { code: 'payloadTooLarge' } })
  })

  it('survive a body nested half a million levels deep', async () => {
    const deep = '['.repeat(500_000) + ']'.repeat(500_000)
    const answer = await server.request('POST', '/v1/topologies', deep)
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalidDocument' } })
    const inside = await server.request('POST', '/v1/platforms', `{"topology":{"hostBridges":${deep}}}`)
    expect(inside.status).toBe(422)
    expect(inside.body.issues[0].path).toMatch(/^\/topology\/hostBridges\/0\/0/)
  })

  it('do not let a body or query speak for the path', async () => {
    const answer = await server.request('POST', '/v1/platforms/a/vms', {
      platform: 'b',
      name: 'x',
      vcpus: 1,
      memoryMiB: 64,
    })
    expect(answer).toMatchObject({ status: 422, body: { issues: [{ path: '/platform' }] } })
    const query = await server.request('POST', '/v1/topologies?name=other', MINIMAL)
    expect(query).toMatchObject({ status: 422, body: { issues: [{ path: '/name' }] } })
  })
})

describe('Idempotency-Key', () => {
  const create = (name: string, key: string) =>
    server.request('POST', '/v1/topologies', { ...MINIMAL, name }, { 'idempotency-key': key })

  it('replays the answer to the same request', async () => {
    const first = await create('once', 'key-1')
    const again = await create('once', 'key-1')
    expect(first.status).toBe(201)
    expect(again).toMatchObject({ status: 201, body: first.body })
    expect(again.headers['location']).toBe(first.headers['location'])
    expect(again.headers['idempotent-replayed']).toBe('true')
    expect((await server.request('POST', '/v1/topologies', { ...MINIMAL, name: 'once' })).status).toBe(409)
  })

  it('replays refusals too, and answers requests that are sent at the same time once', async () => {
    const answers = await Promise.all([
      create('twice', 'key-2'),
      create('twice', 'key-2'),
      create('twice', 'key-2'),
    ])
    expect(answers.map(answer => answer.status)).toEqual([201, 201, 201])
    const refused = [await create('twice', 'key-3'), await create('twice', 'key-3')]
    expect(refused.map(answer => answer.body.code)).toEqual(['nameTaken', 'nameTaken'])
  })

  it('belongs to one request', async () => {
    await create('one', 'key-4')
    expect(await create('other', 'key-4')).toMatchObject({
      status: 422,
      body: { code: 'idempotencyConflict' },
    })
    expect((await server.request('GET', '/v1/topologies/other')).status).toBe(404)
  })

  it('must be printable and not too long', async () => {
    expect((await create('long', 'k'.repeat(256))).status).toBe(422)
    expect((await create('long', 'a b')).status).toBe(422)
  })
})
