/** What becomes of an experiment when the server that has begun it is killed. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { journalInMemory } from '../../src/durability/index.ts'
import { installation } from '../../src/operations/index.ts'
import { QUICK } from '../experiments/sweeps/documents.ts'
import { noPostgres, PostgresServer } from '../store/postgres-server.ts'
import { ServerProcess } from './server-process.ts'

if (noPostgres !== undefined) console.warn(`crashes during experiments: ${noPostgres}`)

/** Points that take some tens of milliseconds each. */
const DOCUMENT = {
  title: 'Sixteen sizes',
  configuration: { ...QUICK, duration: 5e5 },
  axes: [{ name: 'size', field: '/workload/bytes', from: 64, to: 304, step: 16 }],
}
const POINTS = 16

interface Told {
  readonly id: string
  readonly state: string
  readonly done: number
  readonly points: number
}

/** The same experiment in this process: the bytes of its result. */
async function here(): Promise<string> {
  const journal = journalInMemory(installation())
  const { id } = await journal.call('createExperiment', { document: DOCUMENT as never })
  return JSON.stringify(await journal.call('experimentResult', { experiment: id }))
}

/** Sent again and again under one key. */
async function begun({ url }: ServerProcess): Promise<Told> {
  const response = await fetch(`${url}/v1/experiments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': 'sixteen' },
    body: JSON.stringify(DOCUMENT),
  })
  expect(response.status).toBe(202)
  return (await response.json()) as Told
}

const listed = async ({ url }: ServerProcess): Promise<readonly Told[]> =>
  ((await (await fetch(`${url}/v1/experiments`)).json()) as { items: Told[] }).items

/** As told when so many points are done, or more. */
async function onceDone(server: ServerProcess, points: number): Promise<Told> {
  for (;;) {
    const [told] = await listed(server)
    if (told!.done >= points && (points < POINTS || told!.state !== 'running')) return told!
    await delay(5)
  }
}

/** Kills servers with these options one after the other, each in the middle of it, and lets the last one end it. */
async function survives(options: readonly (readonly string[])[]): Promise<void> {
  let id: string | undefined
  for (const [turn, one] of options.entries()) {
    const server = await ServerProcess.start(one)
    const told = await begun(server)
    id ??= told.id
    expect(told.id).toBe(id)
    if (turn < options.length - 1) {
      // Without a thread it waits in the queue; else some points are done, and how many is up to the machine.
      if (!one.includes('0')) await onceDone(server, 2)
      await server.stop('SIGKILL')
      continue
    }
    expect(await onceDone(server, POINTS)).toMatchObject({ id, state: 'done', points: POINTS })
    expect(await listed(server)).toHaveLength(1)
    expect(await (await fetch(`${server.url}/v1/experiments/${id}/result`)).text()).toBe(await here())
    await server.stop('SIGTERM')
  }
}

describe('an experiment whose server is killed', () => {
  it('goes on after the restart, once, and has the result, byte for byte, that this process gives', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'northbridge-crash-'))
    const options = ['--data', folder, '--workers', '1']
    await survives([options, options])
    rmSync(folder, { recursive: true })
  }, 300_000)
})

describe.skipIf(noPostgres !== undefined)('an experiment in a queue of PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  it('waits there when its server is killed, and is taken up again where the next one was killed', async () => {
    const database = ['--database', await server.freshDatabase()]
    const simulating = [...database, '--workers', '1']
    await survives([[...database, '--workers', '0'], simulating, simulating])
  }, 300_000)
})
