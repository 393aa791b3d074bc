import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { issuesOf, type Operation, operationEntries } from '../../src/operations/index.ts'
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

/** A right value for every field of a body. */
const GOOD: Readonly<Record<string, unknown>> = {
  topology: 'one-socket-82576',
  nested: false,
  vmcsShadowing: false,
  program: 'kernel',
  costs: 'nehalem',
  name: 'other',
  seed: 1,
  action: 'reset',
  numVfs: 2,
  pages: 2,
  direction: 'write',
  address: '0x1000',
  data: '00ff',
  length: 2,
  sector: 1,
  count: 1,
  outside: 'rack',
  interruptInterval: 50,
  line: 'timed',
  pattern: 'fixed',
  stations: ['02:00:00:00:00:01', '02:00:00:00:00:02'],
  frames: 3,
  burst: 2,
  response: 64,
  load: 0.5,
  lacp: {},
  functions: ['0000:01:00.0'],
  aggregation: 'none',
  share: 50,
  namespace: 1,
  sectors: 1,
  depth: 2,
  commands: 3,
  readPercent: 50,
  firstSector: 0,
  span: 8,
  blocks: 8,
  blockSize: 512,
  private: false,
  file: 'disk',
  pasid: 5,
  ats: true,
  privileged: false,
  execute: false,
  phantom: 1,
  poisoned: false,
  mac: '02:00:00:00:00:01',
  vlan: 5,
  spoofCheck: true,
  trusted: false,
  maximumRate: 0,
  cable: 'pulled',
  capture: 'on',
  pcap: '00',
  uplinks: [],
  mode: 'balance',
  hash: 'layer2',
  vm: 'vm',
  sender: '02:00:00:00:00:03',
  failback: true,
  native: 1,
  ports: ['a'],
  port: 'b',
  model: 'emulated',
  switch: 'vs0',
  limit: { bitsPerSecond: 1000, burst: 1500 },
  ringEntries: 16,
  slot: 1,
  to: '02:00:00:00:00:02',
  addressType: 'untranslated',
  relaxedOrdering: false,
  error: 'badTlp',
  fault: { kind: 'poisonedCompletion', function: '0000:01:00.0' },
  plan: { seed: 1, durationNs: 1000, rates: {} },
  nanoseconds: 5,
  state: 'whole',
  speedGTs: 8,
  width: 4,
  card: [],
  vector: 0,
  format: 'lspci',
  text: '00:00.0 Host bridge [0600]: A [8086:29c0]',
  source: '0000:01:00.0',
  access: 'read',
  vcpus: 1,
  memoryMiB: 64,
  function: '0000:01:00.0',
  operations: [{ op: 'hlt' }],
  platforms: ['p'],
  policy: { system: 'linux-vfio', files: [] },
  policies: [{ system: 'linux-vfio', files: [], needs: [] }],
  requests: [{ vm: 'vm', needs: [] }],
  request: { vm: 'vm', needs: [] },
  machine: { vm: 'vm' },
  order: 'pack',
  tenants: { vm: 'red' },
  before: { functions: [], pairs: [] },
  after: { functions: [], pairs: [] },
  create: { vcpus: 1, memoryMiB: 4 },
  interrupts: 'emulated',
  processor: 1,
  guest: 'blocked',
  field: 'guestSysenterCs',
  value: '0x10',
  fields: { guestSysenterCs: '0x10' },
  memory: [{ address: '0x5000', words: ['0x1'] }],
  throughIdt: false,
}
const PATHS: Readonly<Record<string, string>> = {
  platform: 'p',
  vm: 'vm',
  vcpu: '0',
  function: '0000:01:00.0',
  unit: 'dmar0',
  vf: '0',
  namespace: '1',
}

const urlOf = ({ rest }: Operation) =>
  rest.path.replace(/\{(\w+)\}/g, (_match, name: string) => PATHS[name] ?? 'none')
const withBody = operationEntries().filter(([, { rest }]) => rest.method === 'POST' || rest.method === 'PUT')
const withFields = withBody.filter(
  ([, { rest, input }]) =>
    rest.body === undefined &&
    Object.keys(input['properties']).some(name => !rest.path.includes(`{${name}}`)),
)
const fieldsOf = ({ rest, input }: Operation) =>
  Object.keys(input['properties']).filter(name => !rest.path.includes(`{${name}}`))

let nested: unknown = 0
for (let i = 0; i < 1000; i++) nested = [nested]
const WRONG: readonly unknown[] = [
  null,
  '2',
  2,
  -1,
  1.5,
  1e300,
  true,
  '',
  [],
  {},
  [null],
  { a: { b: 1 } },
  'x'.repeat(100_000),
  nested,
]

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
