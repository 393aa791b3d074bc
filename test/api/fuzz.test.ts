import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { issuesOf, operationEntries } from '../../src/operations/index.ts'
import { fuzz } from './fuzz/fuzzer.ts'
import { fieldsOf, GOOD, urlOf, WRONG } from './fuzz/inputs.ts'
import { type TestServer, testServer } from './server.ts'

let server: TestServer
let before = ''
beforeAll(async () => {
  server = await testServer()
  await server.request('POST', '/v1/platforms', { topology: 'one-socket-82576', name: 'p' })
  await server.request('POST', '/v1/platforms/p/vms', { name: 'vm', vcpus: 1, memoryMiB: 64 })
  before = await server.stateHash('p')
})
afterAll(() => server.app.close())

const withBody = operationEntries().filter(([, { rest }]) => rest.method === 'POST' || rest.method === 'PUT')
const withFields = withBody.filter(
  ([, { rest, input }]) =>
    rest.body === undefined &&
    Object.keys(input['properties']).some(name => !rest.path.includes(`{${name}}`)),
)
describe('a body with one wrong field', () => {
  it.each(withFields)(
    'of %s is refused with the name of the field, and nothing has changed',
    async (_id, row) => {
      const names = fieldsOf(row)
      const good = Object.fromEntries(names.map(name => [name, GOOD[name]]))
      for (const name of names) {
        expect(GOOD).toHaveProperty(name)
        const schema = row.input['properties'][name]
        for (const value of WRONG) {
          const isDocument = name === 'topology' && typeof value === 'object'
          if (!isDocument && issuesOf(schema, value).length === 0) continue
          const { status, body } = await server.request(row.rest.method, urlOf(row), {
            ...good,
            [name]: value,
          })
          // A name of a topology is right as a text, and then not found.
          if (name === 'topology' && typeof value === 'string') expect(status).toBe(404)
          else {
            expect(status, `${name}: ${JSON.stringify(value).slice(0, 80)}`).toBe(422)
            expect(body.issues.map((issue: { path: string }) => issue.path).join(' ')).toContain(`/${name}`)
          }
        }
      }
      expect(await server.stateHash('p')).toBe(before)
    },
  )

  it.each(withFields)('of %s may not have an unknown field nor lack a required one', async (_id, row) => {
    const names = fieldsOf(row)
    const good = Object.fromEntries(names.map(name => [name, GOOD[name]]))
    for (const extra of ['extra', '__proto__', 'constructor', 'platform']) {
      const text = JSON.stringify(good).replace('{', `{${JSON.stringify(extra)}:1,`)
      const { status, body } = await server.request(row.rest.method, urlOf(row), text)
      expect(status).toBe(422)
      expect(body.issues).toContainEqual({ path: `/${extra}`, message: 'is not a known field' })
    }
    for (const name of (row.input['required'] as string[]).filter(required => names.includes(required))) {
      const { [name]: _left, ...lacking } = good
      const { status, body } = await server.request(row.rest.method, urlOf(row), lacking)
      expect(status).toBe(422)
      expect(body.issues).toContainEqual({ path: `/${name}`, message: 'is required' })
    }
    expect(await server.stateHash('p')).toBe(before)
  })
})

describe('any body at all', () => {
  it.each(withBody)('is answered by %s below 500', async (_id, row) => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.json(), fc.string()), async text => {
        const { status, body } = await server.request(row.rest.method, urlOf(row), text)
        if (/\/(reset|open)$/.test(row.rest.path) && status < 300) return
        expect(status).toBeGreaterThanOrEqual(400)
        expect(status).toBeLessThan(500)
        expect(body.detail.length).toBeGreaterThan(0)
      }),
      { numRuns: 20 },
    )
  })
})

describe('a server that two teams and a stranger send what its contract describes, and what it does not', () => {
  it('answers all of it by its contract, and tells neither team anything of the other (npm run fuzz)', async () => {
    const { requests, statuses, operations, neverRefused } = await fuzz({ requests: 300, seed: 5 })
    const answered = Object.values(statuses).reduce((sum, count) => sum + count, 0)
    expect(answered).toBe(requests)
    expect(operations).toBeGreaterThan(operationEntries().length)
    expect(neverRefused).toEqual(expect.arrayContaining(['health', 'readiness']))
    expect(statuses[200]).toBeGreaterThan(30)
    expect(statuses[422]).toBeGreaterThan(30)
  }, 300_000)
})
