import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const MARK = '\n// Prints:\n'

/** Output compared without trailing blanks: a comment line has none. */
const trimmed = (text: string): string =>
  text
    .split('\n')
    .map(line => line.trimEnd())
    .join('\n')
    .trim()

/** Runs an example, and compares what it prints with its last comment. */
function expectPrints(file: string, environment: NodeJS.ProcessEnv = {}): void {
  const text = readFileSync(file, 'utf8')
  expect(text).toContain(MARK)
  const expected = text
    .slice(text.indexOf(MARK) + MARK.length)
    .split('\n')
    .map(line => line.replace(/^\/\/ ?/, ''))
    .join('\n')
  const env = { ...process.env, ...environment }
  const printed = execFileSync(process.execPath, ['-C', 'source', file], { encoding: 'utf8', env })
  expect(trimmed(printed)).toBe(trimmed(expected))
}

describe('every example', () => {
  it.each(readdirSync('examples').filter(name => name.endsWith('.ts')))(
    '%s prints what its last comment says',
    name => expectPrints(`examples/${name}`),
  )

  it('of the client does so, too, with a server that says its address as JSON', async () => {
    const server = spawn(process.execPath, ['bin/northbridge.js', 'serve', '--port', '0', '--json'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    try {
      const [text] = (await once(server.stdout, 'data')) as [Buffer]
      const { url } = JSON.parse(text.toString()) as { url: string }
      expectPrints('examples/client/client.ts', { NORTHBRIDGE_SERVER: url })
    } finally {
      server.kill()
    }
  })
})
