import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CrashWorld } from './crash-world.ts'

describe('a server that is killed under load', () => {
  // The long form is `npm run crash-test`.
  it('has everything that it acknowledged, and nothing done by half, three times over', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'northbridge-crash-'))
    const world = new CrashWorld(['--data', folder], 3)
    for (let kill = 0; kill < 3; kill++) {
      await world.start()
      await world.check()
      await world.crash()
    }
    await world.start()
    await world.check()
    await world.stop('SIGTERM')
    expect(world.tally.kills).toBe(3)
    // How many were acknowledged is up to the machine; those under way when it was killed were not.
    expect(world.tally.unanswered).toBeGreaterThan(0)
    rmSync(folder, { recursive: true })
  }, 300_000)
})
