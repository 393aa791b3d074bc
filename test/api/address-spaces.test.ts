/** The DMA of a function in a process address space, or through its device-TLB, as a user asks for it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestServer, testServer } from './server.ts'

const DMA = '/v1/platforms/p/functions/0000:01:00.0/dma'
let server: TestServer
beforeAll(async () => {
  server = await testServer()
  await server.request('POST', '/v1/topologies', {
    name: 'accelerated',
    iommu: { kind: 'intel-vtd', units: [{ id: 'dmar0', includeAll: true }] },
    hostBridges: [
      { devices: [{ at: '01.0', model: 'root-port', devices: [{ at: '00.0', model: 'ats-accelerator' }] }] },
    ],
  })
  expect((await server.request('POST', '/v1/platforms', { name: 'p', topology: 'accelerated' })).status).toBe(
    201,
  )
})
afterAll(() => server.app.close())

const dma = (more: object) =>
  server.request('POST', DMA, { direction: 'read', address: '0x100000', length: 4, ...more })

describe('DMA', () => {
  it('is not issued with a PASID that software has not enabled', async () => {
    const { status, body } = await dma({ pasid: 5, privileged: true })
    expect([status, body.outcome, body.cause]).toEqual([200, 'notIssued', 'pasidDisabled'])
  })

  it('that asks for the device-TLB is an ordinary one while ATS is disabled', async () => {
    const plain = await dma({})
    expect((await dma({ ats: true })).body).toEqual(plain.body)
    expect((await dma({ ats: false })).body).toEqual(plain.body)
  })

  it('in privileged mode, or for execution, needs a PASID', async () => {
    for (const mode of ['privileged', 'execute']) {
      const { status, body } = await dma({ [mode]: true })
      expect([status, body.issues]).toEqual([422, [{ path: `/${mode}`, message: 'needs a pasid' }]])
    }
  })

  it('takes PASIDs of 20 bits', async () => {
    expect((await dma({ pasid: 0xf_ffff })).status).toBe(200)
    expect((await dma({ pasid: 0x10_0000 })).status).toBe(422)
  })
})
