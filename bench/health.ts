/**
 * How long `GET /healthz` waits: on an idle server, and while it builds a platform of 2,000 functions from a document.
 */
import { Namespaces } from '../src/access/index.ts'
import { startServer } from '../src/api/index.ts'

const ports = Array.from({ length: 248 }, (_, i) => ({
  at: `${(1 + (i >>> 3)).toString(16).padStart(2, '0')}.${i & 7}`,
  model: 'root-port',
  devices: [{ at: '00.0', model: 'intel-82574l' }],
}))
const segments = [0, 1, 2, 3]
const topology = {
  name: 'large',
  memory: [{ sizeMiB: 65_536 }],
  iommu: {
    kind: 'intel-vtd',
    units: segments.map(segment => ({ id: `dmar${segment}`, segment, includeAll: true })),
  },
  hostBridges: segments.map(segment => ({
    segment,
    bus: 0,
    devices: [{ at: '00.0', model: 'host-bridge' }, ...ports],
  })),
}

const server = await startServer({
  namespaces: await Namespaces.open(),
  port: 0,
  host: '127.0.0.1',
  logLevel: 'silent',
})

/** Milliseconds of each answer, ascending, until `done`. */
async function poll(done: () => boolean): Promise<number[]> {
  const times: number[] = []
  while (!done()) {
    const begin = performance.now()
    await (await fetch(`${server.url}/healthz`)).arrayBuffer()
    times.push(performance.now() - begin)
  }
  return times.sort((a, b) => a - b)
}

function show(name: string, times: readonly number[]): void {
  const at = (share: number): string =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))]!.toFixed(1)
  console.log(
    `${name}: ${times.length} answers, median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`,
  )
}

let left = 200
show('idle', await poll(() => left-- === 0))
for (const name of ['first', 'second', 'third']) {
  let building = true
  const build = fetch(`${server.url}/v1/platforms`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topology, name }),
  }).then(response => {
    if (response.status !== 201) throw new Error(`the build was answered ${response.status}`)
    building = false
  })
  show(`while the ${name} platform is built`, await poll(() => !building))
  await build
}
await server.close()
