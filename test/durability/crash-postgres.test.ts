/** The short form of `npm run crash-test -- --database`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { noPostgres, PostgresServer } from '../store/postgres-server.ts'
import { CrashWorld } from './crash-world.ts'

if (noPostgres !== undefined) console.warn(`crashes with PostgreSQL: ${noPostgres}`)

describe.skipIf(noPostgres !== undefined)('a server that keeps everything in PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  it('has every acknowledged command, and each once, when it is killed or its database is cut off', async () => {
    const database = await server.freshDatabase()
    const world = new CrashWorld(['--database', database, '--workers', '0'], 5)
    await world.start()
    await world.outlast(() => server.cut(database))
    await world.check()
    await world.crash()
    await world.start()
    await world.check()
    await world.outlast(async () => {
      await server.crash()
      // What the clients have under way waits. Whoever comes now is refused, and has not to wait.
      await expect.poll(() => statusOf(world, 'GET', '/readyz')).toBe(503)
      expect(await statusOf(world, 'POST', '/v1/platforms', { topology: 'one-socket-82576' })).toBe(503)
      expect(await statusOf(world, 'GET', '/v1/platforms')).toBe(200)
      await server.run()
      await expect.poll(() => statusOf(world, 'GET', '/readyz'), { timeout: 20_000 }).toBe(200)
    })
    await world.check()
    await world.crash()
    await world.start()
    await world.check()
    await world.stop('SIGTERM')
    expect(world.tally).toMatchObject({ kills: 2, outlasted: 2 })
    expect(world.tally.acknowledged).toBeGreaterThan(10)
  })
})

const statusOf = async (world: CrashWorld, method: string, path: string, body?: object): Promise<number> =>
  (
    await fetch(`${world.url}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  ).status
