/**
 * `npm run screenshots [folder]`: the views of the console over the example of `npm start`, at 1280 and 390 pixels, light and
 * dark, for eyes to look at.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openConsole } from '../e2e/browser.ts'

const folder = process.argv[2] ?? 'screenshots'
mkdirSync(folder, { recursive: true })
const { url, page, close } = await openConsole({ example: true })

const PLACES = {
  machine: 'view=machine&selected=function:0000:01:10.0',
  compose: 'view=compose',
  functions: 'view=functions',
  walk: 'view=walk&selected=function:0000:01:10.0&address=0x9000000',
  groups: 'view=groups',
  isolation: 'view=isolation',
  live: 'view=events',
  experiments: 'view=experiments',
} as const
/** Milliseconds in which a view has drawn what it shows. */
const SETTLED = 900

const shoot = async (name: string): Promise<void> => {
  await page.waitForTimeout(SETTLED)
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

for (const theme of ['light', 'dark'] as const) {
  await page.emulateMedia({ colorScheme: theme })
  for (const width of [1280, 390]) {
    await page.setViewportSize({ width, height: 800 })
    await page.goto('about:blank')
    await page.goto(url)
    await page.getByRole('complementary', { name: 'Guided tour' }).waitFor()
    await shoot(`tour-${width}-${theme}`)
    for (const [view, place] of Object.entries(PLACES)) {
      await page.goto('about:blank')
      await page.goto(`${url}/#platform=tour&${place}`)
      await shoot(`${view}-${width}-${theme}`)
    }
  }
}
await close()
