/** The pages of the server in a real browser: what its policy forbids, the browser tells in its log. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Namespaces } from '../../src/access/index.ts'
import { type RunningServer, startServer } from '../../src/api/index.ts'
import { QUICK } from '../experiments/sweeps/documents.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const BROWSER = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap(folder => NAMES.map(name => join(folder, name)))
  .find(path => existsSync(path))
const OPTIONS = ['--headless', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr', '--dump-dom']

if (BROWSER === undefined) console.warn(`pages in a browser: skipped: there is none of ${NAMES.join(', ')}`)

describe.skipIf(BROWSER === undefined)('a page in a browser', () => {
  let folder: string
  let namespaces: Namespaces
  let server: RunningServer
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'northbridge-browser-'))
    namespaces = await Namespaces.open()
    server = await startServer({ namespaces, port: 0, host: '127.0.0.1', logLevel: 'silent' })
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** What a page has become, and what the browser says of it. */
  async function shown(path: string): Promise<{ readonly page: string; readonly said: readonly string[] }> {
    const options = [
      ...OPTIONS,
      `--user-data-dir=${folder}`,
      '--virtual-time-budget=20000',
      server.url + path,
    ]
    const { stdout, stderr } = await promisify(execFile)(BROWSER!, options, { maxBuffer: 2 ** 26 })
    return { page: stdout, said: stderr.split('\n').filter(line => line.includes(':CONSOLE')) }
  }

  it('shows the documentation, and nothing in it is forbidden', async () => {
    const { page, said } = await shown('/docs/')
    expect(said).toEqual([])
    // Only what is in sight is on the page.
    expect(page.includes('Lists the topologies that platforms can be made from')).toBe(true)
  }, 120_000)

  it('shows the report of an experiment, and nothing in it is forbidden', async () => {
    const { journal } = namespaces.default
    const { id } = await journal.call('createExperiment', {
      document: {
        title: 'Three sizes',
        configuration: QUICK,
        axes: [{ name: 'size', field: '/workload/bytes', values: [64, 128, 256] }],
      } as never,
    })
    const { page, said } = await shown(`/v1/experiments/${id}/report`)
    expect(said).toEqual([])
    expect(page.includes('Three sizes')).toBe(true)
  }, 120_000)
})
