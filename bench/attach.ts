/**
 * Attach and detach of a virtual function, with all that belongs to it: viability, driver, reset, domain, tables for
 * 1 GiB of guest memory, interrupts, the guest's own probe. Through the library, and through REST on loopback beside
 * the cheapest answer that the same server gives.
 */
import { Namespaces } from '../src/access/index.ts'
import { startServer } from '../src/api/index.ts'
import { createPlatform } from '../src/index.ts'
import { report } from './measure.ts'

const TOPOLOGY = 'two-socket-82599'
const ROUNDS = 5
const PER_ROUND = 40

const machine = createPlatform(TOPOLOGY)
const pf = machine.functions().find(fn => fn.kind === 'PF' && (fn.virtualFunctions?.length ?? 0) > 0)!
const vf = pf.virtualFunctions![0]!
machine.createVm({ name: 'guest', vcpus: 1, memoryMiB: 1024 })

const server = await startServer({
  namespaces: await Namespaces.open(),
  port: 0,
  host: '127.0.0.1',
  logLevel: 'silent',
})
const call = async (method: string, path: string, body?: object): Promise<void> => {
  const response = await fetch(`${server.url}${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  await response.arrayBuffer()
}
await call('POST', '/v1/platforms', { topology: TOPOLOGY, name: 'bench' })
const platform = '/v1/platforms/bench'
await call('POST', `${platform}/vms`, { name: 'guest', vcpus: 1, memoryMiB: 1024 })

const contestants: Record<string, () => unknown> = {
  'GET /healthz': () => call('GET', '/healthz'),
  'attach + detach, library': () => {
    machine.attach({ vm: 'guest', function: vf })
    machine.detach({ vm: 'guest', function: vf })
  },
  'attach + detach, REST': async () => {
    await call('POST', `${platform}/vms/guest/devices`, { function: vf })
    await call('DELETE', `${platform}/vms/guest/devices/${vf}`)
  },
}

const times = new Map<string, number[]>(Object.keys(contestants).map(name => [name, []]))
for (let round = -1; round < ROUNDS; round++) {
  for (const [name, work] of Object.entries(contestants)) {
    const start = process.hrtime.bigint()
    for (let i = 0; i < PER_ROUND; i++) await work()
    if (round >= 0) times.get(name)!.push(Number(process.hrtime.bigint() - start) / PER_ROUND)
  }
}
report(new Map([...times].map(([name, all]) => [name, all.sort((a, b) => a - b)[all.length >>> 1]!])))
await server.close()
