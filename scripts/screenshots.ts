/**
 * `npm run screenshots [folder]`: the views of the console over a machine with something to see, at 1280 and 390 pixels,
 * light and dark, for eyes to look at.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openConsole } from '../e2e/browser.ts'
import { createClient } from '../src/client/index.ts'

const folder = process.argv[2] ?? 'screenshots'
mkdirSync(folder, { recursive: true })
const { url, page, close } = await openConsole()
const api = createClient({ baseUrl: url })
const platform = 'example'
await api.createPlatform({ topology: 'one-socket-82576', name: platform })
await api.setNumVfs({ platform, function: '0000:01:00.0', numVfs: 6 })
for (const [vm, address] of [
  ['web', '0000:01:10.0'],
  ['database', '0000:01:10.2'],
] as const) {
  await api.createVm({ platform, name: vm, vcpus: 2, memoryMiB: 64 })
  await api.attach({ platform, vm, function: address })
}
const dma = { platform, function: '0000:01:10.0', direction: 'write', data: 'cafebabe' } as const
await api.dma({ ...dma, address: '0x1000' })
await api.dma({ ...dma, address: '0x9000000' })

const PLACES = {
  machine: 'view=machine&selected=function:0000:01:10.0',
  walk: 'view=walk&selected=function:0000:01:10.0&address=0x9000000',
  groups: 'view=groups',
  isolation: 'view=isolation',
  events: 'view=events',
} as const
for (const theme of ['light', 'dark'] as const) {
  await page.emulateMedia({ colorScheme: theme })
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 })
    for (const [view, place] of Object.entries(PLACES)) {
      await page.goto(`${url}/#platform=${platform}&${place}`)
      await page.reload()
      await page.waitForTimeout(700)
      await page.screenshot({ path: join(folder, `${view}-${width}-${theme}.png`) })
    }
  }
}
await close()
