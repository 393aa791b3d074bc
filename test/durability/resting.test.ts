import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Namespace, Namespaces } from '../../src/access/index.ts'
import { finished } from '../../src/durability/waiting.ts'
import { usageOf } from '../../src/operations/index.ts'
import { type CommandRecord, MemoryStore, type Snapshot, SqliteStore } from '../../src/store/index.ts'
import { build, opened, run, TOPOLOGY, VF } from './installations.ts'

const LIMITS = ['platforms', 'functions', 'vms', 'memoryMiB'] as const

/** A store whose users wait, and whose records can be changed on the way in. */
class Altering extends MemoryStore {
  override readonly immediate = false
  command = (record: CommandRecord): CommandRecord => record
  state = (snapshot: Snapshot): Snapshot => snapshot

  override commit(commit: Parameters<MemoryStore['commit']>[0]): Promise<void> {
    const { commands = [], snapshots = [] } = commit
    return super.commit({
      ...commit,
      commands: commands.map(this.command),
      snapshots: snapshots.map(this.state),
    })
  }
}

let folder: string
let closers: (() => Promise<void>)[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'northbridge-resting-'))
  closers = []
})
afterEach(async () => {
  for (const close of closers) await close()
  rmSync(folder, { recursive: true })
})

/** What a store holds, as a server finds it that begins when another one was killed just now. */
const reopened = async (store: MemoryStore, awakePlatforms = 100): Promise<Namespaces> =>
  Namespaces.open({ store, limits: { requestMiB: 16, awakePlatforms, each: {}, namespaces: {} } })

/** The same with a folder; `from` is another one that is copied as it is now. */
async function started(name: string, from = name): Promise<Namespaces> {
  const place = join(folder, name)
  if (from !== name) cpSync(join(folder, from), place, { recursive: true })
  const namespaces = await Namespaces.open({ store: new SqliteStore(place) })
  closers.push(() => namespaces.close())
  return namespaces
}

const inMemory = ({ context }: Namespace): readonly string[] => context.platforms.entries().map(([id]) => id)
const restingIn = ({ context }: Namespace): readonly string[] => [...context.platforms.resting.keys()]
const hashOf = async ({ journal }: Namespace, platform: string): Promise<string> =>
  (await run(journal, 'platformState', { platform })).stateHash
const untilResting = async (namespace: Namespace, platform: string): Promise<void> => {
  await expect.poll(() => restingIn(namespace), { timeout: 10_000 }).toContain(platform)
}

describe('platforms after a restart', () => {
  it('rest until somebody needs them, and are told of and counted as before', async () => {
    const before = (await started('a')).default
    await build(before.journal, 'p')
    await run(before.journal, 'createPlatform', { topology: TOPOLOGY, name: 'q' })
    await run(before.journal, 'power', { platform: 'q', action: 'off' })
    const after = (await started('b', 'a')).default
    expect(inMemory(after)).toEqual([])
    const told = await run(after.journal, 'platforms', {})
    expect(told).toEqual(await run(before.journal, 'platforms', {}))
    expect(told.map(({ id, power, vms }) => [id, power, vms])).toEqual([
      ['p', 'on', 1],
      ['q', 'off', 0],
    ])
    for (const limit of LIMITS) {
      expect([limit, usageOf(after.context, limit)]).toEqual([limit, usageOf(before.context, limit)])
    }
    expect(inMemory(after)).toEqual([])
    expect(await hashOf(after, 'p')).toBe(await hashOf(before, 'p'))
    expect(inMemory(after)).toEqual(['p'])
    await run(after.journal, 'detach', { platform: 'p', vm: 'alpha', function: VF })
    await run(before.journal, 'detach', { platform: 'p', vm: 'alpha', function: VF })
    expect(await hashOf(after, 'p')).toBe(await hashOf(before, 'p'))
  })

  it('keep their names, and can be deleted, forked, put back and taken elsewhere as they rest', async () => {
    const store = new Altering()
    const before = (await reopened(store)).default
    for (const name of ['p', 'q', 'r', 's']) await build(before.journal, name)
    const { journal } = (await reopened(store)).default
    await expect(run(journal, 'createPlatform', { topology: TOPOLOGY, name: 'p' })).rejects.toMatchObject({
      code: 'nameTaken',
    })
    await run(journal, 'deletePlatform', { platform: 'p' })
    expect((await run(journal, 'platforms', {})).map(({ id }) => id)).toEqual(['q', 'r', 's'])
    await run(journal, 'forkPlatform', { platform: 'q', name: 'of-q', at: 3 })
    await run(journal, 'rewindPlatform', { platform: 'r', to: 3 })
    for (const name of ['of-q', 'r']) expect(await run(journal, 'vms', { platform: name })).toHaveLength(1)
    const archive = await run(journal, 'archivePlatform', { platform: 's' })
    expect(archive.stateHash).toBe((await run(before.journal, 'platformState', { platform: 's' })).stateHash)
    const after = (await reopened(store)).default
    expect(restingIn(after)).toEqual(['of-q', 'q', 'r', 's'])
    expect(await run(after.journal, 'commands', { platform: 'r' })).toHaveLength(6)
  })

  it('come back once for all who need them at the same time', async () => {
    const store = new Altering()
    await build((await reopened(store)).default.journal, 'p')
    const { journal } = (await reopened(store)).default
    const both = [1, 2].map(() => run(journal, 'passTime', { platform: 'p', nanoseconds: 100 }))
    await Promise.all(both)
    const told = await run(journal, 'commands', { platform: 'p' })
    expect(told.slice(-2).map(({ sequence, operation }) => [sequence, operation])).toEqual([
      [6, 'passTime'],
      [7, 'passTime'],
    ])
    expect(told[6]!.timeNs - told[5]!.timeNs).toBe(100)
  })

  it('are caught up with: what was in their logs only is in their states then', async () => {
    const store = new Altering()
    await build((await reopened(store)).default.journal, 'p')
    const killed = (await reopened(store)).default
    expect(killed.journal.behind).toEqual(['p'])
    await finished(killed.journal.catchUp('p'))
    expect([killed.journal.behind, inMemory(killed)]).toEqual([[], []])
    const { worlds } = await store.open()
    expect(worlds.map(({ snapshot, commands }) => [snapshot?.sequence, commands.length])).toEqual([[5, 0]])
  })

  it('are caught up with when the installation is closed, so that another version can go on', async () => {
    const store = new Altering()
    await build((await reopened(store)).default.journal, 'p')
    await (await reopened(store)).close()
    expect((await store.open()).worlds.map(({ commands }) => commands.length)).toEqual([0])
  })

  it('are made again at once where what is told of them is not what their logs hold', async () => {
    const before = (await started('a')).default
    await build(before.journal, 'p')
    cpSync(join(folder, 'a'), join(folder, 'b'), { recursive: true })
    const file = new DatabaseSync(join(folder, 'b', 'northbridge.sqlite'))
    file.exec('DELETE FROM commands WHERE sequence = 5')
    file.close()
    const after = (await started('b')).default
    expect([inMemory(after), restingIn(after)]).toEqual([['p'], []])
    expect(await run(after.journal, 'commands', { platform: 'p' })).toHaveLength(4)
  })
})

describe('more platforms than may be in memory', () => {
  it('take turns there: whoever was not used for the longest time rests', async () => {
    const namespaces = await reopened(new Altering(), 2)
    const here = namespaces.default
    for (const name of ['p', 'q']) await build(here.journal, name)
    const hash = await hashOf(here, 'p')
    await run(namespaces.get('red').journal, 'createPlatform', { topology: TOPOLOGY, name: 'p' })
    await untilResting(here, 'q')
    expect(inMemory(here)).toEqual(['p'])
    await run(here.journal, 'vms', { platform: 'q' })
    await untilResting(here, 'p')
    expect(inMemory(namespaces.get('red'))).toEqual(['p'])
    expect(await hashOf(here, 'p')).toBe(hash)
    expect((await run(here.journal, 'platforms', {})).map(({ id }) => id)).toEqual(['p', 'q'])
  })

  it('leave alone those that somebody follows', async () => {
    const here = (await reopened(new Altering(), 1)).default
    await run(here.journal, 'createPlatform', { topology: TOPOLOGY, name: 'p' })
    const release = await finished(here.journal.hold('p'))
    await run(here.journal, 'createPlatform', { topology: TOPOLOGY, name: 'q' })
    await untilResting(here, 'q')
    expect(inMemory(here)).toEqual(['p'])
    release()
    await run(here.journal, 'vms', { platform: 'q' })
    await untilResting(here, 'p')
  })
})

describe('a platform that rests and cannot go on', () => {
  it('is refused by name when it is needed, whoever runs the server is told, and the others go on', async () => {
    const store = new Altering()
    const before = await Namespaces.open({ store })
    await build(before.default.journal, 'q')
    store.command = record => (record.sequence === 4 ? { ...record, error: 'functionInUse' } : record)
    await build(before.default.journal, 'p')
    const told: (readonly string[])[] = []
    const after = await Namespaces.open({ store, onRefused: (...args) => told.push(args) })
    expect(after.refused.size).toBe(0)
    const { journal } = after.default
    const reason = 'command 4 (attach) ended with success instead of functionInUse'
    await expect(run(journal, 'vms', { platform: 'p' })).rejects.toMatchObject({
      code: 'worldUnavailable',
      message: `The platform "p" cannot go on: ${reason}`,
    })
    expect(told).toEqual([['p', reason]])
    expect([...after.refused]).toEqual([['p', reason]])
    expect(await run(journal, 'vms', { platform: 'q' })).toHaveLength(1)
    await run(journal, 'deletePlatform', { platform: 'p' })
  })

  it('is refused at the start if another version has carried out what would have to be done again', async () => {
    const store = new Altering()
    store.command = record => ({ ...record, version: '0.0.1' })
    await build((await opened(store)).journal, 'p')
    expect([...(await opened(store)).refused.keys()]).toEqual(['p'])
  })

  it('is tried at the start if another version has kept its state', async () => {
    const store = new Altering()
    const before = await opened(store)
    await build(before.journal, 'p')
    store.state = state => ({ ...state, version: '0.0.1', state: Uint8Array.of(1, 2, 3) })
    await before.journal.keepAll()
    expect((await opened(store)).refused.get('p')).toContain('the kept state cannot be read')
  })
})
