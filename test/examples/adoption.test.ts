/** What others copy: a repository with a workflow, a unit of systemd, a container. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/program.ts'

const REPOSITORY = 'examples/github-actions'

/** The commands of the workflow, in order. */
const steps = [
  ...readFileSync(`${REPOSITORY}/.github/workflows/policy.yml`, 'utf8').matchAll(/^ +- run: (.+)$/gm),
].map(([, line]) => line!)

function northbridge(line: string, cwd: string): { status: number | null; stdout: string; stderr: string } {
  const words = line.replace(/^npx northbridge /, '').split(' ')
  return spawnSync(process.execPath, [resolve('bin/northbridge.js'), ...words], { cwd, encoding: 'utf8' })
}

describe('the repository with a workflow', () => {
  it('installs what it uses, then passes', () => {
    const [first, ...commands] = steps
    expect(first).toBe('npm ci')
    expect(commands).toHaveLength(2)
    for (const line of commands) expect(northbridge(line, REPOSITORY), line).toMatchObject({ status: 0 })
  })

  it('fails where its policy breaks the promise', () => {
    const folder = mkdtempSync(join(tmpdir(), 'northbridge-'))
    try {
      copyFileSync(`${REPOSITORY}/my-server.json`, join(folder, 'my-server.json'))
      const story = readFileSync(`${REPOSITORY}/policy.yaml`, 'utf8')
      // No virtual function is of this vendor: nobody gets any.
      writeFileSync(join(folder, 'policy.yaml'), story.replace('"8086"', '"15b3"'))
      const { status, stdout } = northbridge(steps.at(-1)!, folder)
      expect(stdout).toContain('✗')
      expect(status).toBe(1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})

describe('the service', () => {
  const unit = readFileSync('examples/systemd/northbridge.service', 'utf8')
  const container = readFileSync('examples/docker/Dockerfile', 'utf8')

  it('is begun with flags that there are, by the unit and in the container', async () => {
    let help = ''
    const print = (text: string): void => {
      help += text
    }
    await runCli(['serve', '--help'], { print, complain: () => {} })
    const begun = /^ExecStart=.* northbridge (serve .*)$/m.exec(unit)![1]!
    const inside = (JSON.parse(/^CMD (\[.*\])$/m.exec(container)![1]!) as string[]).join(' ')
    for (const line of [begun, inside]) {
      expect(line).toMatch(/^serve /)
      for (const [flag] of line.matchAll(/--[a-z-]+/g)) expect(help).toContain(`  ${flag} `)
    }
  })

  it('is a unit that systemd understands, where there is systemd', () => {
    const { error, status, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', 'examples/systemd/northbridge.service'],
      { encoding: 'utf8' },
    )
    if (error === undefined) expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(unit).toContain('WantedBy=multi-user.target')
  })
})
