import { describe, expect, it } from 'vitest'
import { Namespaces } from '../../src/access/index.ts'
import { buildApp } from '../../src/api/index.ts'
import { NorthbridgeError } from '../../src/core/index.ts'
import { MemoryStore } from '../../src/store/index.ts'

describe('/readyz', () => {
  it('says no while the store cannot keep commands, which are refused; questions are answered', async () => {
    const store = new MemoryStore()
    let trouble: NorthbridgeError | undefined
    Object.defineProperty(store, 'trouble', { get: () => trouble })
    const app = await buildApp({ namespaces: await Namespaces.open({ store }) })
    const ask = async (method: 'GET' | 'POST', url: string, payload?: object) => {
      const { statusCode, body } = await app.inject({ method, url, ...(payload && { payload }) })
      return [statusCode, JSON.parse(body)]
    }
    const platform = { topology: 'one-socket-82576', name: 'p' }
    expect(await ask('GET', '/readyz')).toEqual([200, { status: 'ready' }])
    trouble = new NorthbridgeError('storeFailed', 'the disk is full')
    expect(await ask('GET', '/readyz')).toEqual([503, { status: 'storeFailed' }])
    expect(await ask('GET', '/healthz')).toEqual([200, { status: 'ok' }])
    expect(await ask('POST', '/v1/platforms', platform)).toMatchObject([503, { code: 'storeFailed' }])
    expect(await ask('GET', '/v1/platforms')).toEqual([200, { items: [] }])
    trouble = undefined
    expect(await ask('POST', '/v1/platforms', platform)).toMatchObject([201, { id: 'p' }])
    await app.close()
  })
})
