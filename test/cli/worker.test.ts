import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { changesOnly } from '../../src/cli/actions/trouble.ts'
import { runCli } from '../../src/cli/program.ts'

/** Exit status and what was complained about. */
async function run(...args: string[]): Promise<readonly [status: number, complaint: string]> {
  let complaint = ''
  const status = await runCli(args, {
    print: () => {},
    complain: text => {
      complaint += text
    },
  })
  return [status, complaint]
}

describe('where an installation is kept', () => {
  beforeEach(() => vi.stubEnv('DATABASE_URL', undefined))
  afterEach(() => vi.unstubAllEnvs())

  it('is a database for a worker', async () => {
    expect(await run('worker')).toEqual([2, expect.stringContaining('needs the --database of its server')])
  })

  it('is one place, not two', async () => {
    const both = ['--data', '/tmp/nowhere', '--database', 'postgresql://host/database']
    expect(await run('serve', ...both)).toEqual([2, expect.stringContaining('not in both')])
  })

  it('is told by the environment where nothing else says so', async () => {
    vi.stubEnv('DATABASE_URL', 'postgresql://user:secret@127.0.0.1:1/database')
    const [status, complaint] = await run('worker')
    expect(status).toBe(4)
    expect(complaint).toMatch(/PostgreSQL: .*127\.0\.0\.1:1/)
    expect(complaint).not.toContain('secret')
  })

  it('is named by an address that is one, and not repeated if it is not', async () => {
    const [status, complaint] = await run('worker', '--database', 'mysql://user:secret@host/database')
    expect(status).toBe(2)
    expect(complaint).toContain('postgresql://')
    expect(complaint).not.toContain('secret')
  })
})

describe('how many points a worker simulates at the same time', () => {
  it.each(['0', 'many', '1025'])('is not %s', async workers => {
    const database = ['--database', 'postgresql://127.0.0.1:1/database']
    expect(await run('worker', ...database, '--workers', workers)).toEqual([
      2,
      expect.stringContaining('--workers must be 1 to 1024'),
    ])
  })
})

it('trouble is told when it begins and when it becomes another, not each time', () => {
  const told: string[] = []
  const tell = changesOnly(reason => told.push(reason))
  for (const reason of ['away', 'away', 'refused', 'away', 'away']) tell(reason)
  expect(told).toEqual(['away', 'refused', 'away'])
})
