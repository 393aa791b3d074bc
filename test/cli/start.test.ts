/** Help comes at once because it loads next to nothing: what each command line loads is looked at from outside. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { program } from '../../src/cli/program.ts'

const TOP = new URL('../../', import.meta.url)
const pathOf = (name: string): string => fileURLToPath(new URL(name, TOP))

/** Modules of ours, relative to the repository, and names of packages that a command line loads. */
function loadedBy(...args: string[]): { modules: string[]; packages: string[]; status: number | null } {
  const { stderr, status } = spawnSync(
    process.execPath,
    ['--import', pathOf('test/cli/loaded-modules.ts'), pathOf('bin/northbridge.js'), ...args],
    { encoding: 'utf8' },
  )
  const urls = stderr.split('\n').filter(line => line.startsWith('file:'))
  const inPackages = urls.map(url => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1])
  return {
    modules: urls.filter(url => url.startsWith(`${TOP}src/`)).map(url => url.slice(TOP.href.length)),
    packages: [...new Set(inPackages.filter(name => name !== undefined))],
    status,
  }
}

const LIGHT =
  /^src\/(cli\/[^/]+|cli\/catalogue\/catalogue|core\/(errors|package-file|version)|operations\/codes)\.ts$/

describe('help', () => {
  it.each(['--help', '--version', 'functions dma --help', 'compare techniques --help', 'policy plan --help'])(
    '%s loads the command line itself, and of packages its parser',
    line => {
      const { modules, packages, status } = loadedBy(...line.split(' '))
      expect(status).toBe(0)
      expect(modules).toContain('src/cli/program.ts')
      expect(modules.filter(module => !LIGHT.test(module))).toEqual([])
      expect(packages).toEqual(['commander'])
    },
  )

  it('has a description for each command, and says of each whether it prints JSON', () => {
    const silent = { print: () => {}, complain: () => {}, exit: () => {}, untilStopped: async () => {} }
    const commands = [program(silent)]
    for (const command of commands) commands.push(...command.commands)
    expect(commands.length).toBeGreaterThan(150)
    expect(commands.filter(command => command.description() === '').map(each => each.name())).toEqual([])
    const doers = commands.filter(command => command.commands.length === 0)
    const mute = doers.filter(command => !command.options.some(option => option.long === '--json'))
    // What completion prints is a script for a shell, and nothing else.
    expect(mute.map(command => `${command.parent?.name()} ${command.name()}`)).toEqual([
      'northbridge completion',
    ])
  })
})

describe('an operation that a server answers', () => {
  it('is asked for as JSON without the table of operations', () => {
    const { modules, packages, status } = loadedBy(
      'platforms',
      'list',
      '--json',
      '--server',
      'http://127.0.0.1:9',
    )
    expect(status).toBe(3)
    expect(modules).toContain('src/cli/actions/operation.ts')
    expect(modules).not.toContain('src/operations/table.ts')
    expect(packages).toEqual(['commander'])
  })
})
