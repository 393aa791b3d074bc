import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SqliteStore } from '../../src/store/index.ts'
import { answer, command, snapshot, storeSuite } from './store-suite.ts'

const newFolder = () => mkdtempSync(join(tmpdir(), 'northbridge-store-'))

storeSuite('a file of SQLite', () => {
  const folder = newFolder()
  return { store: () => new SqliteStore(folder), remove: () => rmSync(folder, { recursive: true }) }
})

describe('a file of SQLite', () => {
  let folder: string
  beforeEach(() => {
    folder = newFolder()
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const file = () => join(folder, 'northbridge.sqlite')

  /** Four commands of `p` with a state after the second, one of `q`. */
  async function filled(): Promise<void> {
    const store = new SqliteStore(folder)
    await store.open()
    for (const sequence of [1, 2, 3, 4]) await store.commit({ commands: [command('p', sequence)] })
    await store.commit({ snapshots: [snapshot('p', 2)], commands: [command('q', 1)] })
    await store.commit({ documents: [{ kind: 'token', key: 'a', value: 1 }], answer: answer('a') })
    await store.close()
  }

  function damage(sql: string): void {
    const database = new DatabaseSync(file())
    database.exec(sql)
    database.close()
  }

  async function found() {
    const store = new SqliteStore(folder)
    const kept = await store.open()
    await store.close()
    return kept
  }

  it('is kept by one server at a time', async () => {
    const first = new SqliteStore(folder)
    await first.open()
    const second = new SqliteStore(folder)
    await expect(second.open()).rejects.toThrow(`another server keeps its installation in ${folder}`)
    await first.close()
    const third = new SqliteStore(folder)
    await third.open()
    await third.close()
  })

  it('cuts a log off at the first command that is damaged, and says so', async () => {
    await filled()
    damage(`UPDATE commands SET input = '{"nanoseconds":4}' WHERE world = 'p' AND sequence = 4`)
    const { worlds, losses } = await found()
    expect(losses).toEqual(['command 4 of "p" is damaged: the last record of its log is cut off'])
    expect(worlds[0]!.commands.map(({ sequence }) => sequence)).toEqual([3])
    expect(worlds[1]!.commands.length).toBe(1)
    expect((await found()).losses).toEqual([])
  })

  it('cuts a log off where a command is missing', async () => {
    await filled()
    damage(`DELETE FROM commands WHERE world = 'p' AND sequence = 3`)
    expect((await found()).losses).toEqual([
      'command 3 of "p" is missing: the last record of its log is cut off',
    ])
  })

  it('goes on from an older state when the newest is damaged', async () => {
    await filled()
    damage(`UPDATE snapshots SET state = x'00'`)
    const { worlds, losses } = await found()
    expect(losses).toEqual(['the state of "p" after command 2 is damaged and left out'])
    expect(worlds[0]!.snapshot).toBeUndefined()
    expect(worlds[0]!.commands.length).toBe(4)
  })

  it('says when nothing is left of a world', async () => {
    await filled()
    damage(`UPDATE commands SET operation = 'x' WHERE world = 'q'`)
    const { worlds, losses } = await found()
    expect(losses).toContain('nothing is left of "q"')
    expect(worlds.map(({ world }) => world)).toEqual(['p'])
  })

  it('does not look at what is older than the state that it goes on from, until somebody asks', async () => {
    await filled()
    damage(`UPDATE commands SET told = 0 WHERE world = 'p' AND sequence = 1`)
    expect((await found()).losses).toEqual([])
    const store = new SqliteStore(folder)
    await store.open()
    await expect(store.commandsOf('p', 0, 4)).rejects.toThrow('command 1 of "p" is damaged')
    await store.close()
  })

  it('leaves out documents and answers that are damaged', async () => {
    await filled()
    damage(`UPDATE documents SET value = '2'; UPDATE answers SET body = '{}'`)
    const { answers, losses } = await found()
    expect(answers).toEqual([])
    expect(losses).toEqual([
      'token "a" is damaged and left out',
      '1 answers under idempotency keys are damaged and left out',
    ])
  })

  it('is refused if it is of something else, of another version, or no database', async () => {
    damage('CREATE TABLE other (x)')
    await expect(new SqliteStore(folder).open()).rejects.toThrow('a database of something else')
    rmSync(folder, { recursive: true })
    await filled()
    damage('PRAGMA user_version = 77')
    await expect(new SqliteStore(folder).open()).rejects.toThrow('tables of version 77')
    writeFileSync(file(), 'not a database, but long enough to be looked at as one'.repeat(100))
    await expect(new SqliteStore(folder).open()).rejects.toThrow(/SQLite: .*not a database/)
  })

  it('takes nothing more once something could not be kept', async () => {
    const store = new SqliteStore(folder)
    await store.open()
    await store.commit({ commands: [command('p', 1)] })
    const twice = store.commit({ commands: [command('p', 1)] })
    await expect(twice).rejects.toThrow(/UNIQUE/)
    expect(store.trouble?.code).toBe('storeFailed')
    await expect(store.commit({ commands: [command('p', 2)] })).rejects.toThrow(/UNIQUE/)
    await store.close()
  })
})
