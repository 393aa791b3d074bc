import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { NorthbridgeError, VERSION } from '../../src/core/index.ts'
import { type CommandRecord, type Commit, MemoryStore, type Snapshot } from '../../src/store/index.ts'
import { build, hashOf, opened, PF, run, runNow, TOPOLOGY, VF } from './installations.ts'

const MINIMAL = { name: 'minimal', iommu: { kind: 'none' }, hostBridges: [{}] }

/** A store whose records can be changed on the way in, as another version or a damage would. */
class Altering extends MemoryStore {
  override trouble: NorthbridgeError | undefined = undefined
  readonly commits: Commit[] = []
  command = (record: CommandRecord): CommandRecord => record
  snapshot = (state: Snapshot): Snapshot | undefined => state

  override commit(commit: Commit): Promise<void> {
    this.commits.push(commit)
    const { commands = [], snapshots = [] } = commit
    return super.commit({
      ...commit,
      commands: commands.map(this.command),
      snapshots: snapshots.map(this.snapshot).filter(state => state !== undefined),
    })
  }
}

let store: Altering
beforeEach(() => {
  store = new Altering()
})

describe('an installation that is opened again', () => {
  it('has every platform as it was, and goes on', async () => {
    const before = await opened(store)
    await build(before.journal, 'p')
    await build(before.journal, 'q')
    await run(before.journal, 'passTime', { platform: 'q', nanoseconds: 1234 })
    const after = await opened(store)
    expect(after.refused.size).toBe(0)
    for (const name of ['p', 'q']) expect(hashOf(after.journal, name)).toBe(hashOf(before.journal, name))
    for (const { journal } of [before, after]) {
      runNow(journal, 'detach', { platform: 'p', vm: 'alpha', function: VF })
    }
    expect(hashOf(after.journal, 'p')).toBe(hashOf(before.journal, 'p'))
  })

  it('goes on from a state where one was kept, and numbers on', async () => {
    store = new Altering(3)
    const before = await opened(store)
    await build(before.journal, 'p')
    expect(store.commits.filter(({ snapshots = [] }) => snapshots.length > 0).length).toBe(1)
    const after = await opened(store)
    expect(hashOf(after.journal, 'p')).toBe(hashOf(before.journal, 'p'))
    await run(after.journal, 'power', { platform: 'p', action: 'off' })
    const told = await run(after.journal, 'commands', { platform: 'p' })
    expect(told.map(({ sequence }) => sequence)).toEqual([4, 5, 6])
  })

  it('keeps every state when it is closed', async () => {
    const before = await opened(store)
    await build(before.journal, 'p')
    const hash = hashOf(before.journal, 'p')
    await before.close()
    // Nothing is left to be done again: another version can go on from here.
    store.command = record => record
    const { worlds } = await store.open()
    expect(worlds.map(({ world, commands }) => [world, commands.length])).toEqual([['p', 0]])
    expect(hashOf((await opened(store)).journal, 'p')).toBe(hash)
  })

  it('has the topologies that users have stored', async () => {
    const { journal } = await opened(store)
    await run(journal, 'createTopology', { document: MINIMAL })
    await run(journal, 'replaceTopology', { name: 'minimal', document: { ...MINIMAL, description: 'again' } })
    const after = await opened(store)
    expect(runNow(after.journal, 'topology', { name: 'minimal' })).toMatchObject({ description: 'again' })
    await after.close()
    const third = await opened(store)
    expect(runNow(third.journal, 'topology', { name: 'minimal' })).toMatchObject({ description: 'again' })
    await run(third.journal, 'deleteTopology', { name: 'minimal' })
    expect(() => runNow(third.journal, 'topology', { name: 'minimal' })).toThrow()
  })

  it('makes a platform of the topology of then, whatever its name stands for now', async () => {
    const { journal } = await opened(store)
    await run(journal, 'createTopology', { document: MINIMAL })
    await run(journal, 'createPlatform', { topology: 'minimal', name: 'p' })
    const hash = hashOf(journal, 'p')
    await run(journal, 'deleteTopology', { name: 'minimal' })
    expect(hashOf((await opened(store)).journal, 'p')).toBe(hash)
  })

  it('has nothing of a platform that was deleted', async () => {
    const { journal } = await opened(store)
    await build(journal, 'p')
    await run(journal, 'deletePlatform', { platform: 'p' })
    expect((await opened(store)).journal.context.platforms.entries()).toEqual([])
  })

  it('has what several platforms were given at once as the states that it led to', async () => {
    const { journal } = await opened(store)
    for (const name of ['p', 'q']) {
      await run(journal, 'createPlatform', { topology: TOPOLOGY, name })
      await run(journal, 'setNumVfs', { platform: name, function: PF, numVfs: 2 })
    }
    await run(journal, 'applyPolicy', {
      platforms: ['p', 'q'],
      policy: { system: 'linux-vfio', files: [] },
      requests: [{ vm: 'beta', needs: [{ resource: VF, count: 1 }] }],
      create: { vcpus: 1, memoryMiB: 4 },
    })
    const last = store.commits.at(-1)!
    expect(last.commands!.map(({ world }) => world)).toEqual(['p', 'q'])
    expect(last.snapshots!.map(({ world, origin }) => [world, origin])).toEqual([
      ['p', true],
      ['q', true],
    ])
    const after = await opened(store)
    for (const name of ['p', 'q']) expect(hashOf(after.journal, name)).toBe(hashOf(journal, name))
  })

  it('does not do again what a file has taken part in', async () => {
    const files = mkdtempSync(join(tmpdir(), 'northbridge-files-'))
    try {
      const { journal } = await opened(store, files)
      await run(journal, 'createPlatform', { topology: 'nvme-sriov', name: 'p' })
      const pf = runNow(journal, 'functions', { platform: 'p' }).find(fn => fn.kind === 'PF')!.address
      await run(journal, 'createNamespace', { platform: 'p', function: pf, blocks: 64 })
      await run(journal, 'putNamespaceOnFile', { platform: 'p', function: pf, namespace: 1, file: 'disk' })
      await run(journal, 'passTime', { platform: 'p', nanoseconds: 5 })
      expect(store.commits.slice(-2).map(({ snapshots }) => snapshots!.length)).toEqual([1, 1])
      const after = await opened(store, files)
      expect(hashOf(after.journal, 'p')).toBe(hashOf(journal, 'p'))
      const [namespace] = runNow(after.journal, 'nvmeNamespaces', { platform: 'p', function: pf })
      expect(namespace!.file).toBe('disk')
    } finally {
      rmSync(files, { recursive: true })
    }
  })

  it('has an answer in the commit of the command that it answers', async () => {
    const { journal } = await opened(store)
    const answer = { key: 'k', fingerprint: 'f', status: 201, headers: {}, body: '{}' }
    const software = journal.execute('createPlatform', { topology: TOPOLOGY, name: 'p' }, () => answer)
    while (!software.next().done);
    expect(store.commits.at(-1)).toMatchObject({ commands: [{ operation: 'createPlatform' }], answer })
  })
})

describe('a platform that cannot be as it was', () => {
  const refusedBecause = async (): Promise<string> => {
    const after = await opened(store)
    expect(() => hashOf(after.journal, 'p')).toThrow('The platform "p" cannot go on')
    // Its log is there still, and nobody gets its name.
    expect(runNow(after.journal, 'commands', { platform: 'p' }).length).toBe(5)
    expect(() => runNow(after.journal, 'createPlatform', { topology: TOPOLOGY, name: 'p' })).toThrow(
      'already exists',
    )
    return after.refused.get('p')!
  }

  it('is refused if another version would have to do its commands again', async () => {
    store.command = record => ({ ...record, version: '0.0.1' })
    await build((await opened(store)).journal, 'p')
    expect(await refusedBecause()).toBe(
      `version 0.0.1 has carried out command 1 (createPlatform); version ${VERSION} might do it differently`,
    )
  })

  it('goes on under another version from a state that contains all of them', async () => {
    store.command = record => ({ ...record, version: '0.0.1' })
    store.snapshot = state => ({ ...state, version: '0.0.1' })
    const before = await opened(store)
    await build(before.journal, 'p')
    await before.close()
    const after = await opened(store)
    expect(hashOf(after.journal, 'p')).toBe(hashOf(before.journal, 'p'))
    expect(() => runNow(after.journal, 'rewindPlatform', { platform: 'p', to: 3 })).toThrow(
      'version 0.0.1 has carried out command 1',
    )
  })

  it('is refused if a command ends otherwise than it did', async () => {
    store.command = record => (record.sequence === 4 ? { ...record, error: 'functionInUse' } : record)
    await build((await opened(store)).journal, 'p')
    expect(await refusedBecause()).toBe('command 4 (attach) ended with success instead of functionInUse')
  })

  it('is refused if a command leaves it elsewhere than it did', async () => {
    store.command = record =>
      record.sequence === 3 ? { ...record, after: { ...record.after, timeNs: 1 } } : record
    await build((await opened(store)).journal, 'p')
    expect(await refusedBecause()).toBe('command 3 (createVm) has come to another state than the first time')
  })

  it('is refused if its state is not one', async () => {
    store = new Altering(5)
    store.snapshot = state => ({ ...state, state: Uint8Array.of(1, 2, 3) })
    await build((await opened(store)).journal, 'p')
    expect(await refusedBecause()).toContain('the kept state cannot be read')
  })

  it('leaves the others alone, and can go back to where it still can be', async () => {
    const { journal } = await opened(store)
    await build(journal, 'q')
    store.command = record => (record.sequence === 5 ? { ...record, version: '0.0.1' } : record)
    await build(journal, 'p')
    const after = await opened(store)
    expect([...after.refused.keys()]).toEqual(['p'])
    expect(hashOf(after.journal, 'q')).toBe(hashOf(journal, 'q'))
    store.command = record => record
    await run(after.journal, 'rewindPlatform', { platform: 'p', to: 4 })
    const hash = hashOf(after.journal, 'p')
    const third = await opened(store)
    expect(third.refused.size).toBe(0)
    expect(hashOf(third.journal, 'p')).toBe(hash)
  })

  it('can be deleted', async () => {
    store.command = record => ({ ...record, version: '0.0.1' })
    await build((await opened(store)).journal, 'p')
    const after = await opened(store)
    await run(after.journal, 'deletePlatform', { platform: 'p' })
    store.command = record => record
    await run(after.journal, 'createPlatform', { topology: TOPOLOGY, name: 'p' })
    expect((await opened(store)).refused.size).toBe(0)
  })
})

describe('a defect of ours', () => {
  it('in the middle of a command keeps what that command has left', async () => {
    const { journal } = await opened(store)
    await build(journal, 'p')
    const { running } = journal.context.platforms.get('p')
    running.elapse = function* () {
      running.engine.trace.emit('injection', 'half of it')
      yield undefined
      throw new Error('defect: the other half')
    }
    expect(() => runNow(journal, 'passTime', { platform: 'p', nanoseconds: 5 })).toThrow('the other half')
    const after = await opened(store)
    expect(after.refused.size).toBe(0)
    expect(hashOf(after.journal, 'p')).toBe(hashOf(journal, 'p'))
    expect(runNow(after.journal, 'commands', { platform: 'p' }).at(-1)).toMatchObject({
      sequence: 6,
      operation: 'passTime',
      error: 'defect',
    })
  })

  it('that leaves nothing to be kept ends the platform here; the next start has it as it was before', async () => {
    const { journal } = await opened(store)
    await build(journal, 'p')
    const hash = hashOf(journal, 'p')
    const { running } = journal.context.platforms.get('p')
    running.save = () => {
      throw new Error('defect: two parts do not agree')
    }
    expect(() => runNow(journal, 'rewindPlatform', { platform: 'p', to: 3 })).toThrow('do not agree')
    expect(() => runNow(journal, 'vms', { platform: 'p' })).toThrow('its state cannot be kept')
    const after = await opened(store)
    expect(hashOf(after.journal, 'p')).toBe(hash)
  })
})

describe('while nothing can be kept', () => {
  it('nothing is changed, and everything can be read', async () => {
    const { journal } = await opened(store)
    await build(journal, 'p')
    const hash = hashOf(journal, 'p')
    const given = store.commits.length
    store.trouble = new NorthbridgeError('storeFailed', 'the disk is full')
    expect(() => runNow(journal, 'power', { platform: 'p', action: 'off' })).toThrow('the disk is full')
    expect(() => runNow(journal, 'createPlatform', { topology: TOPOLOGY })).toThrow('the disk is full')
    expect(hashOf(journal, 'p')).toBe(hash)
    expect(runNow(journal, 'platforms', {}).length).toBe(1)
    expect(store.commits.length).toBe(given)
    store.trouble = undefined
    await run(journal, 'power', { platform: 'p', action: 'off' })
    expect(hashOf((await opened(store)).journal, 'p')).toBe(hashOf(journal, 'p'))
  })
})
