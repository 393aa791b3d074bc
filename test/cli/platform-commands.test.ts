import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'
import { SqliteStore } from '../../src/store/index.ts'
import { build, hashOf, opened, run } from '../durability/installations.ts'

let folder: string
let hash: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'northbridge-move-'))
  const { journal, close } = await opened(new SqliteStore(at('home')))
  await build(journal, 'web')
  hash = hashOf(journal, 'web')
  await close()
})
afterAll(() => rmSync(folder, { recursive: true }))

async function cli(...args: string[]): Promise<{ status: number; said: string }> {
  const said: string[] = []
  const tell = (text: string): number => said.push(text)
  const status = await runCli(args, { print: tell, complain: tell })
  return { status, said: said.join('\n') }
}

describe('a platform in a folder', () => {
  it('moves to another one in a file', async () => {
    const file = at('web.json')
    expect(await cli('platform', 'export', 'web', '--data', at('home'), '-o', file)).toEqual({
      status: 0,
      said: `Wrote platform "web" with 5 commands to ${file}.`,
    })
    expect(await cli('platform', 'import', file, '--data', at('away'), '--name', 'moved')).toEqual({
      status: 0,
      said: 'Platform "moved" goes on here, at 100000000 ns.',
    })
    const { journal, close } = await opened(new SqliteStore(at('away')))
    expect((await run(journal, 'platformState', { platform: 'moved' })).stateHash).toBe(hash)
    await close()
  })

  it('is not made of a file that is something else, or damaged', async () => {
    const other = at('other.json')
    writeFileSync(other, '{"name":"server"}')
    expect(await cli('platform', 'import', other, '--data', at('away'))).toEqual({
      status: 2,
      said: expect.stringContaining(`${other} is no platform that Northbridge has written`),
    })
    const damaged = at('damaged.json')
    writeFileSync(damaged, readFileSync(at('web.json'), 'utf8').replace('"seed":1', '"seed":2'))
    expect(await cli('platform', 'import', damaged, '--data', at('away'))).toEqual({
      status: 2,
      said: expect.stringContaining('its digest is another one'),
    })
  })

  it('is not found where there is none of its name', async () => {
    const { status, said } = await cli('platform', 'export', 'none', '--data', at('home'), '-o', at('x'))
    expect([status, said]).toEqual([3, expect.stringContaining('There is no platform "none"')])
  })
})
