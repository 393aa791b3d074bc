/** A headless Chromium with one page on a server of its own. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import { Namespaces } from '../src/access/index.ts'
import { type RunningServer, startServer } from '../src/api/index.ts'
import { EXAMPLE, makeTour } from '../src/cli/actions/example.ts'
import type { Call } from '../src/cli/client.ts'
import type { SimulatedPlatform } from '../src/system/index.ts'

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** Why there is no browser here; undefined if there is one. */
export const noBrowser = existsSync(EXECUTABLE)
  ? undefined
  : `there is no Chromium at ${EXECUTABLE}; CHROMIUM may name another`

export interface Console {
  readonly url: string
  readonly page: Page
  /** What the page complained of: errors, and what its policy kept from being loaded. */
  readonly complaints: readonly string[]
  /** Does something behind the page's back. */
  readonly call: Call
  /** A platform of the server itself, for what no operation does. */
  platform(id: string): SimulatedPlatform
  close(): Promise<void>
}

/** @param example begins with what `npm start` begins with */
export async function openConsole({ example = false } = {}): Promise<Console> {
  const namespaces = await Namespaces.open()
  const { journal } = namespaces.default
  const call: Call = (id, input) => journal.call(id, input)
  if (example) {
    await call('createPlatform', EXAMPLE)
    await makeTour(call)
  }
  const server: RunningServer = await startServer({
    namespaces,
    host: '127.0.0.1',
    port: 0,
    logLevel: 'silent',
  })
  const browser: Browser = await chromium.launch({
    executablePath: EXECUTABLE,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  })
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
  const complaints: string[] = []
  page.on('pageerror', error => complaints.push(error.message))
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  return {
    url: server.url,
    page,
    complaints,
    call,
    platform: id => namespaces.default.context.platforms.get(id).running,
    async close() {
      await browser.close()
      await server.close()
    },
  }
}
