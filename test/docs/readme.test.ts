import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const README = readFileSync('README.md', 'utf8')
const PAGES = globSync('docs/**/*.md')
  .filter(file => /^```console$/m.test(readFileSync(file, 'utf8')))
  .sort()

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

/** The words of a line after the name of the program, as a shell would give them to it. */
function wordsOf(line: string): string[] {
  const command = line.replace('npm run -s demo', 'npx northbridge demo')
  const [npx, program, ...words] = command.split(' ')
  expect([npx, program], `${line}: a page shows commands of Northbridge`).toEqual(['npx', 'northbridge'])
  expect(line, 'the words are cut at blanks, which is all that a shell would do').not.toMatch(
    /["'`$\\*?|<>;&]/,
  )
  return words
}

/** What a shell in the clone prints, with `npx northbridge` run by the Node that runs the tests. */
function printedByProcess(line: string, environment: NodeJS.ProcessEnv = {}): string {
  const env = { ...process.env, ...environment, NO_COLOR: '1' }
  return execFileSync(process.execPath, ['bin/northbridge.js', ...wordsOf(line)], { encoding: 'utf8', env })
}

/** The same without a process of its own: a start would take longer than most of the commands. */
async function printedHere(line: string): Promise<string> {
  let printed = ''
  let complaints = ''
  const status = await runCli(wordsOf(line), {
    print: text => {
      printed += `${text}\n`
    },
    complain: text => {
      complaints += `${text}\n`
    },
  })
  expect(status, `${line}\n${complaints}`).toBe(0)
  return printed
}

function expectShown({ line, expected, cut }: Command, text: string): void {
  const printed = text.trimEnd().split('\n')
  expect(cut ? printed.slice(0, expected.length) : printed, line).toEqual(expected)
}

describe.each(PAGES)('%s', file => {
  const page = readFileSync(file, 'utf8')
  it.each(commands('console', page))('shows what "$line" prints', async command => {
    expectShown(command, await printedHere(command.line))
  })
})

describe('the README', () => {
  const [first, ...others] = commands('console')
  it(`shows what "${first!.line}" prints`, () => expectShown(first!, printedByProcess(first!.line)))
  it.each(others)('shows what "$line" prints', async command => {
    expectShown(command, await printedHere(command.line))
  })

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
    afterAll(() => {
      vi.unstubAllEnvs()
      server.kill()
    })

    it('prints what it shows, command by command', async () => {
      const [first, ...others] = commands('console server')
      expect(others.length).toBeGreaterThan(5)
      expectShown(first!, printedByProcess(first!.line, { NORTHBRIDGE_SERVER: address }))
      vi.stubEnv('NORTHBRIDGE_SERVER', address)
      for (const command of others) expectShown(command, await printedHere(command.line))
    })
  })
})
