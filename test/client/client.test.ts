import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Namespaces } from '../../src/access/index.ts'
import { type RunningServer, startServer } from '../../src/api/index.ts'
import { clientContract } from '../../src/client/generator/contract-text.ts'
import { type Schema, typeOf } from '../../src/client/generator/schema-type.ts'
import { createClient, type NorthbridgeClient, NorthbridgeProblem } from '../../src/client/index.ts'

describe('the typed client', () => {
  let server: RunningServer
  let client: NorthbridgeClient

  beforeAll(async () => {
    server = await startServer({
      namespaces: await Namespaces.open(),
      host: '127.0.0.1',
      port: 0,
      logLevel: 'silent',
    })
    client = createClient({ baseUrl: server.url })
  })
  afterAll(() => server.close())

  it('puts path, query and body where the contract has them', async () => {
    await client.createPlatform({ topology: 'one-socket-82576', name: 'one' })
    await client.createVm({ platform: 'one', name: 'alpha', vcpus: 1, memoryMiB: 64 })
    await client.writeMemory({ platform: 'one', vm: 'alpha', address: '0x1000', data: 'cafe' })
    const { data } = await client.readMemory({ platform: 'one', vm: 'alpha', address: '0x1000', length: 2 })
    expect(data).toBe('cafe')
  })

  it('brings lists whole, whatever their pages', async () => {
    const { items } = await client.functions({ platform: 'one' })
    expect(items.map(({ address }) => address)).toEqual([...items.map(({ address }) => address)].sort())
    const page = await client.functions({ platform: 'one', limit: 2 })
    expect(page.items).toEqual(items.slice(0, 2))
    const events = await client.events({ platform: 'one' })
    expect(events.items.map(({ sequence }) => sequence)).toEqual(events.items.map((_, i) => i + 1))
  })

  it('throws what the server says of a refusal, with its code', async () => {
    const refused = client.vm({ platform: 'one', vm: 'nobody' })
    await expect(refused).rejects.toBeInstanceOf(NorthbridgeProblem)
    await expect(refused).rejects.toMatchObject({ code: 'notFound', status: 404 })
  })

  it('answers with nothing where there is nothing to answer', async () => {
    expect(await client.deleteVm({ platform: 'one', vm: 'alpha' })).toBeUndefined()
    expect((await client.vms({ platform: 'one' })).items).toEqual([])
  })

  it('sends documents as whole bodies', async () => {
    const { items } = await client.topologies()
    const document = await client.topology({ name: items[0]!.name })
    await client.replaceTopology({ name: 'mine', body: { ...document, name: 'mine' } as never })
    expect((await client.topology({ name: 'mine' })).name).toBe('mine')
  })
})

describe('its contract', () => {
  it('is made of the one that is checked in', () => {
    const openapi = JSON.parse(readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'))
    const text = readFileSync(new URL('../../src/client/contract.ts', import.meta.url), 'utf8')
    expect(text).toBe(clientContract(openapi))
  })

  it.each<[Schema, string]>([
    [{ type: 'array', items: { enum: ['a', 1] } }, 'readonly ("a" | 1)[]'],
    [
      { type: 'array', items: { type: 'array', items: { type: 'integer' } } },
      'readonly (readonly number[])[]',
    ],
    [{ type: 'array', prefixItems: [{ type: 'string' }, { const: null }] }, 'readonly [string, null]'],
    [{ type: ['string', 'null'] }, 'string | null'],
    [{ anyOf: [{ $ref: '#/components/schemas/Vm' }, { type: 'null' }] }, 'Vm | null'],
    [{ anyOf: [{ type: 'string' }, {}] }, 'unknown'],
    [{ type: 'object', additionalProperties: { type: 'number' } }, 'Readonly<Record<string, number>>'],
    [{ type: 'object', additionalProperties: false }, 'Readonly<Record<string, never>>'],
    [
      { type: 'object', properties: { 'a-b': { type: 'string' } }, required: ['a-b'] },
      '{\n  readonly "a-b": string\n}',
    ],
  ])('%j is %s', (schema, type) => {
    expect(typeOf(schema)).toBe(type)
  })
})
