import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestServer, testServer } from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await testServer()
})
afterAll(() => server.app.close())

const both = { SMTS: 1, FSTS: 1, SSTS: 1, SMPWCS: 1 }
const NIC = '0000:01:00.0'

async function platform(name: string, capabilities = {}, commandLine = 'intel_iommu=on iommu.strict=1') {
  const { body } = await server.request('POST', '/v1/platforms', {
    name,
    topology: {
      name: 'small',
      iommu: { kind: 'intel-vtd', units: [{ id: 'unit', includeAll: true, capabilities }] },
      hostBridges: [
        { devices: [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'intel-82574l' }] }] },
      ],
      host: { commandLine },
    },
  })
  expect(body.id).toBe(name)
  return {
    get: (path: string) => server.request('GET', `/v1/platforms/${name}${path}`),
    post: (path: string, content: unknown) => server.request('POST', `/v1/platforms/${name}${path}`, content),
    delete: (path: string) => server.request('DELETE', `/v1/platforms/${name}${path}`),
  }
}

interface Entry {
  readonly table: string
  readonly level?: number
  readonly present: boolean
}
const walk = (items: readonly Entry[]): string[] => items.map(({ table, level = '' }) => `${table}${level}`)

describe('remapping units', () => {
  it('are listed with their capabilities decoded', async () => {
    const { get } = await platform('capable', both)
    const { body } = await get('/remapping-units')
    expect(body.items).toMatchObject([{ id: 'unit', kind: 'intel-vtd', version: '1.0' }])
    expect(body.items[0].capabilities).toMatchObject({ ...both, MGAW: 47, SAGAW: 6, QI: 1 })
    expect(body.items[0].capabilities).not.toHaveProperty('DT')
  })

  it('show the tables of a requester in legacy mode, entry by entry', async () => {
    const { get, post } = await platform('legacy')
    const buffer = await post(`/functions/${NIC}/buffers`, { pages: 2 })
    expect(buffer).toMatchObject({ status: 201, body: { address: '0x80000000', access: 'readWrite' } })
    const { body } = await get(`/remapping-units/unit/tables?source=${NIC}`)
    expect(walk(body.items)).toEqual([
      'root',
      'context',
      'secondStage4',
      'secondStage3',
      'secondStage2',
      'secondStage1',
      'secondStage1',
    ])
    expect(body.items[1]).toMatchObject({ present: true, fields: { P: 1, TT: 0, AW: 2 } })
    expect(body.items[5]).toMatchObject({
      input: '0x80000000',
      size: 4096,
      fields: { R: 1, W: 1, ADDR: buffer.body.physicalAddress },
    })
    const later = await get(`/remapping-units/unit/tables?source=${NIC}&address=0x80001000`)
    expect(walk(later.body.items).at(-1)).toBe('secondStage1')
    expect(later.body.items).toHaveLength(6)
    const page = await get(`/remapping-units/unit/tables?source=${NIC}&limit=3`)
    expect(page.body.items).toHaveLength(3)
    const rest = await get(`/remapping-units/unit/tables?source=${NIC}&cursor=${page.body.next}`)
    expect([...page.body.items, ...rest.body.items]).toEqual(body.items)
  })

  it('show the tables of a requester in scalable mode, by PASID', async () => {
    const { get, post } = await platform('scalable', both, 'intel_iommu=on,sm_on')
    await post(`/functions/${NIC}/buffers`, { pages: 1 })
    const { body } = await get(`/remapping-units/unit/tables?source=${NIC}`)
    expect(walk(body.items)).toEqual([
      'root',
      'context',
      'pasidDirectory',
      'pasid',
      'firstStage4',
      'firstStage3',
      'firstStage2',
      'firstStage1',
    ])
    expect(body.items[3]).toMatchObject({ present: true, fields: { PGTT: 1, PWSNP: 1 } })
    expect(body.items[3].raw).toMatch(/^0x[0-9a-f]{128}$/)
    const other = await get(`/remapping-units/unit/tables?source=${NIC}&pasid=5`)
    expect(other.body.items.at(-1)).toMatchObject({ table: 'pasid', present: false })
    const nobody = await get('/remapping-units/unit/tables?source=0000:77:00.0')
    expect(nobody.body.items).toMatchObject([{ table: 'root', present: false }])
  })

  it('show what their caches hold, and that strict unmapping empties them', async () => {
    const { get, post, delete: remove } = await platform('cached')
    await post(`/functions/${NIC}/buffers`, { pages: 1 })
    const dma = { direction: 'write', address: '0x80000010', data: '00' }
    expect((await post(`/functions/${NIC}/dma`, dma)).body.outcome).toBe('completed')
    const held = async (cache: string) =>
      (await get('/remapping-units/unit/caches')).body.items.filter(
        (item: { cache: string }) => item.cache === cache,
      )
    expect(await held('iotlb')).toMatchObject([{ entry: { address: '0x80000000', write: true } }])
    expect(await held('context')).toMatchObject([{ entry: { source: '01:00.0' } }])
    expect((await remove(`/functions/${NIC}/buffers/0x80000000`)).status).toBe(204)
    expect(await held('iotlb')).toEqual([])
    expect((await get(`/functions/${NIC}/buffers`)).body.items).toEqual([])
  })

  it('are not found under another name, and refuse requesters of other segments', async () => {
    const { get } = await platform('errors')
    for (const view of ['caches', 'tables?source=01:00.0']) {
      expect((await get(`/remapping-units/none/${view}`)).status).toBe(404)
    }
    const answer = await get('/remapping-units/unit/tables?source=0001:01:00.0')
    expect(answer).toMatchObject({ status: 422, body: { issues: [{ path: '/source' }] } })
    expect((await get('/remapping-units/unit/tables')).status).toBe(422)
  })
})

describe('deferred unmapping', () => {
  it('leaves a device its translation until the flush', async () => {
    const { post, delete: remove } = await platform('lazy', {}, 'intel_iommu=on')
    await post(`/functions/${NIC}/buffers`, { pages: 1 })
    const dma = async () =>
      (await post(`/functions/${NIC}/dma`, { direction: 'write', address: '0x80000000', data: '00' })).body
        .outcome
    expect(await dma()).toBe('completed')
    await remove(`/functions/${NIC}/buffers/0x80000000`)
    expect(await dma()).toBe('completed')
    expect((await remove('/deferred-unmaps')).status).toBe(204)
    expect(await dma()).toBe('fault')
  })

  it('of memory is refused where there is none, and sizes have limits', async () => {
    const { post, delete: remove } = await platform('refusals')
    expect(await post('/functions/0000:00:01.0/buffers', { pages: 0 })).toMatchObject({ status: 422 })
    const port = await post('/functions/0000:01:00.0/buffers', { pages: 16_384, access: 'read' })
    expect(port.body).toMatchObject({ pages: 16_384, access: 'read' })
    expect((await remove('/functions/0000:01:00.0/buffers/0x1000')).status).toBe(404)
  })
})
