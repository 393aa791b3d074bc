import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Namespaces, parseLimits } from '../../src/access/index.ts'
import { buildApp } from '../../src/api/index.ts'
import { drive } from '../../src/engine/index.ts'
import type { InputOf, OperationId } from '../../src/operations/index.ts'
import { MemoryStore, SqliteStore } from '../../src/store/index.ts'

const VM = { vcpus: 1, memoryMiB: 16 }

async function call<Id extends OperationId>(
  namespaces: Namespaces,
  namespace: string,
  id: Id,
  input: InputOf<Id>,
): Promise<void> {
  const { outcome, durable } = drive(namespaces.get(namespace).journal.execute(id, input), () => false)
  await durable
  if ('error' in outcome) throw outcome.error
}

const platformsOf = (namespaces: Namespaces, name: string) =>
  namespaces
    .get(name)
    .context.platforms.entries()
    .map(([id, { running }]) => [id, running.stateHash()])

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'northbridge-namespaces-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('namespaces in one store', () => {
  it('each come back with their own, though names are the same', async () => {
    const names = ['default', 'red', 'blue']
    const first = await Namespaces.open({ store: new SqliteStore(folder) })
    for (const [index, name] of names.entries()) {
      await call(first, name, 'createPlatform', { topology: 'one-socket-82576', name: 'p' })
      for (let vm = 0; vm < index; vm++) {
        await call(first, name, 'createVm', { platform: 'p', name: `vm-${vm}`, ...VM })
      }
    }
    await call(first, 'red', 'createTopology', {
      document: { name: 'of-red', iommu: { kind: 'none' }, hostBridges: [{}] },
    })
    const before = names.map(name => platformsOf(first, name))
    expect(new Set(before.map(String)).size).toBe(3)
    await first.close()

    const second = await Namespaces.open({ store: new SqliteStore(folder) })
    expect(second.losses).toEqual([])
    expect(names.map(name => platformsOf(second, name))).toEqual(before)
    expect(names.map(name => second.get(name).context.topologies.has('of-red'))).toEqual([false, true, false])
    await call(second, 'blue', 'deletePlatform', { platform: 'p' })
    await second.close()

    const third = await Namespaces.open({ store: new SqliteStore(folder) })
    expect(names.map(name => platformsOf(third, name).length)).toEqual([1, 1, 0])
    await third.close()
  })

  it('lose nothing when a limit is lowered: it holds for what comes', async () => {
    const store = new MemoryStore()
    const first = await Namespaces.open({ store })
    for (const name of ['a', 'b'])
      await call(first, 'red', 'createPlatform', { topology: 'one-socket-82576', name })
    const limits = parseLimits({ namespaces: { red: { platforms: 1, functions: 1, memoryMiB: 1 } } })
    const second = await Namespaces.open({ store, limits })
    expect(second.refused.size).toBe(0)
    expect(platformsOf(second, 'red')).toHaveLength(2)
    const more = call(second, 'red', 'createPlatform', { topology: 'one-socket-82576', name: 'c' })
    await expect(more).rejects.toMatchObject({ code: 'limitExceeded' })
    await call(second, 'red', 'deletePlatform', { platform: 'a' })
  })

  it('answer a request that is sent again after a restart, each with its own answer', async () => {
    const place = join(folder, 'answers')
    const headers = (host: string) => ({
      host,
      'content-type': 'application/json',
      'idempotency-key': 'red/k',
    })
    const create = async (namespaces: Namespaces, namespace: string) => {
      // Without tokens, everybody is an administrator of all namespaces.
      const app = await buildApp({ namespaces })
      const response = await app.inject({
        method: 'POST',
        url: '/v1/platforms',
        headers: { ...headers('localhost'), 'northbridge-namespace': namespace },
        payload: JSON.stringify({ topology: 'one-socket-82576', name: `of-${namespace}` }),
      })
      return [response.statusCode, response.headers['idempotent-replayed'], response.json().id]
    }
    const first = await Namespaces.open({ store: new SqliteStore(place) })
    first.get('red')
    expect(await create(first, 'default')).toEqual([201, undefined, 'of-default'])
    expect(await create(first, 'red')).toEqual([201, undefined, 'of-red'])
    await first.close()
    const second = await Namespaces.open({ store: new SqliteStore(place) })
    expect(await create(second, 'red')).toEqual([201, 'true', 'of-red'])
    expect(await create(second, 'default')).toEqual([201, 'true', 'of-default'])
    await second.close()
  })
})

describe('a document with limits', () => {
  it('is for all namespaces, and instead for some', async () => {
    const limits = parseLimits({ each: { vms: 5, platforms: 2 }, namespaces: { red: { vms: 9 } } })
    const namespaces = await Namespaces.open({ limits })
    expect(namespaces.get('red').limits).toMatchObject({ vms: 9, platforms: 2 })
    expect(namespaces.default.context.limits).toMatchObject({ vms: 5, platforms: 2, topologies: 10_000 })
  })

  it.each([
    [{ each: { vm: 5 } }, '/each/vm'],
    [{ each: { vms: -1 } }, '/each/vms'],
    [{ requestMiB: 0 }, '/requestMiB'],
    [{ namespaces: { Red: {} } }, '/namespaces/Red'],
  ])('%j is refused with the field that is wrong', (document, path) => {
    expect(() => parseLimits(document)).toThrow(path)
  })
})
