import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Commit, SqliteStore } from '../../src/store/index.ts'
import { PostgresDocuments, PostgresStore } from '../../src/store/postgres/index.ts'
import { noPostgres, PostgresServer } from './postgres-server.ts'
import { answer, command, snapshot, storeSuite } from './store-suite.ts'

if (noPostgres !== undefined) console.warn(`stores in PostgreSQL: ${noPostgres}`)

describe.skipIf(noPostgres !== undefined)('with PostgreSQL', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start()
  })
  afterAll(() => server.stop())

  storeSuite('PostgreSQL', async () => {
    const url = await server.freshDatabase()
    return { store: () => new PostgresStore(url), remove: () => {} }
  })

  describe('a store in PostgreSQL', () => {
    let url: string
    let store: PostgresStore
    beforeEach(async () => {
      url = await server.freshDatabase()
      store = new PostgresStore(url, PATIENCE_MS)
    })
    afterEach(() => store.close())

    const reopened = async () => {
      await store.close()
      store = new PostgresStore(url, PATIENCE_MS)
      return store.open()
    }
    const sequences = async (world = 'p') =>
      (await store.commandsOf(world, 0, 99)).map(({ sequence }) => sequence)
    /** Resolves when the loss of a connection has been noticed. */
    const noticed = async () => {
      while (store.trouble === undefined) await delay(1)
    }

    it('holds what one in SQLite holds after the same commits, however they came together', async () => {
      const world = fc.constantFrom('p', 'q')
      const kind = fc.constantFrom('token', 'experiment')
      const step = fc.oneof(
        { weight: 6, arbitrary: fc.record({ does: fc.constant('command' as const), world }) },
        {
          weight: 2,
          arbitrary: fc.record({ does: fc.constant('snapshot' as const), world, origin: fc.boolean() }),
        },
        { weight: 1, arbitrary: fc.record({ does: fc.constant('forget' as const), world }) },
        {
          weight: 3,
          arbitrary: fc.record({
            does: fc.constant('document' as const),
            kind,
            key: fc.constantFrom('a', 'b', 'ä'),
            value: fc.option(fc.jsonValue(), { nil: undefined }),
          }),
        },
        {
          weight: 2,
          arbitrary: fc.record({ does: fc.constant('answer' as const), key: fc.constantFrom('1', '2') }),
        },
      )
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(step, { maxLength: 8 }), { maxLength: 6 }), async groups => {
          const folder = mkdtempSync(join(tmpdir(), 'northbridge-store-'))
          const stores = [new SqliteStore(folder), new PostgresStore(url)] as const
          for (const each of stores) await each.open()
          const last = new Map<string, number>()
          for (const group of groups) {
            const commits = group.map((wanted): Commit => {
              if (wanted.does === 'document') return { documents: [wanted] }
              if (wanted.does === 'answer') return { answer: answer(wanted.key) }
              const sequence = last.get(wanted.world) ?? 0
              if (wanted.does === 'forget') {
                last.delete(wanted.world)
                return { forgotten: [wanted.world] }
              }
              if (wanted.does === 'snapshot' && sequence > 0)
                return { snapshots: [snapshot(wanted.world, sequence, { origin: wanted.origin })] }
              last.set(wanted.world, sequence + 1)
              return { commands: [command(wanted.world, sequence + 1)] }
            })
            for (const each of stores) await Promise.all(commits.map(commit => each.commit(commit)))
          }
          const held = await Promise.all(
            stores.map(async each => ({
              tokens: await each.documents('token'),
              experiments: await each.documents('experiment'),
              states: await Promise.all(['p', 'q'].map(name => each.snapshotBefore(name, 99))),
              logs: await Promise.all(['p', 'q'].map(name => each.commandsOf(name, 0, 99))),
            })),
          )
          for (const each of stores) await each.close()
          rmSync(folder, { recursive: true })
          await server.query('DROP SCHEMA northbridge CASCADE', url)
          expect(held[1]).toEqual(held[0])
        }),
        { numRuns: 6 },
      )
    })

    it('has what was acknowledged when its connection is cut, and goes on', async () => {
      await store.open()
      await store.commit({ commands: [command('p', 1)] })
      const [session] = await server.query(SESSIONS, url)
      await server.cut(url)
      await store.commit({ commands: [command('p', 2)] })
      expect(await sequences()).toEqual([1, 2])
      expect(await server.query(SESSIONS, url)).not.toEqual([session])
      expect(store.trouble).toBeUndefined()
    })

    it('writes each commit once, wherever in it the connection is cut', async () => {
      await store.open()
      const given: Promise<void>[] = []
      const cuts = (async () => {
        for (let cut = 0; cut < 15; cut++) {
          await delay(cut)
          await server.cut(url)
        }
      })()
      for (let sequence = 1; sequence <= 300; sequence++) {
        // Twice the same row would be refused by its key, and a missing one be a gap.
        given.push(store.commit({ commands: [command('p', sequence)] }))
        await delay(1)
      }
      await cuts
      await Promise.all(given)
      const { worlds, losses } = await reopened()
      expect([worlds[0]!.commands.length, losses]).toEqual([300, []])
    })

    it('says that it keeps nothing while the database is away, and waits for it with what it was given', async () => {
      await store.open()
      await store.commit({ commands: [command('p', 1)] })
      await server.crash()
      await noticed()
      expect(store.trouble).toMatchObject({ code: 'storeFailed', message: expect.stringContaining('again') })
      let durable = false
      const commit = store.commit({ commands: [command('p', 2)] }).then(() => {
        durable = true
      })
      await delay(300)
      expect(durable).toBe(false)
      await server.run()
      await commit
      expect(store.trouble).toBeUndefined()
      expect(await sequences()).toEqual([1, 2])
    })

    it('comes back from an outage though nobody asks for anything', async () => {
      await store.open()
      await server.cut(url)
      await noticed()
      while (store.trouble !== undefined) await delay(5)
      await store.commit({ commands: [command('p', 1)] })
    })

    it('gives up what waits when it is closed while the database is away', async () => {
      await store.open()
      await server.crash()
      const commit = store.commit({ commands: [command('p', 1)] })
      const refused = expect(commit).rejects.toMatchObject({ code: 'storeFailed' })
      await store.close()
      await refused
      await server.run()
      expect((await reopened()).worlds).toEqual([])
    })

    it('is kept by one server at a time, and says by whom', async () => {
      await store.open()
      const second = new PostgresStore(url, PATIENCE_MS)
      await expect(second.open()).rejects.toMatchObject({
        code: 'storeFailed',
        message: expect.stringMatching(
          /^another server keeps this database \(process \d+ of the database, .*\)/,
        ),
      })
      await second.close()
      await store.commit({ commands: [command('p', 1)] })
    })

    it('waits for the lock of a server that is just ending', async () => {
      await store.open()
      const second = new PostgresStore(url, PATIENCE_MS)
      const opened = second.open()
      await delay(300)
      await store.close()
      expect((await opened).losses).toEqual([])
      await second.close()
    })

    it('writes nothing any more once another server has taken over, and says so from then on', async () => {
      await store.open()
      await server.query('UPDATE northbridge.installation SET owner = owner + 1', url)
      const taken = { code: 'storeFailed', message: expect.stringContaining('taken this database over') }
      await expect(store.commit({ commands: [command('p', 1)] })).rejects.toMatchObject(taken)
      await expect(store.commit({ commands: [command('p', 2)] })).rejects.toMatchObject(taken)
      expect(store.trouble).toMatchObject(taken)
      expect(await server.query('SELECT * FROM northbridge.commands', url)).toEqual([])
    })

    it('fails for good where trying again does not help', async () => {
      await store.open()
      await server.query('DROP TABLE northbridge.commands', url)
      const failed = { code: 'storeFailed', message: expect.stringContaining('northbridge.commands') }
      await expect(store.commit({ commands: [command('p', 1)] })).rejects.toMatchObject(failed)
      expect(store.trouble).toMatchObject(failed)
    })

    it('tries again where a disk was full for a while', async () => {
      await store.open()
      await server.query(
        `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON northbridge.commands EXECUTE FUNCTION full_disk()`,
        url,
      )
      const commit = store.commit({ commands: [command('p', 1)] })
      await noticed()
      expect(store.trouble!.message).toContain('no space left')
      await delay(200)
      await server.query('DROP TRIGGER full_disk ON northbridge.commands', url)
      await commit
      expect(store.trouble).toBeUndefined()
    })

    it('cuts a damaged log off at its last whole record', async () => {
      await store.open()
      for (let sequence = 1; sequence <= 5; sequence++) {
        await store.commit({ commands: [command('p', sequence), command('q', sequence)] })
      }
      await store.commit({ snapshots: [snapshot('p', 5)] })
      await server.query(
        `UPDATE northbridge.snapshots SET state = '\\x00';
         UPDATE northbridge.commands SET input = replace(input, '3', '4') WHERE world = 'p' AND sequence = 3;
         DELETE FROM northbridge.commands WHERE world = 'q' AND sequence = 4`,
        url,
      )
      const { worlds, losses } = await reopened()
      expect(worlds.map(({ world, commands }) => [world, commands.length])).toEqual([
        ['p', 2],
        ['q', 3],
      ])
      expect(losses).toEqual([
        'the state of "p" after command 5 is damaged and left out',
        'command 3 of "p" is damaged: the last 3 records of its log are cut off',
        'command 4 of "q" is missing: the last record of its log is cut off',
      ])
      expect((await reopened()).losses).toEqual([])
      expect([await sequences('p'), await sequences('q')]).toEqual([
        [1, 2],
        [1, 2, 3],
      ])
    })

    it('goes back to an older state where the newest is damaged', async () => {
      await store.open()
      for (let sequence = 1; sequence <= 4; sequence++) {
        await store.commit({ commands: [command('p', sequence)], snapshots: [snapshot('p', sequence)] })
      }
      await server.query("UPDATE northbridge.snapshots SET version = 'x' WHERE sequence > 2", url)
      const { worlds } = await reopened()
      expect(worlds[0]!.snapshot).toEqual(snapshot('p', 2))
      expect(worlds[0]!.commands.map(({ sequence }) => sequence)).toEqual([3, 4])
    })

    it('leaves damaged documents and answers out, and says so', async () => {
      await store.open()
      await store.commit({ documents: [{ kind: 'token', key: 'a', value: 1 }], answer: answer('k') })
      await server.query(
        "UPDATE northbridge.documents SET value = '2'; UPDATE northbridge.answers SET status = 500",
        url,
      )
      expect(await reopened()).toEqual({
        worlds: [],
        answers: [],
        losses: [
          'token "a" is damaged and left out',
          '1 answers under idempotency keys are damaged and left out',
        ],
      })
      expect(await store.documents('token')).toEqual([])
    })

    it('refuses tables of another version', async () => {
      await store.open()
      await server.query('UPDATE northbridge.installation SET tables = 99', url)
      await expect(reopened()).rejects.toMatchObject({ message: expect.stringContaining('version 99') })
    })

    it('says what is wrong with an address, without repeating what may hold a password', async () => {
      const wrong = new PostgresStore('mysql://user:secret@host/database')
      await expect(wrong.open()).rejects.toMatchObject({
        code: 'invalidArgument',
        message: expect.not.stringContaining('secret'),
      })
      const nowhere = new PostgresStore('postgresql://user:secret@127.0.0.1:1/database')
      await expect(nowhere.open()).rejects.toMatchObject({
        code: 'storeFailed',
        message: expect.stringMatching(/^PostgreSQL: .*ECONNREFUSED(?!.*secret)/),
      })
    })

    it('lets others read and write documents beside the server', async () => {
      await store.open()
      const beside = await PostgresDocuments.open(url)
      await beside.put({ kind: 'token', key: 'b', value: { role: 'viewer' } })
      await beside.put({ kind: 'token', key: 'a', value: 1 })
      await beside.put({ kind: 'token', key: 'a', value: 2 })
      expect(await store.documents('token')).toEqual([
        { kind: 'token', key: 'a', value: 2 },
        { kind: 'token', key: 'b', value: { role: 'viewer' } },
      ])
      await beside.put({ kind: 'token', key: 'a', value: undefined })
      await server.cut(url)
      expect(await beside.documents('token')).toEqual([
        { kind: 'token', key: 'b', value: { role: 'viewer' } },
      ])
      await beside.close()
    })
  })
})

/** Nobody wants to wait. */
const PATIENCE_MS = 1000

const SESSIONS = `SELECT pid FROM pg_stat_activity
  WHERE datname = current_database() AND application_name = 'northbridge server'`
