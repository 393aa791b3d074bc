import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const README = readFileSync('README.md', 'utf8')
const PAGES = globSync('docs/**/*.md').sort()

interface Command {
  readonly line: string
  readonly expected: readonly string[]
  /** The page shows the beginning only. */
  readonly cut: boolean
}

/** Commands of all blocks of a page with this fence, in order, with the output that the page shows. */
function commands(fence: string, page = README): Command[] {
  const blocks = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```/gm)].filter(([, name]) => name === fence)
  return blocks.flatMap(([, , body = '']) =>
    body
      .split(/^\$ /m)
      .slice(1)
      .map(text => {
        const [line = '', ...output] = text.trimEnd().split('\n')
        const cut = output.at(-1) === '…'
        return { line, expected: cut ? output.slice(0, -1) : output, cut }
      }),
  )
}

/** What a shell in the clone prints, with `npx northbridge` run by the Node that runs the tests. */
function run(line: string, environment: NodeJS.ProcessEnv = {}): string[] {
  const command = line
    .replace('npx northbridge', 'node bin/northbridge.js')
    .replace('npm run -s demo', 'node bin/northbridge.js demo')
  const [, ...rest] = command.split(' ')
  const env = { ...process.env, ...environment, NO_COLOR: '1' }
  return execFileSync(process.execPath, rest, { encoding: 'utf8', env }).trimEnd().split('\n')
}

function check({ line, expected, cut }: Command, environment?: NodeJS.ProcessEnv): void {
  const printed = run(line, environment)
  expect(cut ? printed.slice(0, expected.length) : printed, line).toEqual(expected)
}

describe.each(PAGES)('%s', file => {
  const page = readFileSync(file, 'utf8')
  it.each(commands('console', page))('shows what "$line" prints', command => check(command))
})

describe('the README', () => {
  it.each(commands('console'))('shows what "$line" prints', command => check(command))

  it('shows the first example as it is', () => {
    const example = readFileSync('examples/01-one-dma.ts', 'utf8')
    expect(README).toContain(example.slice(example.indexOf('import')).trimEnd())
  })

  it('names files and folders that are there', () => {
    const links = [...README.matchAll(/\]\(([^)#]+)\)/g)].map(([, target]) => target!)
    const local = links.filter(target => !target.includes('://'))
    expect(local.length).toBeGreaterThan(3)
    expect(local.filter(target => !existsSync(target))).toEqual([])
  })

  describe('and its session with a server', () => {
    let server: ChildProcess
    let address: string

    beforeAll(async () => {
      server = spawn(process.execPath, ['bin/northbridge.js', 'serve', '--example', '--port', '0'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const [line] = (await once(createInterface(server.stdout!), 'line')) as [string]
      address = /http:\S+/.exec(line)![0]
    })
    afterAll(() => server.kill())

    it('prints what it shows, command by command', () => {
      const session = commands('console server')
      expect(session.length).toBeGreaterThan(5)
      for (const command of session) check(command, { NORTHBRIDGE_SERVER: address })
    })
  })
})
