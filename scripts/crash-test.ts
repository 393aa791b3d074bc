/**
 * `npm run crash-test -- --kills 200 --seed 1`: kills a server under load at random moments, starts it again, and holds
 * what is there against what it acknowledged, and against its own log done again from the beginning. Ends with the first
 * promise that was broken.
 *
 * With `--database` everything is kept by a PostgreSQL server of the test's own. Then connections are cut too, and that
 * server is killed, which the server of Northbridge has to outlive.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../src/core/index.ts'
import { CrashWorld } from '../test/durability/crash-world.ts'
import { PostgresServer } from '../test/store/postgres-server.ts'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    database: { type: 'boolean', default: false },
  },
})
const kills = Number(values.kills)
const seed = Number(values.seed)

async function inFolder(): Promise<CrashWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'northbridge-crash-'))
  const world = new CrashWorld(['--data', folder], seed)
  await campaign(world, () => world.crash())
  rmSync(folder, { recursive: true })
  return world
}

async function inDatabase(): Promise<CrashWorld> {
  const server = await PostgresServer.start()
  const database = await server.freshDatabase()
  const world = new CrashWorld(['--database', database, '--workers', '0'], seed)
  const random = new Random(seed)
  await campaign(world, async () => {
    for (let cut = random.integer(0, 2); cut > 0; cut--) {
      await world.outlast(() => server.cut(database))
      await world.check()
    }
    if (random.integer(0, 3) === 0) {
      await world.outlast(async () => {
        await server.crash()
        await server.run()
      })
      await world.check()
    }
    await world.crash()
  })
  await server.stop()
  return world
}

async function campaign(world: CrashWorld, crash: () => Promise<void>): Promise<void> {
  for (let kill = 1; kill <= kills; kill++) {
    await world.start()
    await world.check()
    await crash()
    if (kill % 20 === 0) console.log(`${kill} kills: ${JSON.stringify(world.tally)}`)
  }
  await world.start()
  await world.check()
  await world.stop('SIGTERM')
}

const { tally } = await (values.database ? inDatabase() : inFolder())
const { acknowledged, unanswered, doneUnanswered, replayed } = tally
if (values.database) console.log(`${tally.outlasted} cuts and crashes of the database were outlived`)
console.log(
  `${kills} kills: all of ${acknowledged} acknowledged commands were there; of ${unanswered} without answer ${doneUnanswered} were done whole, the others not at all, and each once when sent again; ${replayed} commands of the log, done again to fresh installations, led to the same states`,
)
