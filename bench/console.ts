/**
 * `npm run e2e:scale`: the console in a real browser over a platform with thousands of functions and a thousand virtual
 * machines: time to first paint, and frames while events flow.
 */
import { openConsole } from '../e2e/browser.ts'

const MACHINES = Number(process.env['MACHINES'] ?? 1000)
/** Two-port cards of 64 virtual functions a port. */
const CARDS = Number(process.env['CARDS'] ?? 31)
const VFS_OF_PORT = 64
const SECONDS = 10
const platform = 'scale'

/** Cards at two sockets, each behind a root port of its own. */
const topology = {
  name: platform,
  processors: [0, 1].map(numaNode => ({ numaNode, logicalProcessors: 16 })),
  memory: [0, 1].map(numaNode => ({ numaNode, sizeMiB: 65_536 })),
  iommu: {
    kind: 'intel-vtd',
    units: [
      { id: 'socket1', numaNode: 1 },
      { id: 'socket0', numaNode: 0, includeAll: true },
    ],
  },
  hostBridges: [0, 1].map(numaNode => ({
    bus: numaNode * 128,
    numaNode,
    ...(numaNode === 1 && { remappingUnit: 'socket1' }),
    devices: Array.from({ length: Math.ceil((CARDS - numaNode) / 2) }, (_, i) => ({
      at: `${(i + 1).toString(16).padStart(2, '0')}.0`,
      model: 'root-port',
      devices: ['00.0', '00.1'].map(at => ({ at, model: 'intel-xl710', numVfs: VFS_OF_PORT })),
    })),
  })),
} as const

const { url, page, call, close } = await openConsole()
const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}
const tell = (what: string, value: number, unit: string): void =>
  console.log(`${what.padEnd(58)} ${value.toFixed(1).padStart(8)} ${unit}`)

tell('build and power on', await seconds(() => call('createPlatform', { topology, name: platform })), 's')
const { length } = (await call('functions', { platform })) as unknown[]
tell('functions', length, '')
const policy = {
  system: 'northbridge' as const,
  files: [
    {
      name: 'own.yaml',
      text: JSON.stringify({ resources: [{ name: 'vf', select: 'device.role == "VF"' }] }),
    },
  ],
}
const requests = Array.from({ length: MACHINES }, (_, i) => ({
  vm: `vm${i}`,
  needs: [{ resource: 'vf', count: 1 }],
}))
const create = { vcpus: 1, memoryMiB: 16 }
tell(
  `create ${MACHINES} virtual machines with a function each`,
  await seconds(() => call('applyPolicy', { platforms: [platform], policy, requests, create })),
  's',
)
const given = (
  (await call('functions', { platform })) as { address: string; owner: { kind: string } }[]
).filter(({ owner }) => owner.kind === 'vm')

/** Milliseconds between frames while something goes on in the page. */
const frames = async (): Promise<readonly number[]> =>
  (await page.evaluate(`new Promise(resolve => {
    const times = []
    const end = performance.now() + ${SECONDS * 1000}
    let before = performance.now()
    const frame = now => {
      times.push(now - before)
      before = now
      if (now < end) requestAnimationFrame(frame)
      else resolve(times.slice(1))
    }
    requestAnimationFrame(frame)
  })`)) as readonly number[]

for (const view of ['machine', 'functions', 'events']) {
  await page.goto('about:blank')
  const began = performance.now()
  await page.goto(`${url}/#platform=${platform}&view=${view}`)
  const shown = view === 'machine' ? '.vf' : '.virtual li'
  await page.locator(shown).first().waitFor()
  tell(`${view}: everything shown`, performance.now() - began, 'ms')
  const paint = await page.evaluate(
    `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0`,
  )
  tell(`${view}: first contentful paint`, Number(paint), 'ms')
  tell(
    `${view}: elements in the page`,
    Number(await page.evaluate(`document.querySelectorAll('*').length`)),
    '',
  )
  let sent = 0
  let going = true
  const load = (async () => {
    for (let i = 0; going; i++, sent++) {
      const address = `0x${((i % 1000) * 4096).toString(16)}`
      await call('dma', {
        platform,
        function: given[i % given.length]!.address,
        direction: 'write',
        data: 'cafe',
        address,
      })
      if (i % 5 === 0) await new Promise(resolve => setTimeout(resolve, 5))
    }
  })()
  const times = [...(await frames())].sort((a, b) => a - b)
  going = false
  await load
  tell(`${view}: requests a second meanwhile`, sent / SECONDS, '')
  tell(`${view}: frames a second`, times.length / SECONDS, '')
  tell(`${view}: frame time, median`, times[Math.floor(times.length / 2)]!, 'ms')
  tell(`${view}: frame time, 95 of 100`, times[Math.floor(times.length * 0.95)]!, 'ms')
  tell(`${view}: longest frame`, times.at(-1)!, 'ms')
}
await close()
