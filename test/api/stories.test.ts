/** The shipped experiments over a real HTTP socket: each operation a request of its own. */
import { readdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Call, remoteCall } from '../../src/cli/client.ts'
import type { Software } from '../../src/engine/index.ts'
import { type ExperimentOperations, parseExperiment, runExperiment } from '../../src/experiments/index.ts'
import { inputOfStep, isOperationId, readDocument } from '../../src/operations/index.ts'
import { type TestServer, testServer } from './server.ts'

const FOLDER = fileURLToPath(new URL('../../experiments', import.meta.url))

let server: TestServer
let call: Call
beforeAll(async () => {
  server = await testServer()
  await server.app.listen({ port: 0, host: '127.0.0.1' })
  call = remoteCall(`http://127.0.0.1:${(server.app.server.address() as AddressInfo).port}`)
})
afterAll(() => server.app.close())

/** Waits for an answer as software waits. */
function* wait<Result>(promise: Promise<Result>): Software<Result> {
  let end: { result: Result } | { error: unknown } | undefined
  promise.then(
    result => (end = { result }),
    error => (end = { error }),
  )
  while (end === undefined) yield undefined
  if ('error' in end) throw end.error
  return end.result
}

const overHttp: ExperimentOperations = {
  has: isOperationId,
  execute: (id, input) => wait<unknown>(call(id as 'dma', inputOfStep(id as 'dma', input) as never)),
  tell: () => undefined,
}

async function run(file: string, topology?: string) {
  const experiment = parseExperiment(readDocument(`${FOLDER}/${file}`), overHttp)
  const { id } = await call('createPlatform', { topology: topology ?? experiment.topology })
  const story = runExperiment(experiment, id, overHttp, () => {})
  for (;;) {
    const step = story.next()
    if (step.done) return step.value
    await setImmediate()
  }
}

describe('over HTTP', () => {
  it.each(readdirSync(FOLDER).filter(name => name.endsWith('.yaml')))(
    '%s ends as it does in process',
    async file => {
      const report = await run(file)
      expect(report.steps.flatMap(step => step.failures)).toEqual([])
      expect(report.passed).toBe(true)
    },
  )

  it.each(['pxb-bridges', 'pxb-numa'])('the demo ends well on %s, too', async topology => {
    const report = await run('two-vms-one-nic.yaml', topology)
    expect(report.steps.flatMap(step => step.failures)).toEqual([])
  })
})

describe('a refused command', () => {
  it('leaves the whole state as it was', async () => {
    const base = '/v1/platforms/r'
    const [pf, vf, other] = ['0000:05:00.0', '0000:05:10.0', '0000:05:10.2']
    await server.request('POST', '/v1/platforms', { topology: 'acs-switch', name: 'r' })
    await server.request('POST', `${base}/vms`, { name: 'alpha', vcpus: 1, memoryMiB: 64 })
    await server.request('POST', `${base}/vms/alpha/devices`, { function: vf })
    const before = await server.stateHash('r')
    const refusals: readonly (readonly [string, string, unknown, number, string])[] = [
      ['POST', '/vms', { name: 'alpha', vcpus: 1, memoryMiB: 64 }, 409, 'nameTaken'],
      ['POST', '/vms', { name: 'huge', vcpus: 1, memoryMiB: 65_536 }, 409, 'outOfMemory'],
      ['POST', '/vms/alpha/devices', { function: vf }, 409, 'functionInUse'],
      ['POST', '/vms/none/devices', { function: other }, 404, 'notFound'],
      ['POST', '/vms/alpha/devices', { function: '0000:1f:00.0' }, 404, 'notFound'],
      ['POST', '/vms/alpha/devices', { function: '0000:02:00.0' }, 409, 'functionNotAssignable'],
      ['DELETE', `/vms/alpha/devices/${other}`, undefined, 404, 'notFound'],
      ['PUT', `/functions/${pf}/sriov`, { numVfs: 3 }, 409, 'sriovBusy'],
      ['PUT', `/functions/${pf}/sriov`, { numVfs: 100 }, 422, 'sriovOutOfRange'],
      ['PUT', '/functions/0000:03:00.0/sriov', { numVfs: 1 }, 409, 'sriovUnsupported'],
      ['PUT', '/vms/alpha/memory', { address: '0x100000000', data: '00' }, 422, 'invalidArgument'],
      ['POST', `/functions/${vf}/dma`, { direction: 'read', address: '0x0' }, 422, 'invalidArgument'],
      ['POST', `/functions/${vf}/reset`, {}, 409, 'functionInUse'],
      ['POST', '/power', { action: 'on' }, 409, 'alreadyDone'],
    ]
    for (const [method, path, body, status, code] of refusals) {
      const answer = await server.request(method, `${base}${path}`, body)
      expect([answer.status, answer.body?.code], `${method} ${path}`).toEqual([status, code])
      expect(await server.stateHash('r'), `${method} ${path}`).toBe(before)
    }
  })

  it('names the mate and the missing isolation where a group is not viable', async () => {
    await server.request('POST', '/v1/platforms', { topology: 'nested-switch', name: 'n' })
    await server.request('POST', '/v1/platforms/n/vms', { name: 'alpha', vcpus: 1, memoryMiB: 64 })
    const answer = await server.request('POST', '/v1/platforms/n/vms/alpha/devices', {
      function: '0000:07:10.0',
    })
    expect(answer).toMatchObject({ status: 409, body: { code: 'groupNotViable' } })
    expect(answer.body.detail).toMatch(/0000:07:00\.0 .*igb/)
    expect(answer.body.detail).toMatch(/ACS/)
  })

  it.each([
    ['amd-iommu', 'noRemapping'],
    ['no-iommu', 'noRemapping'],
  ])('on %s says why nothing can be assigned there', async (topology, code) => {
    await server.request('POST', '/v1/platforms', { topology, name: topology })
    const vm = await server.request('POST', `/v1/platforms/${topology}/vms`, {
      name: 'a',
      vcpus: 1,
      memoryMiB: 64,
    })
    expect(vm.status).toBe(201)
    const { items } = (await server.request('GET', `/v1/platforms/${topology}/functions`)).body
    const fn = items.find((item: { kind: string }) => item.kind === 'endpoint' || item.kind === 'PF')
    const answer = await server.request('POST', `/v1/platforms/${topology}/vms/a/devices`, {
      function: fn.address,
    })
    expect([answer.status, answer.body.code]).toEqual([409, code])
  })
})
