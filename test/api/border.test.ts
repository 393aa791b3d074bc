/**
 * The border between two teams. What a team gets for the identifiers of the other one is held against a server on which the
 * other team has nothing: it has to be the same to the last byte.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Operation, operationEntries } from '../../src/operations/index.ts'
import { fieldsOf, GOOD, urlOf } from './fuzz/inputs.ts'
import { type Ask, type Reply, type Teams, teams } from './teams.ts'

const EXPERIMENT = {
  title: 'Crimson sizes',
  configuration: { warmUp: 0, duration: 5000, workload: { kind: 'dma' } },
  axes: [{ name: 'size', field: '/workload/bytes', values: [64, 128] }],
}
const BOARD = { name: 'crimson-board', iommu: { kind: 'none' }, hostBridges: [{}] }

/** What red has, by the names of parts of paths. */
const RED: Readonly<Record<string, string>> = {
  platform: 'crimson',
  vm: 'crimson-vm',
  vcpu: '0',
  function: '0000:01:00.0',
  unit: 'dmar0',
  vf: '0',
  namespace: '1',
  name: 'crimson-board',
  experiment: 'experiment-0001',
  switch: 'crimson-switch',
  processor: '0',
  group: '0',
}

/** Bodies that name what red has. */
const bodyOf = (id: string, row: Operation): unknown => {
  if (row.rest.method === 'GET' || row.rest.method === 'DELETE') return undefined
  if (id === 'createExperiment') return { ...EXPERIMENT, topology: 'crimson-board' }
  if (row.rest.body !== undefined) return BOARD
  const fields = Object.fromEntries(fieldsOf(row).map(name => [name, GOOD[name]]))
  return {
    ...fields,
    ...('platforms' in fields && { platforms: ['crimson'] }),
    ...('vm' in fields && { vm: 'crimson-vm' }),
    ...('topology' in fields && { topology: 'crimson-board' }),
    ...('file' in fields && { file: 'crimson-disk' }),
    ...(id === 'createPlatform' && { name: 'crimson' }),
  }
}

/** All that a client can tell answers apart by; time and chance left out. */
function tellable({ status, headers, text }: Reply): string {
  const { date: _date, 'x-request-id': _id, ...rest } = headers
  return JSON.stringify([status, rest, text])
}

async function settle(red: Ask): Promise<void> {
  const made = [
    await red('POST', '/v1/topologies', BOARD),
    await red('POST', '/v1/platforms', { topology: 'one-socket-82576', name: 'crimson' }, KEY),
    await red('POST', '/v1/platforms/crimson/vms', { name: 'crimson-vm', vcpus: 1, memoryMiB: 16 }),
    await red('POST', '/v1/platforms/crimson/switches', { name: 'crimson-switch' }),
    await red('POST', '/v1/experiments', EXPERIMENT),
  ]
  expect(made.map(({ status }) => status)).toEqual([201, 201, 201, 201, 202])
}

const KEY = { 'idempotency-key': 'the-same-in-both-teams' }

describe('two teams', () => {
  let files = ''
  let shared: Teams
  let alone: Teams
  let red: Ask
  let blue: Ask
  let blueAlone: Ask
  beforeAll(async () => {
    files = mkdtempSync(join(tmpdir(), 'northbridge-files-'))
    shared = await teams(undefined, files)
    alone = await teams(undefined, join(files, 'alone'))
    red = await shared.member('operator', 'red')
    blue = await shared.member('operator', 'blue')
    blueAlone = await alone.member('operator', 'blue')
    await alone.member('operator', 'red')
    await settle(red)
  })
  afterAll(async () => {
    await shared.close()
    await alone.close()
    rmSync(files, { recursive: true })
  })

  const both = async (...request: Parameters<Ask>): Promise<Reply> => {
    const found = await blue(...request)
    const wanted = await blueAlone(...request)
    expect(tellable(found), request.slice(0, 2).join(' ')).toBe(tellable(wanted))
    return found
  }

  it('get the same for what the other one has as for what does not exist, from every operation', async () => {
    let missing = 0
    // What makes something comes last: afterwards blue has things of these names too.
    const makes = ({ rest: { method, path } }: Operation) =>
      method === 'POST' && !path.includes('{') && path !== '/v1/topologies/validate'
    const rows = [...operationEntries()].sort(([, a], [, b]) => Number(makes(a)) - Number(makes(b)))
    for (const [id, row] of rows) {
      if (row.rest.method === 'PUT' && row.rest.body !== undefined) continue
      const { status } = await both(row.rest.method, urlOf(row, RED), bodyOf(id, row))
      if (status === 404) missing++
    }
    expect(missing).toBeGreaterThan(100)
    for (const url of ['/v1/platforms/crimson', '/v1/topologies/crimson-board']) await both('DELETE', url)
    const own = (await both('GET', '/v1/experiments')).body.items as { id: string }[]
    for (const { id } of own) await both('DELETE', `/v1/experiments/${id}`)
  })

  it('may give the same names to things of their own', async () => {
    const { status } = await both('GET', '/v1/platforms/crimson')
    expect(status).toBe(404)
    await both('POST', '/v1/topologies', { ...BOARD, description: 'of blue' })
    const made = await both('POST', '/v1/platforms', { topology: 'crimson-board', name: 'crimson' })
    expect(made).toMatchObject({ status: 201, body: { topology: 'crimson-board' } })
    await both('DELETE', '/v1/platforms/crimson')
    expect((await red('GET', '/v1/platforms/crimson')).body).toMatchObject({ topology: 'one-socket-82576' })
    await both('DELETE', '/v1/topologies/crimson-board')
    expect((await red('GET', '/v1/topologies/crimson-board')).status).toBe(200)
  })

  it('may use the same idempotency key', async () => {
    const made = await both('POST', '/v1/platforms', { topology: 'one-socket-82576', name: 'azure' }, KEY)
    expect(made.status).toBe(201)
    expect(made.headers).not.toHaveProperty('idempotent-replayed')
    const again = await both('POST', '/v1/platforms', { topology: 'one-socket-82576', name: 'azure' }, KEY)
    expect(again.headers).toHaveProperty('idempotent-replayed', 'true')
    await both('DELETE', '/v1/platforms/azure')
  })

  it('find nothing of each other in lists, events, what is measured and what is logged for them', async () => {
    shared.log.length = 0
    await red('POST', '/v1/platforms/crimson/power', { action: 'reset' })
    for (const url of [
      '/v1/platforms',
      '/v1/topologies?limit=1000',
      '/v1/experiments',
      '/v1/devices',
      '/metrics',
    ]) {
      expect((await both('GET', url)).text).not.toContain('crimson')
    }
    for (const url of ['/v1/platforms/crimson/events', '/v1/experiments/experiment-0001/events']) {
      for (const accept of ['application/json', 'text/event-stream']) {
        expect((await both('GET', url, undefined, { accept })).status).toBe(404)
      }
    }
    const names = shared.log.map(line => JSON.parse(line) as { namespace?: string; path: string })
    const ofRed = names.filter(({ path }) => path === '/v1/platforms/crimson/power')
    expect(ofRed.map(({ namespace }) => namespace)).toEqual(['red'])
  })

  it('count for their own limits only', async () => {
    const platforms = { requestMiB: 16, each: { platforms: 1 }, namespaces: {} }
    const narrow = await teams(platforms)
    const first = await narrow.member('operator', 'red')
    const second = await narrow.member('operator', 'blue')
    const make = (ask: Ask, name: string) =>
      ask('POST', '/v1/platforms', { topology: 'one-socket-82576', name })
    expect((await make(first, 'a')).status).toBe(201)
    expect(await make(first, 'b')).toMatchObject({ status: 429, body: { code: 'limitExceeded' } })
    expect((await make(second, 'a')).status).toBe(201)
    await narrow.close()
  })
})
