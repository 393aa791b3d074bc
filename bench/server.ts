/**
 * The server under load: requests a second against a route of the bare framework in the same run, event streams some of
 * which nobody reads, and a thousand platforms at rest. `SECONDS_EACH` and `PLATFORMS` of the environment make it shorter.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import Fastify from 'fastify'
import { Namespaces } from '../src/access/index.ts'
import { startServer } from '../src/api/index.ts'
import { drive } from '../src/engine/index.ts'
import { type InputOf, type OperationId, usageOf } from '../src/operations/index.ts'
import { SqliteStore } from '../src/store/index.ts'
import type { AskOrder, AskResult } from './server/asks.ts'
import type { LoadOrder, LoadRequest, LoadResult } from './server/load.ts'
import type { StreamOrder, StreamResult } from './server/streams.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const SECONDS = Number(process.env['SECONDS_EACH'] ?? 3)
const PLATFORMS = Number(process.env['PLATFORMS'] ?? 1000)
const TOPOLOGY = 'one-socket-82576'
const PF = '0000:01:00.0'
const VF = '0000:01:10.0'
const MOST_CONNECTIONS = 64

const call = async <Id extends OperationId>(
  namespaces: Namespaces,
  id: Id,
  input: InputOf<Id>,
): Promise<void> => {
  const { outcome, durable } = drive(namespaces.default.journal.execute(id, input), () => false)
  await durable
  if ('error' in outcome) throw outcome.error
}

const load = (order: LoadOrder): Promise<LoadResult> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./server/load.ts', import.meta.url), { workerData: order })
    worker.once('message', resolve)
    worker.once('error', reject)
  })

/** How long answers take until the returned function is called. */
function asking(order: AskOrder): () => Promise<AskResult> {
  const worker = new Worker(new URL('./server/asks.ts', import.meta.url), { workerData: order })
  const result = new Promise<AskResult>((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  return () => {
    worker.postMessage('over')
    return result
  }
}

/** @param tell makes events happen and returns the identifier of the last one */
function streamed(order: StreamOrder, tell: () => Promise<number>): Promise<StreamResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./server/streams.ts', import.meta.url), { workerData: order })
    worker.once('error', reject)
    worker.on('message', (message: 'ready' | StreamResult) => {
      if (message === 'ready') void tell().then(last => worker.postMessage(last), reject)
      else resolve(message)
    })
  })
}

async function loads(): Promise<void> {
  const namespaces = await Namespaces.open()
  for (let i = 0; i < MOST_CONNECTIONS; i++) {
    const platform = `p${i}`
    await call(namespaces, 'createPlatform', { topology: TOPOLOGY, name: platform })
    await call(namespaces, 'setNumVfs', { platform, function: PF, numVfs: 2 })
    await call(namespaces, 'createVm', { platform, name: 'vm', vcpus: 1, memoryMiB: 64 })
    await call(namespaces, 'allocateBuffer', { platform, function: PF, pages: 4 })
  }
  const server = await startServer({ namespaces, port: 0, host: '127.0.0.1', logLevel: 'silent' })
  const bare = Fastify()
  bare.get('/', () => ({ status: 'ok' }))
  bare.post('/', request => request.body)
  await bare.listen({ port: 0, host: '127.0.0.1' })
  const ports = { bare: (bare.server.address() as AddressInfo).port, own: Number(new URL(server.url).port) }
  const body = JSON.stringify({ direction: 'write', address: '0x80000000', data: '5a'.repeat(64) })
  const kinds: readonly [string, keyof typeof ports, (platform: string) => readonly LoadRequest[]][] = [
    ['bare route, GET', 'bare', () => [{ method: 'GET', path: '/' }]],
    ['read: a virtual machine', 'own', p => [{ method: 'GET', path: `/v1/platforms/${p}/vms/vm` }]],
    ['read: all functions', 'own', p => [{ method: 'GET', path: `/v1/platforms/${p}/functions` }]],
    ['bare route, POST', 'bare', () => [{ method: 'POST', path: '/', body }]],
    [
      'DMA of 64 bytes',
      'own',
      p => [{ method: 'POST', path: `/v1/platforms/${p}/functions/${PF}/dma`, body }],
    ],
    [
      'attach, detach',
      'own',
      p => [
        { method: 'POST', path: `/v1/platforms/${p}/vms/vm/devices`, body: JSON.stringify({ function: VF }) },
        { method: 'DELETE', path: `/v1/platforms/${p}/vms/vm/devices/${VF}` },
      ],
    ],
  ]
  for (const count of [1, MOST_CONNECTIONS]) {
    console.log(`${count} connection${count === 1 ? '' : 's'}`)
    let base = 1
    for (const [name, which, requests] of kinds) {
      const connections = Array.from({ length: count }, (_, i) => requests(`p${i}`))
      const { perSecond, p50Ms, p99Ms, failed } = await load({
        port: ports[which],
        connections,
        seconds: SECONDS,
      })
      if (which === 'bare') base = perSecond
      const ratio = which === 'bare' ? '' : `, × ${(base / perSecond).toFixed(1)} of the bare route`
      const wrong = failed === 0 ? '' : `, ${failed} FAILED`
      console.log(
        `  ${name.padEnd(24)} ${Math.round(perSecond).toString().padStart(6)} /s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms${ratio}${wrong}`,
      )
    }
  }
  await bare.close()

  const { trace } = namespaces.default.context.platforms.get('p0').running.engine
  const before = process.memoryUsage().rss
  const order = { port: ports.own, path: '/v1/platforms/p0/events', readers: 200, slow: 20 }
  const asked = asking({ url: `${server.url}/healthz` })
  const { lastMs, behind } = await streamed(order, async () => {
    for (let i = 0; i < 20_000; i++) {
      trace.emit('dma', `event ${i} of the benchmark`, { i })
      if (i % 100 === 99) await new Promise(setImmediate)
    }
    return trace.last
  })
  const { p50Ms, p99Ms, slowestMs } = await asked()
  const grown = Math.max(0, process.memoryUsage().rss - before) / 2 ** 20
  console.log(
    `200 event streams, 20 of them read nothing: ${behind} of the others behind, the last event at all of them after ${lastMs.toFixed(0)} ms, ${grown.toFixed(0)} MiB more; /healthz meanwhile p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, slowest ${slowestMs.toFixed(0)} ms`,
  )
  await server.close()
  await namespaces.close()
}

async function memory(): Promise<number> {
  // What has just ended is held by its last callbacks still, and buffers are given back by the collection after the first.
  for (let i = 0; i < 3; i++) {
    await new Promise(resolve => setTimeout(resolve, 50))
    collect()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const since = (begin: number): string => ((performance.now() - begin) / 1000).toFixed(2)

const opened = (folder: string): Promise<Namespaces> =>
  Namespaces.open({
    store: new SqliteStore(folder),
    limits: {
      requestMiB: 16,
      awakePlatforms: PLATFORMS,
      each: { platforms: PLATFORMS },
      namespaces: {},
    },
  })

async function platformsAtRest(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'northbridge-bench-'))
  const ended = join(folder, 'ended')
  const killed = join(folder, 'killed')
  await makeAll(ended, killed)
  await (await restart('after that', ended)).close()
  // Keeping the states of those that a kill has left behind is not measured here.
  await restart('after a kill', killed)
  rmSync(folder, { recursive: true })
}

/** @param killed gets what a server leaves that is killed before it can end */
async function makeAll(place: string, killed: string): Promise<void> {
  const all = await opened(place)
  await call(all, 'createPlatform', { topology: TOPOLOGY, name: 'p0' })
  const before = await memory()
  const making = performance.now()
  for (let i = 1; i < PLATFORMS; i++) await call(all, 'createPlatform', { topology: TOPOLOGY, name: `p${i}` })
  const made = since(making)
  const each = ((await memory()) - before) / (PLATFORMS - 1)
  const pages = (usageOf(all.default.context, 'memoryMiB') * 1024) / PLATFORMS
  console.log(
    `${PLATFORMS} platforms (${TOPOLOGY}), all in memory: ${(each / 1024).toFixed(0)} KiB each, ${pages.toFixed(0)} KiB of it RAM that was written to; made in ${made} s`,
  )
  cpSync(place, killed, { recursive: true })
  const ending = performance.now()
  await all.close()
  console.log(`  end, keeping their states: ${since(ending)} s`)
}

async function restart(when: string, place: string): Promise<Namespaces> {
  const before = await memory()
  const begin = performance.now()
  const namespaces = await opened(place)
  const seconds = since(begin)
  const each = ((await memory()) - before) / PLATFORMS
  console.log(
    `  restart ${when}: ${seconds} s, ${(each / 1024).toFixed(1)} KiB for each that rests, first use ${await firstUses(namespaces)}`,
  )
  return namespaces
}

/** Milliseconds until a platform that rests has answered, for some of them. */
async function firstUses(namespaces: Namespaces): Promise<string> {
  const { journal } = namespaces.default
  const milliseconds: number[] = []
  for (let i = 1; i < Math.min(PLATFORMS, 101); i++) {
    const begin = performance.now()
    await journal.call('vms', { platform: `p${i}` })
    milliseconds.push(performance.now() - begin)
  }
  milliseconds.sort((a, b) => a - b)
  const at = (share: number): string =>
    milliseconds[Math.floor((milliseconds.length - 1) * share)]!.toFixed(1)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`
}

await loads()
await platformsAtRest()
