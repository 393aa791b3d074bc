import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Guard, Namespaces } from '../../src/access/index.ts'
import { startServer } from '../../src/api/index.ts'
import { operationEntries } from '../../src/operations/index.ts'
import { type TestServer, testServer } from './server.ts'
import { type Ask, type Teams, teams } from './teams.ts'

let team: Teams
let viewer: Ask
let operator: Ask
let redAdmin: Ask
let admin: Ask
beforeAll(async () => {
  team = await teams()
  viewer = await team.member('viewer')
  operator = await team.member('operator', 'red')
  redAdmin = await team.member('admin', 'red')
  admin = await team.member('admin')
  await operator('POST', '/v1/platforms', { topology: 'one-socket-82576', name: 'p' })
})
afterAll(() => team.close())

describe('without a token', () => {
  it('every operation is refused, and the refusal says what is missing', async () => {
    for (const [id, { rest }] of operationEntries()) {
      const answer = await team.stranger(rest.method, rest.path.replace(/\{\w+\}/g, 'x'))
      expect(answer.status, id).toBe(401)
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="northbridge"')
      expect(answer.body).toMatchObject({ code: 'unauthenticated' })
    }
  })

  it('addresses that are none are not told from others', async () => {
    for (const url of ['/', '/v1/nothing', '/metrics', '/docs/../v1/platforms', '/v1%2fplatforms']) {
      expect((await team.stranger('GET', url)).status, url).toBe(401)
    }
  })

  it('only what tells nothing of anybody is answered', async () => {
    for (const url of ['/healthz', '/readyz', '/openapi.json', '/docs/']) {
      expect((await team.stranger('GET', url)).status, url).toBe(200)
    }
  })

  it('a body is not even read', async () => {
    const answer = await team.stranger('POST', '/v1/platforms', '{'.repeat(20 * 2 ** 20))
    expect(answer.status).toBe(401)
  })
})

describe('a viewer', () => {
  it('may ask, and change nothing', async () => {
    for (const [id, { rest, asks }] of operationEntries()) {
      const answer = await viewer(rest.method, rest.path.replace(/\{\w+\}/g, 'x'))
      const allowed = rest.method === 'GET' || asks === true
      expect(answer.status === 403, `${id}: ${answer.status}`).toBe(!allowed)
    }
    expect((await viewer('POST', '/v1/platforms', {})).body).toMatchObject({ code: 'forbidden' })
  })
})

describe('a token of a namespace', () => {
  it('is for that one: to name another is forbidden, whether it exists or not', async () => {
    const asked = ['default', 'blue', 'nobody', '', 'a b'].map(name =>
      redAdmin('GET', '/v1/platforms', undefined, { 'northbridge-namespace': name }),
    )
    const answers = await Promise.all(asked)
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]).toMatchObject({ status: 403, body: { code: 'forbidden' } })
    const own = await redAdmin('GET', '/v1/platforms', undefined, { 'northbridge-namespace': 'red' })
    expect(own.body.items).toHaveLength(1)
  })

  it('does not open the measurements of the whole process, whatever its role', async () => {
    expect((await redAdmin('GET', '/metrics')).status).toBe(403)
    expect((await viewer('GET', '/metrics')).status).toBe(403)
  })
})

describe('an administrator of all namespaces', () => {
  it('works in the one that is named', async () => {
    expect((await admin('GET', '/v1/platforms')).body.items).toEqual([])
    const red = await admin('GET', '/v1/platforms', undefined, { 'northbridge-namespace': 'red' })
    expect(red.body.items).toHaveLength(1)
    const none = await admin('GET', '/v1/platforms', undefined, { 'northbridge-namespace': 'green' })
    expect(none).toMatchObject({ status: 404, body: { code: 'notFound' } })
  })

  it('sees what is measured, namespace by namespace', async () => {
    const { status, text, headers } = await admin('GET', '/metrics')
    expect(status).toBe(200)
    expect(headers['content-type']).toContain('text/plain; version=0.0.4')
    expect(text).toContain('northbridge_platforms{namespace="red"} 1')
    expect(text).toContain('northbridge_platforms{namespace="default"} 0')
    expect(text).toMatch(/northbridge_sparse_memory_bytes\{namespace="red"\} [1-9]\d+/)
    expect(text).toMatch(/request_duration_seconds_count\{operation="createPlatform",status="201"\} 1/)
    expect(text).toContain('northbridge_store_trouble 0')
  })
})

describe('the log', () => {
  it('has a line for each request, with who asked, and the identifier that the answer carries', async () => {
    team.log.length = 0
    const { headers } = await operator('GET', '/v1/platforms/p?secret=nothing')
    const line = JSON.parse(team.log.at(-1)!)
    expect(line).toMatchObject({
      msg: 'answered',
      method: 'GET',
      path: '/v1/platforms/p',
      status: 422,
      namespace: 'red',
      request: headers['x-request-id'],
    })
    expect(line.holder).toMatch(/^[0-9a-f]{12}$/)
  })

  it('hides tokens, wherever somebody has put them', async () => {
    team.log.length = 0
    const token = `nb_0123456789ab_${'s3cret'.repeat(8).slice(0, 43)}`
    await operator('GET', `/v1/platforms/${token}`, undefined, { authorization: `Bearer ${token}` })
    await operator('GET', `/v1/platforms/p?token=${token}`)
    expect(team.log.length).toBeGreaterThan(1)
    expect(team.log.join('')).not.toContain('s3cret')
    expect(team.log.join('')).toContain('[hidden]')
  })
})

describe('every answer', () => {
  it('tells browsers to load, run and keep nothing of it', async () => {
    for (const { headers } of [await viewer('GET', '/v1/platforms'), await team.stranger('GET', '/v1/x')]) {
      expect(headers['content-security-policy']).toContain("default-src 'none'")
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
      })
      expect(headers).not.toHaveProperty('x-powered-by')
    }
  })
})

describe('a server that needs no token', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await testServer()
  })
  afterAll(() => server.app.close())
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await server.request('GET', '/v1/platforms', undefined, headers)).status

  it('takes requests under names of its own machine only', async () => {
    for (const host of ['localhost:8080', '127.0.0.1', '127.8.9.1:80', '[::1]:8080', 'a.localhost']) {
      expect(await status({ host }), host).toBe(200)
    }
    // A name of somebody else that leads here: DNS rebinding.
    for (const host of ['rebind.example:8080', '127.0.0.1.example', 'localhost.example', '192.168.1.2']) {
      expect(await status({ host }), host).toBe(403)
    }
  })

  it('takes none that a page of another server sends', async () => {
    expect(await status({ host: 'localhost:8080', origin: 'http://localhost:8080' })).toBe(200)
    for (const origin of ['http://evil.example', 'http://localhost:8081', 'null', 'file://']) {
      expect(await status({ host: 'localhost:8080', origin }), origin).toBe(403)
    }
  })

  it('listens to nobody but its own machine', async () => {
    const namespaces = await Namespaces.open()
    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'northbridge.example', '127.0.0.1.example']) {
      const starting = startServer({
        namespaces,
        guard: await Guard.open(),
        port: 0,
        host,
        logLevel: 'silent',
      })
      await expect(starting, host).rejects.toThrow('northbridge token create')
    }
    const guard = await Guard.open({ secret: 'a-secret-of-the-environment' })
    const open = await startServer({ namespaces, guard, port: 0, host: '0.0.0.0', logLevel: 'silent' })
    const port = new URL(open.url).port
    expect((await fetch(`http://127.0.0.1:${port}/v1/platforms`)).status).toBe(401)
    const headers = { authorization: 'Bearer a-secret-of-the-environment' }
    expect((await fetch(`http://127.0.0.1:${port}/v1/platforms`, { headers })).status).toBe(200)
    await open.close()
  })
})
