import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { contractFiles } from '../../src/api/index.ts'
import { VERSION } from '../../src/core/index.ts'
import { operationEntries } from '../../src/operations/index.ts'
import { contractCheck, testServer } from './server.ts'

const server = await testServer()
const files = await contractFiles()
afterAll(() => server.app.close())

describe('the HTTP contract', () => {
  it.each(files)('in openapi/%s is what the code says of itself (npm run openapi)', (name, text) => {
    expect(readFileSync(new URL(`../../openapi/${name}`, import.meta.url), 'utf8')).toBe(text)
  })

  it('has a route for every operation and nothing else but how the server is', async () => {
    const document = (await server.app.inject('/openapi.json')).json()
    const ids = Object.values(
      document.paths as Record<string, Record<string, { operationId: string }>>,
    ).flatMap(methods => Object.values(methods).map(route => route.operationId))
    expect(ids.sort()).toEqual([...operationEntries().map(([id]) => id), 'health', 'readiness'].sort())
    expect(document.openapi).toBe('3.1.0')
  })

  it('refers only to schemas that it has', async () => {
    const document = (await server.app.inject('/openapi.json')).json()
    const names = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
      match => match[1],
    )
    expect(names.length).toBeGreaterThan(50)
    for (const name of names) expect(document.components.schemas).toHaveProperty([name!])
    expect(JSON.stringify(document)).not.toContain('x-component')
  })

  it('carries the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(VERSION).toBe(version)
  })

  it('is held against answers: one that breaks it is noticed', async () => {
    const check = contractCheck((await server.app.inject('/openapi.json')).json())
    const headers = { 'content-type': 'application/json' }
    expect(() => check('GET', '/healthz', { status: 200, headers, body: { status: 'bad' } })).toThrow(/broke/)
    expect(() => check('GET', '/healthz', { status: 202, headers, body: {} })).toThrow(/undocumented/)
    expect(() => check('GET', '/v1/platforms', { status: 200, headers, body: { items: [{}] } })).toThrow(
      /broke/,
    )
  })
})

describe('the documentation page', () => {
  it('needs nothing from outside', async () => {
    const page = await server.app.inject('/docs/')
    expect(page.statusCode).toBe(200)
    const policy = String(page.headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'")
    const references = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(match => match[1]!)
    expect(references.length).toBeGreaterThan(3)
    for (const reference of references) {
      expect(reference).toMatch(/^\.\//)
      expect((await server.app.inject(`/docs/${reference.slice(2)}`)).statusCode).toBe(200)
    }
    const settings = await server.app.inject('/docs/static/swagger-initializer.js')
    expect(settings.body).toContain('"validatorUrl":null')
  })
})
